"""Scripts of benchmarks/ that nothing else runs: that they run, and what they keep."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.mark.slow
def test_the_script_of_the_gpu_s_rows_runs_dry_on_a_cpu(tmp_path):
    (tmp_path / "models.md").write_text("a\n<!-- training: speed -->\nold\n<!-- /training -->\nz\n")
    recipes = ["samplecnn", "li2010", "dieleman2011-msd"]
    options = ["--dry", "--json", "--device", "cpu", "--report", tmp_path, "--recipes", *recipes]
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "training.py", *map(str, options)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [row["recipe"] for row in rows] == recipes
    assert all(row["clips/s"] > 0 and row["share"] > 0 and row["hours"] > 0 for row in rows)
    page = (tmp_path / "models.md").read_text()
    assert page.count("| `") == 3
    assert page.startswith("a\n")
    assert page.endswith("-->\nz\n")
    assert "old" not in page


def result(seed, right, units, data="genres", **changes):
    run = {"data": data, "seed": seed, "architecture": "a"}
    return {
        "key": f"k{seed}{data}",
        "run": run,
        "scores": {"macro_f1": 0.123456},
        "right": right,
        "majority": right[::-1],
        "segment": [x / 2 for x in right],
        "units": units,
        "minutes": 0.12345,
        **changes,
    }


def test_runs_come_back_as_they_were_kept(scripts, tmp_path):
    from network_store import add_result, read_results

    path = tmp_path / "results" / "runs.jsonl"
    assert read_results(path) == {}
    first = result(0, [0, 0, 1, 1, 0], ["b", "a", "a", "c", "b"])
    add_result(path, first)
    add_result(path, result(0, [0] * 5, first["units"], "instruments"))
    add_result(path, {"key": "bad", "run": first["run"], "failed": "no"})
    with path.open("a") as file:
        file.write('{"kind": "run", "key"')  # killed while writing
    add_result(path, result(1, [1, 0], ["a", "b"]))
    found = read_results(path)
    assert list(found) == ["k0genres", "k0instruments", "bad", "k1genres"]
    assert found["k0genres"]["right"] == first["right"]
    assert found["k0genres"]["majority"] == first["majority"]
    assert found["k0genres"]["segment"] == first["segment"]
    assert found["k0genres"]["units"] == [0, 1, 1, 2, 0]
    assert found["k0instruments"]["right"] == [0] * 5
    assert found["k0instruments"]["segment"] is None
    assert found["bad"]["failed"] == "no"


def test_a_row_of_the_page_stays_until_there_are_as_many_seeds(scripts):
    from network_tables import STOOD, rows_of, standing

    page = (
        "## Four genres: a smoke test\n\n| network | seeds | accuracy |\n| --- | --- | --- |\n"
        "| `a` | 5 | 50.0 |\n| `b` | 3 \u2020 | 40.0 |\n\n### T\n"
        "| first less second | data | seeds | gain |\n| --- | --- | --- | --- |\n"
        "| x less y | genres | 4 | +1.0 |\n"
    )
    rows = rows_of(page)
    assert len(rows) == 3
    genres = "Four genres: a smoke test"
    assert standing(rows, genres, ["`a`", "2", "60.0"], 1) == ["`a`", f"5 {STOOD}", "50.0"]
    assert standing(rows, genres, ["`a`", "5", "60.0"], 1) == ["`a`", "5", "60.0"]
    assert standing(rows, genres, ["`b`", "2", "60.0"], 1) == ["`b`", f"3 {STOOD}", "40.0"]
    assert standing(rows, genres, ["`c`", "1", "60.0"], 1) == ["`c`", "1", "60.0"]
    new = ["x less y", "instruments", "1", "+2.0"]
    assert standing(rows, "T", new, 2) == new
    assert standing(rows, "T", ["x less y", "genres", "1", "+2.0"], 2)[2] == f"4 {STOOD}"


def test_the_full_budget_is_the_recipes(scripts):
    from network_runs import all_runs
    from networks import _options

    from auralise.training.recipes import load_recipe

    runs, left_out = all_runs("full")
    assert not left_out
    for run in runs:
        recipe = load_recipe(run.architecture)
        assert _options(run) == recipe.training.__class__(
            **{name: getattr(recipe.training, name) for name in recipe.training.__slots__}
            | {"seed": run.seed}
        )
    keys = {run.key for run in all_runs("small")[0]}
    kept = (BENCHMARKS / "results" / "networks.jsonl").read_text().splitlines()
    assert {line["key"] for line in map(json.loads, kept) if line["kind"] == "run"} <= keys
