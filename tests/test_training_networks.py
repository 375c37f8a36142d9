"""Every network: a short training, saved and loaded, judges a sound and lets a unit be heard."""

import inspect
from dataclasses import replace

import pytest
import torch

from auralise import auralise_unit
from auralise.activations import list_layers
from auralise.activations.layers import Unit
from auralise.audio.files import read_audio
from auralise.audio.resampling import resample
from auralise.audio.waveform import Waveform
from auralise.datasets import open_dataset
from auralise.datasets.base import Dataset, Track
from auralise.datasets.clips import Clip, place
from auralise.errors import InvalidValueError, UnsupportedActivationError
from auralise.models import MODELS, load_model, read_manifest
from auralise.models.prediction import predict
from auralise.training.options import FitOptions
from auralise.training.pipeline import Job, train_network

FEATURES = {"dieleman2011-msd"}  # published without their sound
TRAINED = [name for name in MODELS if not name.endswith("-fusion") and name not in FEATURES]
METHOD = {"nakashika2012": "gradient"}  # its co-occurrences have no rule but the derivative


@pytest.fixture(scope="module")
def signals(tmp_path_factory):
    """Three kinds of signals of the synthetic collection."""
    whole = open_dataset(f"synthetic:{tmp_path_factory.mktemp('signals')}")
    kept = whole.labels[:3]
    tracks = tuple(track for track in whole.tracks if track.label in kept)
    return Dataset(whole.name, tracks, whole.licence, whole.grouping, whole.kind)


@pytest.fixture(scope="module", params=TRAINED)
def trained(request, signals, tmp_path_factory):
    name, out = request.param, tmp_path_factory.mktemp("networks")
    takes = inspect.signature(MODELS[name].build).parameters
    model = {"width": 0.05} if "width" in takes else {}
    options = FitOptions(epochs=1, batch_size=8, epoch_fraction=0.5, seed=1)
    result = train_network(Job(name, options, model=model), signals, out=out, bar=lambda *_: None)
    return name, out, result


def test_a_network_is_trained_saved_and_judges_a_sound(trained, signals):
    name, out, result = trained
    entry = read_manifest(out)[result.name]
    assert entry["architecture"] == name
    assert 0 <= result.scores["accuracy"] <= 1
    assert result.scores["test_clips"] == sum(map(sum, result.scores["confusion"])) > 0
    network = load_model(result.name, out)
    assert network.card.labels == signals.labels
    sound = read_audio(signals.tracks[0].path).waveform
    judged = predict(network, resample(sound.mono(), network.card.frontend.sample_rate))
    assert float(judged.probabilities.sum()) == pytest.approx(1, abs=1e-4)


def test_a_unit_of_it_can_be_heard(trained, signals):
    """The strongest channel of the first layer that has a ReLU: sound that is finite."""
    name, out, result = trained
    network = load_model(result.name, out)
    frontend = network.card.frontend
    sound = resample(read_audio(signals.tracks[0].path).waveform.mono(), frontend.sample_rate)
    length = round(network.card.seconds * frontend.sample_rate)
    excerpt = Waveform(place(sound.samples, length, 0.5), sound.sample_rate)
    values = frontend.analyse(excerpt).values
    layer = next(
        item for item in list_layers(network.module, values) if item.name.startswith("conv")
    )
    unit = Unit(layer.name.split(".")[0], 0)
    if name in METHOD:
        with pytest.raises(UnsupportedActivationError, match="use the gradient method"):
            auralise_unit(network, excerpt, unit)
    heard = auralise_unit(network, excerpt, unit, method=METHOD.get(name, "guided"))
    assert heard.waveform.samples.isfinite().all()
    assert heard.waveform.n_samples == heard.source.n_samples


@pytest.mark.parametrize("name", sorted(FEATURES & set(MODELS)))
def test_a_network_of_features_refuses_sounds(name, signals, tmp_path):
    with pytest.raises(InvalidValueError, match="takes features and the collection has sounds"):
        train_network(Job(name, FitOptions()), signals, out=tmp_path, bar=lambda *_: None)


def test_tags_are_learned_of_features_that_were_published_without_sound(tmp_path, monkeypatch):
    """Songs whose first feature is high have one tag; scores are areas, and the card says so."""

    def clips(tracks):
        for track in tracks:
            generator = torch.Generator().manual_seed(int(track.path.stem))
            values = torch.randn(24, 150, generator=generator)
            values[0] += 3.0 * ("high" in track.tags)
            yield Clip(values, track)

    monkeypatch.setattr("auralise.training.jobs.feature_clips", clips)
    tracks = []
    for i in range(60):
        path = tmp_path / f"{i}.h5"
        path.write_text(str(i))
        tags = ("high",) * (i % 2) + ("any",) * (i % 3 == 0)
        tracks.append(Track(path, "", f"{i // 2}", tags, f"artist {i // 2}"))
    songs = Dataset("songs", tuple(tracks), "none.", "song", "msd", ("any", "high"))
    job = Job("dieleman2011-msd", FitOptions(epochs=8, batch_size=8, seed=1), model={"width": 0.1})
    result = train_network(job, songs, out=tmp_path, bar=lambda *_: None)
    assert 0 <= result.scores["pr_auc"] <= 1
    low, high = result.scores["roc_auc_interval"]
    assert low <= result.scores["roc_auc"] <= high
    entry = read_manifest(tmp_path)[result.name]
    assert (entry["multilabel"], entry["split"]["how"]) == (True, "artist")
    assert "Mean ROC-AUC over tags" in (tmp_path / f"{result.name}.md").read_text()
    with pytest.raises(InvalidValueError, match="cache is for sounds"):
        train_network(
            replace(job, cache=tmp_path), songs, out=tmp_path / "other", bar=lambda *_: None
        )
