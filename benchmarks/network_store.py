"""What is kept of the runs of `networks.py`: a line of JSON each, small enough for the repository.

Two kinds of lines: ``parts`` says once which groups the test clips of a collection and a seed are
of, ``run`` has what one training reached, clip by clip. Lines are only added; of two lines of one
run the last counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Result = dict[str, Any]


def read_results(path: Path) -> dict[str, Result]:
    """Return what is known of runs, by their keys; each with the groups of its test clips.

    A last line that was cut off is left out.
    """
    groups: dict[str, list[int]] = {}
    results: dict[str, Result] = {}
    for line in _lines(path):
        if line["kind"] == "parts":
            groups[line["of"]] = line["groups"]
            continue
        result = {key: value for key, value in line.items() if key != "kind"}
        if "failed" not in line:
            units = groups[_of(line["run"])]
            result["units"] = units
            for key in ("right", "majority"):
                result[key] = _bits(line.get(key, line["right"]), len(units))
            result["segment"] = line.get("segment")
        results[line["key"]] = result
    return results


def add_result(path: Path, result: Mapping[str, Any]) -> None:
    """Add a run in one write, so that two processes' lines do not mix.

    Parameters
    ----------
    path : Path
        Its folder is made if it does not exist.
    result : mapping
        As `networks.carry_out` gives it, with ``key`` and ``run``; ``units`` has the group of each
        test clip as text, ``right`` and ``majority`` 0 or 1 and ``segment`` a share for each.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, Any]] = []
    line: dict[str, Any] = {"kind": "run", **result}
    if "failed" not in result:
        units = line.pop("units")
        of = _of(result["run"])
        if not any(known.get("of") == of for known in _lines(path)):
            numbers = {unit: number for number, unit in enumerate(dict.fromkeys(units))}
            lines.append({"kind": "parts", "of": of, "groups": [numbers[u] for u in units]})
        line |= {key: _text(result[key]) for key in ("right", "majority")}
        if line["majority"] == line["right"]:
            del line["majority"]
        if result["run"]["data"] != "genres":  # only those have many segments a clip
            del line["segment"]
        line["scores"] = {key: round(value, 4) for key, value in result["scores"].items()}
        line["minutes"] = round(result["minutes"], 3)
    lines.append(line)
    texts = [json.dumps(each, allow_nan=False, separators=(",", ":")) + "\n" for each in lines]
    cut = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, (("\n" if cut else "") + "".join(texts)).encode())
    finally:
        os.close(file)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    for text in path.read_text(encoding="utf-8").splitlines():
        if text.endswith("}"):
            yield json.loads(text)


def _of(run: Mapping[str, Any]) -> str:
    return f"{run['data']}, seed {run['seed']}"


def _text(bits: list[int]) -> str:
    return f"{int('1' + ''.join(map(str, bits)), 2):x}"


def _bits(text: str, count: int) -> list[int]:
    bits = [int(digit) for digit in f"{int(text, 16):b}"[1:]]
    if len(bits) != count:
        raise ValueError(f"a run has {len(bits)} test clips and its part has {count}")
    return bits
