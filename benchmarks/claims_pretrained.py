"""Try all claims on the pretrained networks, and write what came of it into `docs/claims.md`.

    python benchmarks/claims_pretrained.py --data DATA --out OUT --docs docs

DATA has the folders `philharmonia` and `gtzan_mini`. Results that are in OUT already are taken, so
that an interrupted run goes on; without --data, only those. Between two marks of the page stands
what this writes; the figures and sounds go into `docs/claims`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from auralise.audio.files import read_audio
from auralise.audio.writing import write_audio
from auralise.cli.main import main as auralise


@dataclass(frozen=True, slots=True)
class Trial:
    """One network on one choice of clips.

    Attributes
    ----------
    title : str
        Of its section, and of its folder in OUT.
    network, data : str
        Names of the network, and of kind and folder of the collection.
    clips : int
        At most.
    part : str
        Of the collection.
    only : tuple of str
        Claims; all if empty.
    """

    title: str
    network: str
    data: tuple[str, str]
    clips: int = 120
    part: str = "test"
    only: tuple[str, ...] = ()


TRIALS = (
    Trial("dieleman2014-raw-instruments", "dieleman2014-raw-instruments",
          ("philharmonia", "philharmonia")),
    Trial("choi2016-instruments", "choi2016-instruments", ("philharmonia", "philharmonia"), 72),
    Trial("choi2016-gtzan-mini", "choi2016-gtzan-mini", ("gtzan", "gtzan_mini")),
    Trial("choi2016-gtzan-mini-all-clips", "choi2016-gtzan-mini", ("gtzan", "gtzan_mini"), 100,
          "all", ("labels",)),
)  # fmt: skip
"""The last one has three groups of each genre, which the test part alone has not."""

BEGIN, END = "<!-- results -->", "<!-- /results -->"
ABOUT_TRAININGS = ("spectrograms", "refinements")
"""Claims that are about trainings, not about the network: shown once."""

SYNTHESISED = (
    "spectrograms", "mel", "invariance", "onsets", "harmony", "key", "distance", "refinements",
)  # fmt: skip
"""Claims whose sounds are made of numbers, so that they may be passed on."""

RESULTS = Path(__file__).parent / "results"


def run(trial: Trial, data: Path, out: Path) -> None:
    """Try the claims on one network with the command line."""
    kind, folder = trial.data
    only = [word for name in trial.only for word in ("--only", name)]
    try:
        auralise(
            ["claims", trial.network, "--data", f"{kind}:{data / folder}", "--part", trial.part,
             "--clips", str(trial.clips), "--results", str(RESULTS), *only,
             "--out", str(out / trial.title)]
        )  # fmt: skip
    except SystemExit as end:
        if end.code:
            raise


def section(name: str, out: Path, docs: Path, first: bool, heard: set[str]) -> list[str]:
    """Return the lines of one network, and copy its figures and sounds."""
    found = json.loads((out / name / "claims.json").read_text(encoding="utf-8"))
    claims = [c for c in found["claims"] if first or c["name"] not in ABOUT_TRAININGS]
    lines = [f"## {name}", "", f"Data: {found['facts']['Data']}", ""]
    lines += [f"- {note}" for note in found["notes"]]
    lines += ["", "| claim | verdict | p, adjusted |", "|---|---|---|"]
    for claim in claims:
        p = "" if claim["p_adjusted"] is None else f"{claim['p_adjusted']:.2g}"
        lines.append(f"| {claim['sentence']} | **{claim['verdict']}** | {p} |")
    for claim in claims:
        lines += ["", *entry(name, claim, out / name / "results" / claim["name"], docs, heard)]
    return lines


def entry(name: str, claim: dict[str, Any], folder: Path, docs: Path, heard: set[str]) -> list[str]:
    """Return the lines of one claim; sounds that all networks get are given with the first."""
    lines = [f"### {claim['sentence']}", "", f"**{claim['verdict']}.** {claim['reason']}"]
    if claim["evidence"] is None or not claim["evidence"]["parts"]:
        return lines
    lines += ["", claim["in_words"] or "Not all of it could be measured."]
    lines += ["", "| part | what is measured | number (95 %) | claimed | controls | n | p |",
              "|---|---|---|---|---|---|---|"]  # fmt: skip
    lines += [row(part) for part in claim["evidence"]["parts"]]
    lines += ["", *(f"- {note}" for note in claim["evidence"]["notes"])]
    place = docs / "claims" / name
    place.mkdir(parents=True, exist_ok=True)
    stem = f"claims/{name}/{claim['name']}"
    if not claim["evidence"]["sounds"]:
        lines += ["", "It has no sounds."]
    elif claim["name"] not in SYNTHESISED:
        lines += [
            "",
            "Its sounds are in the report: recordings of the collection are not passed on.",
        ]
    elif claim["name"] not in heard:
        heard.add(claim["name"])
        lines += ["", f"Sounds: {'; '.join(sounds_of(claim, folder, place, stem))}."]
    if (folder / "figure.png").exists():
        picture = Image.open(folder / "figure.png").convert("RGB").quantize(32)
        picture.save(place / f"{claim['name']}.png", optimize=True)
        lines += ["", f"![{claim['reason']}]({stem}.png)"]
    return lines


def sounds_of(claim: dict[str, Any], folder: Path, place: Path, stem: str) -> list[str]:
    """Copy the sounds of a claim, losslessly packed, and return links to them."""
    links = []
    for sound in claim["evidence"]["sounds"]:
        audio = read_audio(folder / f"{sound['name']}.wav").waveform
        path = place / f"{claim['name']}-{sound['name']}.flac"
        path.unlink(missing_ok=True)
        write_audio(path, audio)
        links.append(f"{{download}}`{sound['caption']} <{stem}-{sound['name']}.flac>`")
    return links


def row(part: dict[str, Any]) -> str:
    """Return a part as a line of a table."""
    value = part["value"]
    controls = "none"
    if part["controls"]:
        low, high = min(part["controls"]), max(part["controls"])
        controls = f"{len(part['controls'])} {part['control']}: {low:.3g} to {high:.3g}"
    p = "none" if part["p"] is None else f"{part['p']:.2g}"
    return (
        f"| {part['name']} | {part['question']} | {value['value']:.3g} ({value['low']:.3g} to "
        f"{value['high']:.3g}) | {part['side']} {part['threshold']:.3g} | {controls} | "
        f"{part['n']} {part['over']} | {p} |"
    )


def main() -> None:
    """Run, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--docs", type=Path)
    given = parser.parse_args()
    if given.data is not None:
        for trial in TRIALS:
            run(trial, given.data, given.out)
    if given.docs is None:
        return
    lines: list[str] = []
    heard: set[str] = set()
    known = [trial.title for trial in TRIALS if (given.out / trial.title / "claims.json").exists()]
    for number, name in enumerate(known):
        lines += [*section(name, given.out, given.docs, number == 0, heard), ""]
    page = given.docs / "claims.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    text = "\n".join(lines)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
