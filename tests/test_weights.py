"""Networks on disk: checked, never pickled."""

import json

import pytest
import torch

from auralise.errors import UnknownNameError, WeightsError
from auralise.frontends.given import GivenFrontend
from auralise.models import MODELS, ModelCard, MusicNetwork, load_model, save_model, wrap
from auralise.models.base import NetworkError
from auralise.models.cards import card_text
from auralise.models.weights import pretrained_folder, read_manifest


@pytest.fixture
def saved(tmp_path):
    paper = MODELS["dieleman2014-raw"]
    torch.manual_seed(0)
    card = ModelCard(
        "small", paper.frontend(), ("a", "b"), paper.seconds, architecture="dieleman2014-raw"
    )
    network = MusicNetwork(paper.build(2).eval(), card)
    save_model(network, tmp_path, {"training": {"seed": 0}})
    return tmp_path, network


def test_a_network_comes_back_as_it_was_saved(saved):
    folder, network = saved
    again = load_model("small", folder)
    assert again.card.labels == ("a", "b")
    assert again.card.frontend == network.card.frontend
    sound = torch.randn(1, 1, 48000, generator=torch.Generator().manual_seed(1))
    assert torch.equal(again.module(sound), network.module(sound))


def test_a_folder_can_be_named_in_place_of_a_network(saved):
    assert load_model(str(saved[0])).card.name == "small"


def test_a_second_network_keeps_the_first(saved):
    folder, network = saved
    card = ModelCard("other", network.card.frontend, ("a", "b"), 3.0, "dieleman2014-raw")
    save_model(MusicNetwork(network.module, card), folder, {})
    assert set(read_manifest(folder)) == {"small", "other"}


def test_altered_weights_are_refused(saved):
    path = saved[0] / "small.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(WeightsError, match="have been altered"):
        load_model("small", saved[0])


def test_missing_weights_are_named(saved):
    (saved[0] / "small.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"there is no small\.safetensors"):
        load_model("small", saved[0])


def test_weights_of_another_architecture_are_refused(saved):
    manifest = saved[0] / "manifest.json"
    entries = json.loads(manifest.read_text())
    entries["networks"]["small"]["architecture"] = "choi2016"
    manifest.write_text(json.dumps(entries))
    with pytest.raises(WeightsError, match="does not fit the architecture 'choi2016'"):
        load_model("small", saved[0])


@pytest.mark.parametrize("text", ["", "[]", '{"networks": 3}', '{"networks": {"small": {}}}'])
def test_a_broken_manifest_is_refused(saved, text):
    (saved[0] / "manifest.json").write_text(text)
    with pytest.raises(WeightsError, match=r"manifest"):
        load_model("small", saved[0])


def test_a_misspelt_network_is_answered_with_the_close_one(saved):
    with pytest.raises(UnknownNameError, match="no model named 'smal'; did you mean 'small'"):
        load_model("smal", saved[0])


def test_a_folder_without_manifest_is_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"no manifest\.json"):
        load_model(str(tmp_path))


def test_wrapping_a_network_in_training_mode_is_refused():
    frontend = MODELS["choi2016"].frontend()
    with pytest.raises(NetworkError, match="training mode"):
        wrap(torch.nn.Linear(2, 2), frontend)


@pytest.mark.parametrize("name", MODELS)
def test_every_architecture_takes_what_its_frontend_gives(name):
    paper = MODELS[name]
    frontend = paper.frontend()
    length = round(paper.seconds * frontend.sample_rate)
    given = isinstance(frontend, GivenFrontend)
    sound = torch.zeros(2, frontend.channels, length) if given else torch.zeros(2, length)
    with torch.no_grad():
        assert paper.build(7).eval()(frontend.module(sound)).shape == (2, 7)


@pytest.mark.parametrize("name", read_manifest())
def test_the_card_of_every_network_says_what_the_manifest_says(name):
    card = (pretrained_folder() / f"{name}.md").read_text(encoding="utf-8")
    assert card == card_text(name, read_manifest()[name])
