"""auralise evaluate: from networks in a folder to scores and a report."""

import json

import numpy as np
import pytest
import soundfile

from auralise.cli import main
from auralise.datasets import open_dataset
from auralise.models import MODELS, save_model
from auralise.models.base import ModelCard, MusicNetwork
from auralise.output.evaluation_figures import ConfusionFigure
from auralise.training.protocol import Division, check_labels, choose_clips, met_before

RATE = 16000


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A collection of six tones of each of two kinds, and two networks that were never trained."""
    import torch

    folder = tmp_path_factory.mktemp("evaluate")
    for label, hertz in (("high", 2000), ("low", 200)):
        (folder / "tones" / label).mkdir(parents=True)
        for take in range(6):
            time = np.arange(RATE // 2) / RATE
            tone = 0.3 * np.sin(2 * np.pi * hertz * (1 + take / 50) * time)
            soundfile.write(folder / "tones" / label / f"{label}{take}.wav", tone, RATE)
    paper = MODELS["dieleman2014-raw"].configure(filters=4, maps=4)
    for number, name in enumerate(("one", "two")):
        torch.manual_seed(number)
        card = ModelCard(
            name,
            paper.frontend(),
            ("high", "low"),
            paper.seconds,
            architecture="dieleman2014-raw",
            options=paper.options,
            trained_on="tones: for tests.",
        )
        network = MusicNetwork(paper.build(2).eval(), card)
        save_model(network, folder / "networks", {"training": {"seed": 0}})
    return folder


def run(*words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return stopped.value.code, capsys.readouterr()


def test_two_networks_side_by_side(place, tmp_path, capsys):
    out = tmp_path / "out"
    networks = place / "networks"
    status, printed = run(
        "evaluate", networks / "one", networks / "two", "--data", f"folder:{place / 'tones'}",
        "--out", out, "--json", "--draws", "200", capsys=capsys,
    )  # fmt: skip
    assert status == 0
    answer = json.loads(printed.out)
    assert answer["protocol"]["part"] == "test"
    assert [n["model"]["name"] for n in answer["networks"]] == ["one", "two"]
    first = answer["networks"][0]
    confusion = np.array(first["confusion"])
    assert first["clips"] == confusion.sum() == 2
    assert first["scores"]["accuracy"]["value"] == np.trace(confusion) / 2
    assert first["remarks"] == []
    (pair,) = answer["comparisons"]
    assert pair["only_first"] + pair["only_second"] + pair["both"] + pair["neither"] == 2
    page = (out / "report.html").read_text()
    assert page.count('class="figure"') == 4
    assert "<h1>one, two on tones</h1>" in page
    assert json.loads((out / "manifest.json").read_text())["comparisons"] == [pair]
    assert (out / "confusion-2.png").read_bytes().startswith(b"\x89PNG")


def test_clips_that_a_network_was_trained_on_are_marked(place, tmp_path, capsys):
    status, printed = run(
        "evaluate", place / "networks" / "one", "--data", f"folder:{place / 'tones'}",
        "--out", tmp_path / "out", "--split", "all", "--draws", "100", capsys=capsys,
    )  # fmt: skip
    assert status == 0
    assert "Trained on these clips: 10 of 12" in printed.err
    assert "Trained on these clips" in (tmp_path / "out" / "report.html").read_text()
    assert "accuracy, mean vote" in printed.out


def test_a_clip_that_cannot_be_read_is_left_out_and_named(place, tmp_path, capsys):
    folder = tmp_path / "tones"
    for source in (place / "tones").rglob("*.wav"):
        target = folder / source.parent.name / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    (folder / "low" / "low3.wav").write_bytes(b"not a sound")
    words = [
        "evaluate", place / "networks" / "one", "--data", f"folder:{folder}",
        "--split", "all", "--draws", "100",
    ]  # fmt: skip
    status, printed = run(*words, "--out", tmp_path / "out", capsys=capsys)
    assert status == 0
    assert "low3.wav could not be read" in printed.err
    assert "low3.wav could not be read" in (tmp_path / "out" / "report.html").read_text()
    status, printed = run(*words, "--out", tmp_path / "strict", "--strict", capsys=capsys)
    assert status == 1
    assert not (tmp_path / "strict").exists()


def test_other_labels_are_refused_by_name(place):
    from auralise.models import load_model

    card = load_model("one", place / "networks").card
    other = open_dataset(f"folder:{place / 'tones'}")
    check_labels(card, other)
    from dataclasses import replace

    strange = replace(card, labels=("high", "shrill"))
    with pytest.raises(ValueError, match="'one' has shrill; only tones has low"):
        check_labels(strange, other)
    with pytest.raises(ValueError, match="another order"):
        check_labels(replace(card, labels=("low", "high")), other)


def test_what_was_met_before_is_known_only_with_collection_and_seed(place):
    dataset = open_dataset(f"folder:{place / 'tones'}")
    entry = {"training": {"seed": 0}, "trained_on": "tones: for tests."}
    test, train = (choose_clips(dataset, part, Division()) for part in ("test", "train"))
    assert met_before(entry, test) == 0
    assert met_before(entry, train) == len(train.tracks)
    assert met_before({**entry, "trained_on": "others: x"}, test) is None
    assert met_before({"trained_on": "tones: x"}, test) is None
    with pytest.raises(ValueError, match="part must be one of test"):
        choose_clips(dataset, "some", Division())


def test_a_split_that_leaks_is_marked_in_every_result(place, tmp_path, capsys):
    words = ["evaluate", place / "networks" / "one", "--data", f"folder:{place / 'tones'}",
             "--how", "random", "--draws", "100", "--out", tmp_path / "out"]  # fmt: skip
    status, printed = run(*words, "--json", capsys=capsys)
    assert status == 0
    assert json.loads(printed.out)["protocol"]["leaky"] is True
    assert "The split leaks" in printed.err
    assert "The split leaks" in (tmp_path / "out" / "report.html").read_text()


def test_a_confusion_matrix_in_words():
    figure = ConfusionFigure("Matrix", ("a", "b"), np.array([[3, 1], [0, 2]]))
    assert figure.describe() == "Matrix: 5 of 6 right; a taken for b 1 times."
    assert figure.shares.tolist() == [[0.75, 0.25], [0, 1]]
