"""Claims for people: figure, report, folder and command."""

import json

import numpy as np
import pytest

from auralise.audio.stimuli import tone
from auralise.claims import CLAIMS, Verdict, judge
from auralise.claims.base import Curve, Evidence, Panel, Part, Sound
from auralise.claims.run import Result
from auralise.cli.main import main
from auralise.filters.resampling import Interval
from auralise.models.tiny import tiny_network
from auralise.output.claim_bundle import check_claims_folder, write_claims
from auralise.output.claim_figures import claim_figure
from auralise.output.claim_report import claim_report, part_words, verdict_of


@pytest.fixture
def run(capsys):
    """Run a command in this process: (status, stdout, stderr)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return left.value.code or 0, captured.out, captured.err

    return call


@pytest.fixture
def results():
    part = Part(
        "key <b>", "How much", Interval(0.02, 0.01, 0.03), "units", 12, "below", 0.1,
        (0.3, 0.4), "untrained networks", 0.001,
    )  # fmt: skip
    panel = Panel(
        "Only the key changes", "layer", "change", ("conv1", "conv2", "out"),
        (
            Curve("2 untrained networks", (0.3, 0.4, 0.4), (0.2, 0.3, 0.3), (0.4, 0.5, 0.5), True),
            Curve("network", (0.1, float("nan"), 0.02), (0.0, 0.0, 0.01), (0.2, 0.1, 0.03)),
            Curve("chord", (0.5, 0.5, -0.5)),
        ),
        0.1,
    )  # fmt: skip
    sound = Sound("tone", "a tone & more", tone(440.0, 0.1, 8000, level_db=0.0))
    evidence = Evidence((part,), (panel,), (sound,), ("A note.",))
    claim = CLAIMS["key"]
    return [
        Result(claim, evidence, judge([part], 0.001)),
        Result(CLAIMS["invariance"], None, None, "It needs a first layer on raw audio."),
    ]


def test_one_figure_shows_network_controls_and_threshold(results):
    figure = claim_figure(results[0])
    (chart,) = figure.charts
    assert chart.title == "Only the key changes"
    assert chart.band.high.tolist() == [0.4, 0.5, 0.5]
    names = {series.name: series for series in chart.series}
    assert set(names) == {"network", "chord", "threshold"}
    assert names["network"].x.tolist() == [0.0, 2.0]
    assert names["network"].reach.tolist() == [[0.0, 0.01], [0.2, 0.03]]
    assert names["threshold"].y.tolist() == [0.1, 0.1]
    low, high = chart.y.limits
    assert low <= -0.5
    assert high >= 0.5
    assert all(low <= place <= high for place, _ in chart.y.ticks)
    assert claim_figure(results[1]) is None


def test_the_report_begins_with_the_verdicts_and_escapes_what_it_shows(results):
    page = claim_report(results, tiny_network().card, facts={"Data": "none"})
    main = page[page.index("<main>") :]
    assert main.index(">supported</strong>") < main.index(">not tried</strong>")
    assert main.index(">not tried</strong>") < main.index("Data")
    assert "changes what the network answers by 2.0% of what changing everything does" in main
    assert "untrained networks: 30% to 40%." in main
    assert main.index("Not tried") < main.index("It needs a first layer")
    assert "It needs a first layer on raw audio." in main
    assert "key &lt;b&gt;" in main
    assert "a tone &amp; more" in main
    assert main.count("<audio") == 1
    assert "http" not in main.replace("http-equiv", "").split("<script")[0]


def test_words_of_a_part_have_threshold_interval_and_controls(results):
    words = part_words(results[0].evidence.parts[0])
    assert words == "0.02 (0.01 to 0.03), claimed below 0.1; untrained networks 0.3 to 0.4"
    assert [verdict_of(result) for result in results] == ["supported", "not tried"]


def test_the_folder_has_report_and_verdicts(results, tmp_path):
    write_claims(tmp_path / "out", results, tiny_network().card, facts={"Data": "none"})
    plain = json.loads((tmp_path / "out" / "claims.json").read_text())
    assert plain["claims"][0]["verdict"] == Verdict.SUPPORTED.value
    assert plain["claims"][0]["evidence"]["panels"][0]["curves"][1]["y"][1] is None
    assert plain["claims"][1]["evidence"] is None
    check_claims_folder(tmp_path / "out")


def test_a_folder_of_something_else_is_refused(run, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    status, _, err = run("claims", "choi2016-instruments", "--out", str(tmp_path))
    assert status == 1
    assert "something else than claims" in err
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_bad_names_are_refused_before_anything_is_done(run, tmp_path):
    status, _, err = run("claims", "choi2016-instruments", "--only", "kee",
                         "--out", str(tmp_path / "out"))  # fmt: skip
    assert (status, (tmp_path / "out").exists()) == (1, False)
    assert err == "auralise: no claim named 'kee'; did you mean 'key'?\n"
    status, _, err = run("claims", "choi2016-instruments", "--results", str(tmp_path / "none"))
    assert status == 1
    assert "no folder" in err


@pytest.mark.slow
def test_the_command_writes_a_report_and_resumes(run, tmp_path):
    out = tmp_path / "out"
    given = ("claims", "dieleman2014-raw-instruments", "--only", "mel", "--only", "onsets",
             "--twins", "3", "--out", str(out))  # fmt: skip
    status, first, err = run(*given)
    assert status == 0
    assert "mel: tried" in err
    assert "onsets  not tried" in first
    assert (out / "report.html").exists()
    assert (out / "results" / "mel" / "figure.png").read_bytes().startswith(b"\x89PNG")
    status, again, err = run(*given, "--json")
    assert "mel: taken from before" in err
    plain = json.loads(again)
    assert {claim["name"]: claim["verdict"] for claim in plain["claims"]}["onsets"] == "not tried"
    assert np.isfinite(plain["claims"][0]["p_adjusted"])
