"""The fusion of costa2017 with a machine: scikit-learn's numbers, disk, and inversion."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.svm import SVC

from auralise.activations.layers import Unit, list_layers
from auralise.datasets.base import Track
from auralise.datasets.clips import Clip
from auralise.errors import InvalidValueError, NetworkError
from auralise.inversion import INVERTERS
from auralise.models import MODELS, ModelCard, MusicNetwork, load_model, save_model
from auralise.models.support_vectors import SupportVectorMachine
from auralise.spectral.binary_patterns import zone_histograms
from auralise.training.fit import FitOptions, fit
from auralise.training.fusion import FusionOptions, calibrated, fit_fusion, fit_machine
from auralise.training.voting import clip_logits, mean_vote

LABELS = ("chirp", "noise", "tone")
SMALL = FusionOptions(patches=90, zones=4)
PAPER = MODELS["costa2017"].configure(width=0.05)


def clip(label, number, seconds=1.0):
    """Three textures: lines that rise, no lines, lines that stay."""
    rng = np.random.default_rng([number, LABELS.index(label)])
    time = np.arange(round(16000 * seconds)) / 16000
    pitch = rng.uniform(200, 900)
    phase = {"tone": pitch * time, "chirp": pitch * time + 2500 * (time % 0.5) ** 2}
    if label == "noise":
        sound = rng.standard_normal(len(time))
    else:
        sound = sum(np.sin(2 * np.pi * k * phase[label]) for k in range(1, 6))
        sound = sound + 0.02 * rng.standard_normal(len(time))
    samples = torch.from_numpy(sound / np.abs(sound).max()).float()
    return Clip(samples, Track(Path(f"{label}{number}.wav"), label, f"{label}{number}"))


TRAIN = [clip(label, number) for label in LABELS for number in range(6)]
TEST = [clip(label, number) for label in LABELS for number in range(20, 24)]


@pytest.fixture(scope="module")
def fitted():
    return fit(PAPER, LABELS, TRAIN, TEST, FitOptions(epochs=1, batch_size=6))


@pytest.fixture(scope="module")
def fused(fitted):
    return fit_fusion(fitted.module, fitted.architecture, LABELS, TRAIN, SMALL)


def blobs(count, labels, seed=0):
    rng = np.random.default_rng(seed)
    targets = np.arange(count) % labels
    features = rng.standard_normal((count, 7)) + 1.5 * np.eye(labels, 7)[targets]
    features[:, 6] = 0.25  # never changes
    return features, targets, np.array([str(number // labels // 2) for number in range(count)])


@pytest.mark.parametrize("labels", [2, 4])
def test_the_machine_gives_the_probabilities_of_scikit_learn(labels):
    features, targets, groups = blobs(96, labels)
    machine = fit_machine(features, targets, groups, labels, FusionOptions())
    scale = features.std(0)
    scale[6] = 1
    standard = (features - features.mean(0)) / scale
    folds = [
        (np.flatnonzero(~part), np.flatnonzero(part))
        for part in (np.isin(groups, own) for own in fold_groups(features, targets, groups))
    ]
    other = (blobs(40, labels, seed=1)[0] - features.mean(0)) / scale
    theirs = np.stack(
        [
            calibrated(10.0, folds).fit(standard, targets == label).predict_proba(other)[:, 1]
            for label in range(labels)
        ],
        1,
    )
    ours = machine.log_probabilities(torch.from_numpy(blobs(40, labels, seed=1)[0])).exp()
    assert np.abs(ours.numpy() - theirs / theirs.sum(1, keepdims=True)).max() < 1e-6
    plain = SVC(C=10.0, gamma="scale", class_weight="balanced").fit(standard, targets == 1)
    decided = machine.decide(torch.from_numpy(blobs(40, labels, seed=1)[0]))[:, 1]
    assert np.abs(decided.numpy() - plain.decision_function(other)).max() < 1e-6
    assert len(machine.vectors) < len(features)


def fold_groups(features, targets, groups):
    from sklearn.model_selection import StratifiedGroupKFold

    for _, test in StratifiedGroupKFold(3).split(features, targets, groups):
        yield sorted(set(groups[test]))


def test_one_vector_by_hand():
    machine = SupportVectorMachine(2, 1, 1)
    state = {"mean": [1.0], "scale": [2.0], "vectors": [[0.5]], "dual": [[3.0], [-1.0]]}
    state |= {"intercept": [0.1, 0.2], "slope": [-1.0, -2.0], "offset": [0.0, 0.3], "gamma": 0.7}
    machine.load_state_dict({key: torch.tensor(value).double() for key, value in state.items()})
    near = math.exp(-0.7 * ((4.0 - 1.0) / 2.0 - 0.5) ** 2)
    one = 1 / (1 + math.exp(-(3 * near + 0.1)))
    two = 1 / (1 + math.exp(-2 * (-near + 0.2) + 0.3))
    found = machine(torch.tensor([[4.0]])).exp()[0].tolist()
    assert found == pytest.approx([one / (one + two), two / (one + two)], rel=1e-6)


def test_no_machine_is_no_opinion():
    empty = MODELS["costa2017-fusion"].configure(width=0.05).build(3).eval()
    values = torch.randn(2, 1, 257, 16)
    shares = empty.cnn(values).softmax(1)
    assert torch.allclose(empty(values).exp(), (shares + 1 / 3) / 2, atol=1e-6)


@pytest.mark.parametrize("rule", ["sum", "product"])
def test_rules_are_those_of_the_arithmetic(fused, rule):
    values = PAPER.frontend().module(torch.stack([TEST[0].samples, TEST[9].samples])[:, :3840])
    module = fused.module
    module.rule, before = rule, module.rule
    try:
        found = module(values).exp()
    finally:
        module.rule = before
    seen = module.cnn(values).softmax(1)
    texture = module.machine(zone_histograms(values[:, 0], 4)).exp().float()
    expected = (seen + texture) / 2 if rule == "sum" else seen * texture
    assert torch.allclose(found, expected / expected.sum(1, keepdim=True), atol=1e-5)


def test_the_machine_tells_textures_that_an_untrained_network_does_not(fused):
    truth = np.array([LABELS.index(clip.track.label) for clip in TEST])
    answers = clip_logits(fused.module, fused.architecture, TEST)
    assert (mean_vote(answers).argmax(1) == truth).mean() > 0.9


def test_files_that_stand_twice_count_once(fitted, fused):
    again = fit_fusion(fitted.module, fitted.architecture, LABELS, TRAIN * 3, SMALL)
    for name, value in fused.module.state_dict().items():
        assert torch.equal(again.module.state_dict()[name], value)
    assert again.patches == fused.patches == 90


def test_it_comes_back_from_disk(fused, tmp_path):
    paper = fused.architecture
    card = ModelCard(
        "both",
        paper.frontend(),
        LABELS,
        paper.seconds,
        architecture="costa2017-fusion",
        options=paper.options,
    )
    save_model(MusicNetwork(fused.module, card), tmp_path, {})
    again = load_model("both", tmp_path)
    assert again.card.options["support"] == len(fused.module.machine.vectors) > 0
    values = again.card.frontend.module(TEST[0].samples[None, :3840])
    assert torch.equal(again.module(values), fused.module(values))


@pytest.mark.parametrize("method", ["guided", "deconvnet"])
def test_units_of_the_network_are_inverted_as_without_the_machine(fused, method):
    values = fused.architecture.frontend().module(TEST[0].samples[None, :3840])[0]
    names = [layer.name for layer in list_layers(fused.module, values)]
    assert "cnn.conv1" in names
    assert not any(name.startswith("machine") for name in names)
    with_it = INVERTERS[method](fused.module, values, Unit("cnn.conv2", 1))
    without = INVERTERS[method](fused.module.cnn, values, Unit("conv2", 1))
    assert torch.equal(with_it.relevance, without.relevance)
    assert with_it.relevance.any()


def test_it_cannot_be_trained_as_a_whole(fused):
    module = MODELS["costa2017-fusion"].configure(width=0.05).build(3)
    with pytest.raises(NetworkError, match="fit_fusion"):
        module(torch.zeros(1, 1, 257, 16))


def test_what_cannot_be_fused_is_refused(fitted):
    paper, network = fitted.architecture, fitted.module
    with pytest.raises(InvalidValueError, match="not among"):
        fit_fusion(network, paper, ("chirp", "noise"), TRAIN, SMALL)
    with pytest.raises(InvalidValueError, match="'tone' has clips of 1 groups"):
        fit_fusion(network, paper, LABELS, TRAIN[:13], SMALL)
    one = [Clip(c.samples, replace(c.track, group=str(n % 2))) for n, c in enumerate(TRAIN)]
    assert fit_fusion(network, paper, LABELS, one, SMALL).patches == 90
    with pytest.raises(NetworkError, match="is not costa2017 with 3 labels"):
        fit_fusion(PAPER.build(4).eval(), paper, LABELS, TRAIN, SMALL)


@pytest.mark.parametrize(
    "wrong", [{"rule": "mean"}, {"penalty": 0.0}, {"folds": 1}, {"patches": 1}, {"zones": 0}]
)
def test_options_that_cannot_be_are_refused(wrong):
    with pytest.raises(InvalidValueError, match=next(iter(wrong))):
        FusionOptions(**wrong)
