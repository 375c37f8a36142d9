"""Features that come without sound: what works with them, and what is refused."""

import json

import pytest
import torch

from auralise import auralise_unit
from auralise.activations.layers import Unit
from auralise.audio import Waveform
from auralise.cli import main
from auralise.errors import InvalidValueError, ShapeError
from auralise.frontends import build
from auralise.frontends.given import GivenFrontend
from auralise.inversion import INVERTERS
from auralise.inversion.relu_rules import RULES
from auralise.models import MODELS, ModelCard, MusicNetwork, load_model, save_model
from auralise.models.prediction import predict

NOISE = Waveform(torch.randn(1, 32000, generator=torch.Generator().manual_seed(0)), 16000)
PAPER = MODELS["dieleman2011-msd"].configure(width=0.1)


@pytest.fixture
def network():
    torch.manual_seed(0)
    card = ModelCard(
        "beats",
        PAPER.frontend(),
        ("a", "b"),
        PAPER.seconds,
        "dieleman2011-msd",
        options=PAPER.options,
    )
    return MusicNetwork(PAPER.build(2).eval(), card)


def test_features_are_handed_on_as_they_are():
    values = torch.randn(2, 24, 50)
    assert torch.equal(GivenFrontend(24).module(values), values)
    with pytest.raises(ShapeError, match=r"takes \(batch, 24, time\) features, got \(2, 12, 50\)"):
        GivenFrontend(24).module(values[:, :12])


def test_what_describes_it_makes_it_again():
    frontend = GivenFrontend(12, 4)
    assert build(frontend.describe()) == frontend
    assert frontend.frame_of(frontend.seconds_of(3.0)) == 3.0
    assert frontend.hertz_of(1.0) is frontend.bin_of(1.0) is None
    with pytest.raises(InvalidValueError, match="at least 1, got 0 and 1"):
        GivenFrontend(0)


def test_sounds_are_refused_with_what_can_be_done_instead(network):
    for ask in (lambda: auralise_unit(network, NOISE, "conv1:0"), lambda: predict(network, NOISE)):
        with pytest.raises(InvalidValueError, match=r"without their sound.*INVERTERS give maps"):
            ask()


@pytest.mark.parametrize("method", sorted(RULES))
def test_a_unit_has_a_map_over_the_features(network, method):
    values = torch.randn(24, 120, generator=torch.Generator().manual_seed(1))
    found = INVERTERS[method](network.module, values, Unit("conv2", 0))
    assert found.relevance.shape == (24, 120)
    assert found.relevance.isfinite().all()


def test_it_is_saved_and_its_layers_are_listed(network, tmp_path, capsys):
    save_model(network, tmp_path, {})
    values = torch.randn(1, 24, 120)
    assert torch.equal(load_model("beats", tmp_path).module(values), network.module(values))
    with pytest.raises(SystemExit, match="0"):
        main(["layers", str(tmp_path), "--json"])
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["conv1"]["shape"] == [10, 113]  # 120 - 7
    assert rows["conv1"]["seconds"] == 8.0  # beats
