"""Claims on networks whose truth is known, on random ones, and on results of trainings."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from auralise.claims import CLAIMS, Context, Need
from auralise.claims.collection import LabelledClips, balanced
from auralise.claims.known import KNOWN
from auralise.claims.known_sounds import mixed_collection, timbre_collection
from auralise.claims.run import key_of, try_claims
from auralise.claims.selectivity import exclusivity, grouped_means
from auralise.claims.stages import twins_of
from auralise.claims.trainings import read_results
from auralise.datasets.base import Track
from auralise.datasets.clips import Clip
from auralise.errors import InvalidValueError
from auralise.filters.known import gabor_bank
from auralise.frontends.raw import RawFrontend
from auralise.models.base import wrap
from auralise.models.tiny import tiny_network

TRUTH = [
    ("mel", "mel-bank", "supported"),
    ("mel", "linear-bank", "contradicted"),
    ("invariance", "phase-pairs", "supported"),
    ("onsets", "onset-detector", "supported"),
    ("harmony", "notes", "supported"),
    ("labels", "instruments", "supported"),
    ("key", "chroma-invariant", "supported"),
    ("key", "chroma", "contradicted"),
    ("segments", "evidence", "supported"),
    ("distance", "neighbours", "supported"),
    ("distance", "distant-pairs", "contradicted"),
    ("believed", "bands", "supported"),
]
COLLECTIONS = {"labels": timbre_collection, "segments": mixed_collection}


def verdict(claim, network):
    collection = COLLECTIONS[claim](0) if claim in COLLECTIONS else None
    (result,) = try_claims(Context(network, collection=collection), [claim])
    return result.judgement.verdict.value


@pytest.mark.parametrize(("claim", "name", "truth"), TRUTH)
def test_the_verdict_is_right_where_the_truth_is_known(claim, name, truth):
    assert verdict(claim, KNOWN[name](0)) == truth


@pytest.mark.parametrize(("claim", "name"), sorted({row[:2] for row in TRUTH if "supp" in row[2]}))
def test_a_random_twin_of_it_is_not_supported(claim, name):
    assert verdict(claim, twins_of(KNOWN[name](0), (12345,))[0]) != "supported"


def test_gabor_filters_of_the_bank_are_where_the_mel_scale_has_them():
    weights = KNOWN["mel-bank"](0).module.conv1.weight[:, 0]
    assert weights.shape == (96, 512)
    assert gabor_bank(torch.tensor([440.0]).double(), torch.tensor([60.0]).double(),
                      length=512, sample_rate=16000)  # fmt: skip


def test_a_collection_that_is_too_small_leaves_it_undecided_and_says_what_it_takes(tmp_path):
    collection = timbre_collection(0, pitches=2)
    context = Context(KNOWN["instruments"](0), collection=collection)
    for _ in range(2):  # tried, then taken from disk
        (result,) = try_claims(context, ["labels"], folder=tmp_path)
        assert result.judgement.verdict.value == "undecided"
        assert result.judgement.needed == 12
        assert "each of the 4 labels needs 3 groups of clips" in result.judgement.reason
        assert "flute 2" in result.judgement.reason


def test_missing_and_foreign_labels_are_needs():
    network = KNOWN["instruments"](0)
    assert Context(network).lacks([Need.COLLECTION, Need.LABELS]) == [
        Need.COLLECTION,
        Need.LABELS,
    ]
    other = wrap(network.module, network.card.frontend, ("a", "b", "c", "d"), seconds=2.0)
    context = Context(other, collection=timbre_collection(0, pitches=2))
    assert context.lacks([Need.COLLECTION, Need.LABELS]) == [Need.LABELS]
    (result,) = try_claims(context, ["segments"])
    assert result.why == "It needs a collection with the labels of the network."


def test_no_claim_fits_a_network_on_raw_audio_that_is_one_number():
    network = wrap(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.ReLU()).eval(),
                   RawFrontend(8000), seconds=0.5)  # fmt: skip
    for result in try_claims(Context(network, twins=2)):
        assert result.evidence is None
        assert result.why


def test_a_collection_of_one_label_is_refused():
    clip = Clip(torch.ones(10), Track(Path("a.wav"), "a", "a"))
    with pytest.raises(InvalidValueError, match="at least two"):
        LabelledClips("one", (clip,))


def test_clips_are_chosen_evenly_from_labels_and_groups():
    tracks = [
        Track(Path(f"{label}{group}{take}.wav"), label, f"{label}{group}")
        for label, groups in (("a", 8), ("b", 3))
        for group in range(groups)
        for take in range(3)
    ]
    chosen = balanced(tracks, 8)
    assert [track.label for track in chosen].count("a") == 4
    assert len({track.group for track in chosen if track.label == "b"}) == 3
    assert balanced(tracks, 8) == chosen
    assert len(balanced(tracks, 1000)) == len(tracks)


def test_a_unit_that_fires_for_one_label_only_is_exclusive():
    labels = ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    only_b = np.array([0.0] * 4 + [1.0] * 4 + [0.0] * 4)
    not_c = np.array([1.0] * 8 + [0.0] * 4)
    found = exclusivity(np.stack([only_b, not_c], 1), labels)
    assert found[0].tolist() == [0.0, 1.0, 0.0]
    assert found[1].max() == 0.5
    means, names = grouped_means(torch.tensor([[1.0], [3.0], [5.0]]), "aab", ["x", "x", "y"])
    assert (means[:, 0].tolist(), names) == ([2.0, 5.0], ["a", "b"])


def training(architecture, seed, right, **run):
    return {"run": {"architecture": architecture, "seed": seed, "data": "notes", "options": [],
                    "method": "fit", "share": 1.0, **run},
            "right": right, "units": [f"clip {i}" for i in range(len(right))]}  # fmt: skip


def write(folder, results):
    text = "".join(json.dumps(result) + "\n" for result in results)
    (folder / "results.jsonl").write_text(text + '{"kind": "other"}\n')


def test_trainings_that_are_better_seed_by_seed_support_the_claim(tmp_path):
    random = np.random.default_rng(0)
    better = [
        training(name, seed, (random.random(60) < share).astype(int).tolist())
        for seed in range(4)
        for name, share in (("dieleman2014-mel", 0.9), ("dieleman2014-raw", 0.4))
    ]
    write(tmp_path, better)
    context = Context(tiny_network(), twins=2, results=tmp_path)
    (result,) = try_claims(context, ["spectrograms"])
    assert result.judgement.verdict.value == "supported"
    assert result.evidence.parts[0].value.value == pytest.approx(0.5, abs=0.12)
    (other,) = try_claims(context, ["refinements"])
    assert "no comparison with 3 seeds" in other.why


def test_results_that_have_changed_are_read_again_and_other_claims_do_not_mind(tmp_path):
    write(tmp_path, [training("li2010", 0, [1, 0])])
    context = Context(tiny_network(), twins=2, results=tmp_path)
    claims = [CLAIMS[name] for name in ("spectrograms", "onsets")]
    first = [key_of(context, claim) for claim in claims]
    write(tmp_path, [training("li2010", 0, [1, 1])])
    second = [key_of(context, claim) for claim in claims]
    assert [one == other for one, other in zip(first, second, strict=True)] == [False, True]


def test_trainings_that_are_alike_leave_it_undecided(tmp_path):
    random = np.random.default_rng(1)
    write(tmp_path, [
        training("zhang2016-nnet1", seed, (random.random(60) < 0.6).astype(int).tolist(),
                 options=options)
        for seed in range(4) for options in ([], [["pooling", "max"]])
    ])  # fmt: skip
    (result,) = try_claims(Context(tiny_network(), twins=2, results=tmp_path), ["refinements"])
    assert result.judgement.verdict.value == "undecided"
    assert result.judgement.needed > 2 * 4  # four seeds, and an interval that holds the threshold
    assert "shortcut" in " ".join(result.evidence.notes)


def test_results_in_the_short_form_are_read(tmp_path):
    lines = [
        {"kind": "parts", "of": "notes, seed 0", "groups": [0, 0, 1]},
        {"kind": "run", "right": "d", "run": training("li2010", 0, [])["run"]},
        {"kind": "run", "failed": "no", "run": training("li2010", 1, [])["run"]},
    ]
    (tmp_path / "networks.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    (result,) = read_results(tmp_path)
    assert result["right"] == [1, 0, 1]
    assert result["units"] == [0, 0, 1]
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InvalidValueError, match="is no JSON"):
        read_results(tmp_path)
