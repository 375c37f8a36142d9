"""The networks against the arithmetic of their papers, written out by hand."""

import inspect
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from auralise import auralise_unit
from auralise.activations import list_layers, receptive_field
from auralise.activations.layers import Unit
from auralise.activations.recorder import run_to
from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError
from auralise.frontends.given import GivenFrontend
from auralise.inversion import INVERTERS
from auralise.models import MODELS, ModelCard, MusicNetwork, load_model, save_model
from auralise.models.cost import count_parameters
from auralise.models.prediction import predict

SMALL = 0.1
PAGE = Path(__file__).parents[1] / "docs" / "networks.md"


def configured(name, **options):
    """An architecture, as narrow as it can be made unless a width is given."""
    takes = inspect.signature(MODELS[name].build).parameters
    if "width" in takes:
        options.setdefault("width", SMALL)
    return MODELS[name].configure(**options)


def sound_for(paper, batch=1):
    samples = round(paper.seconds * paper.frontend().sample_rate)
    if isinstance(paper.frontend(), GivenFrontend):
        return torch.randn(batch, paper.frontend().channels, samples)
    return 0.1 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(0))


def built(paper, labels=3):
    torch.manual_seed(0)
    return paper.build(labels).eval()


def shapes(name, **options):
    paper = configured(name, **options)
    values = paper.frontend().module(sound_for(paper))[0]
    return {layer.name: layer.shape for layer in list_layers(built(paper), values)}


# By hand: maps x taps + offsets of convolutions, two numbers per map of a batch normalisation.
NNET1 = 128 * 4 * 513 + 128 + 128 * 128 * 4 + 128 + 256 * 128 * 4 + 256
NNET2 = 256 * 4 * 513 + 2 * 256 * 256 * 4 + 3 * 2 * 256
SAMPLE = (
    (128 * 3 + 3 * 128)  # taps; offset and normalisation
    + 2 * (128 * 128 * 3 + 3 * 128)
    + (256 * 128 * 3 + 3 * 256)
    + 5 * (256 * 256 * 3 + 3 * 256)
    + (512 * 256 * 3 + 3 * 512)
    + (512 * 512 + 3 * 512)
)


def stack(*widths):
    """Dense layers from one width to the next, with offsets."""
    return sum(inputs * units + units for inputs, units in pairwise(widths))


PARAMETERS = {
    ("zhang2016-nnet1", ()): NNET1 + stack(512, 300, 150, 10),
    ("zhang2016-nnet1", (("pooling", "max"),)): NNET1 + stack(256, 300, 150, 10),
    ("zhang2016-nnet2", ()): NNET2 + stack(512, 300, 150, 10),
    ("zhang2016-nnet2", (("shortcut", False),)): NNET2 + stack(512, 300, 150, 10),
    ("dieleman2014-mel", ()): 32 * 128 * 8 + 32 + 32 * 32 * 8 + 32 + stack(32 * 3, 100, 10),
    # (48000 - 256) // 256 + 1 = 187 frames: 180, 45, 38, 9
    ("dieleman2014-raw", (("stride", 256), ("maps", 32), ("norm", False), ("peak", False))): (
        128 * 256 + 128 + 32 * 128 * 8 + 32 + 32 * 32 * 8 + 32 + stack(32 * 9, 100, 10)
    ),
    ("samplecnn", ()): SAMPLE + stack(512, 10),
    ("kereliuk2015", ()): (
        32 * 4 * 400 + 32 + 32 * 32 * 64 + 32 + stack(32 * 23 * 19, 50, 10)
    ),
    ("costa2017", ()): (
        64 * 25 + 64 + 64 * 64 * 25 + 64 + stack(64 * 63 * 3, 64, 10)
    ),
    ("li2010", ()): (
        3 * 13 * 10 + 2 * 3 + 15 * 3 * 10 + 2 * 15 + 65 * 15 * 10 + 2 * 65 + stack(65, 10)
    ),
    ("nakashika2012", ()): (
        32 * 4 * 9 + 2 * 32 + 64 * 32 * 9 + 2 * 64 + stack(64 * 4 * 4, 128, 10)
    ),
    ("nakashika2012", (("maps", "spectrogram"),)): (  # one map for four
        32 * 9 + 2 * 32 + 64 * 32 * 9 + 2 * 64 + stack(64 * 4 * 4, 128, 10)
    ),
    ("dieleman2011", ()): (
        100 * 64 * 8 + 100 + 100 * 100 * 8 + 100 + stack(100, 50, 10)
    ),
    ("dieleman2011-msd", ()): (
        100 * 24 * 8 + 100 + 100 * 100 * 8 + 100 + stack(100, 50, 10)
    ),
    ("choi2016", ()): (
        64 * 9 + 4 * 64 * 64 * 9 + 5 * 2 * 64 + stack(64 * 8 * 5, 256, 128, 10)
    ),
}  # fmt: skip


@pytest.mark.parametrize(("case", "expected"), PARAMETERS.items(), ids=lambda x: str(x)[:50])
def test_the_number_of_parameters_is_that_of_the_arithmetic(case, expected):
    name, options = case
    assert count_parameters(MODELS[name].configure(**dict(options)).build(10)) == expected


# Maps at a tenth of the width; places behind the channel axis as in the paper.
SHAPES = {
    "zhang2016-nnet1": {
        "conv1": (13, 1, 125), "pool1": (13, 1, 62), "conv2": (13, 1, 59), "pool2": (13, 1, 29),
        "conv3": (26, 1, 26), "pool3": (52,), "dense1": (30,), "dense2": (15,), "output": (3,),
    },
    "zhang2016-nnet2": {
        "conv1": (26, 1, 125), "block.conv1": (26, 1, 122), "block.conv2": (26, 1, 125),
        "block": (26, 1, 125), "pool": (52,),
    },
    "dieleman2014-mel": {  # 1 + 48000 // 512 = 94 frames
        "bins": (128, 94), "conv1": (3, 87), "pool1": (3, 21), "conv2": (3, 14), "pool2": (3, 3),
        "flatten": (9,), "dense": (10,),
    },
    "samplecnn": {
        "conv1": (13, 3**9), "pool2": (13, 3**8), "pool5": (26, 3**5), "conv10": (51, 3),
        "pool10": (51, 1), "conv11": (51, 1), "output": (3,),
    },
    "kereliuk2015": {
        "conv1": (3, 114, 97), "pool1": (3, 56, 47), "conv2": (3, 49, 40), "pool2": (3, 23, 19),
    },
    "costa2017": {
        "conv1": (6, 257, 16), "pool1": (6, 128, 7), "conv2": (6, 128, 7), "pool2": (6, 63, 3),
        "flatten": (1134,), "dense": (6,),
    },
    "li2010": {"cepstrum": (13, 190), "conv1": (1, 46), "conv2": (2, 10), "conv3": (6, 1)},
    "nakashika2012": {
        "cooccurrence": (4, 16, 16), "pool1": (3, 8, 8), "pool2": (6, 4, 4), "flatten": (96,),
    },
    "dieleman2011": {  # 1 + 64000 // 512 = 126 frames
        "features": (64, 126), "conv1": (10, 119), "pool1": (10, 29), "conv2": (10, 22),
        "pool2": (10, 5), "peak": (10, 1),
    },
    "dieleman2011-msd": {
        "conv1": (10, 113), "pool1": (10, 28), "conv2": (10, 21), "pool2": (10, 5),
    },
    "choi2016": {"conv1": (6, 257, 173), "pool5": (6, 8, 5), "flatten": (240,)},
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_layers_have_the_names_and_shapes_of_the_paper(name):
    found = shapes(name)
    assert {layer: found[layer] for layer in SHAPES[name]} == SHAPES[name]


# size and stride behind the input's channel axis
FIELDS = {
    ("zhang2016-nnet1", "conv3"): ((513, 25), 4),  # 4, + 1, + 3 x 2, + 1 x 2, + 3 x 4
    ("zhang2016-nnet2", "block.conv1"): ((513, 7), 1),  # 4 + 3
    ("dieleman2014-mel", "pool1"): ((128, 11), 4),  # 8 + 3
    ("dieleman2014-mel", "conv2"): ((128, 39), 4),  # 11 + 7 x 4
    ("samplecnn", "pool2"): ((15,), 9),  # 3, then 2 more at 3 (9), 2 more at 3
    ("costa2017", "pool1"): ((7, 7), 2),  # 5 + 2
    ("costa2017", "conv2"): ((15, 15), 2),  # + 4 x 2
    ("li2010", "conv2"): ((40, 46), 16),  # 10 + 9 x 4
    ("nakashika2012", "conv1"): ((64, 130), 0),  # matrices are of the whole excerpt
    ("dieleman2011", "conv2"): ((64, 39), 4),  # 8 + 3 + 7 x 4
    ("dieleman2011-msd", "pool2"): ((51,), 16),  # 39 + 3 x 4
    ("kereliuk2015", "pool1"): ((403, 7), 2),  # 400 + 3, 4 + 3
    ("kereliuk2015", "conv2"): ((417, 21), 2),  # + 7 x 2
}


def _slow_if_tall(case):
    """Fields as tall as the spectrogram are measured on longer ones: seconds."""
    return [pytest.mark.slow] if case[0].startswith("zhang") else []


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        pytest.param(*item, marks=_slow_if_tall(item[0]), id="-".join(item[0]))
        for item in FIELDS.items()
    ],
)
def test_fields_are_those_of_the_arithmetic(case, expected):
    name, layer = case
    paper = configured(name)
    values = paper.frontend().module(sound_for(paper))[0]
    field = receptive_field(built(paper), values, layer)
    assert (field.size, field.stride[-1]) == expected


def test_both_poolings_are_maxima_and_then_means():
    paper = configured("zhang2016-nnet1")
    values = torch.randn(1, 2, 1, 7)
    both = built(paper).pool3(values)
    assert torch.equal(both, torch.cat([values.amax((2, 3)), values.mean((2, 3))], 1))


def test_the_shortcut_adds_what_went_in():
    block = built(configured("zhang2016-nnet2")).block
    for norm in (block.norm1, block.norm2):
        torch.nn.init.zeros_(norm.weight)
    values = torch.randn(1, 26, 1, 9)
    assert torch.equal(block(values), values.relu())
    block.shortcut = False
    assert not block(values).any()


def test_both_of_dieleman_share_one_back_end():
    mel = MODELS["dieleman2014-mel"].configure(peak=True).build(5)
    options = {"maps": 32, "norm": False, "peak": True}
    raw = MODELS["dieleman2014-raw"].configure(**options).build(5)
    behind = {k: v.shape for k, v in mel.state_dict().items()}
    assert behind == {
        k: v.shape for k, v in raw.state_dict().items() if not k.startswith("frames.")
    }


@pytest.mark.parametrize("name", ["choi2016", "costa2017", "kereliuk2015", "dieleman2014-mel"])
def test_what_depends_on_the_length_follows_it(name):
    paper = configured(name, seconds=6.0)
    values = paper.frontend().module(sound_for(paper))
    assert values.shape[-1] > 200 or name == "dieleman2014-mel"
    assert built(paper)(values).shape == (1, 3)
    with pytest.raises(InvalidValueError, match="too short"):
        built(configured(name, seconds=0.08))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("zhang2016-nnet1", {"pooling": "mean"}, "pooling must be one of"),
        ("choi2016", {"width": 0.0}, "width must be positive"),
        ("choi2016", {"filterbank": "gammatone"}, "filterbank must be one of none, conv"),
        ("choi2016", {"filterbank": "sinc", "start": "bark"}, "start must be one of mel"),
    ],
)
def test_options_that_do_not_exist_are_refused(name, options, message):
    with pytest.raises(InvalidValueError, match=message):
        MODELS[name].configure(**options).build(2)


@pytest.mark.parametrize("name", list(MODELS))
def test_every_architecture_keeps_the_contract(name, tmp_path):
    paper = configured(name)
    assert paper.source
    assert paper.differs
    network = built(paper)
    values = paper.frontend().module(sound_for(paper, batch=2))
    logits = network(values)
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    reached = [p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters()]
    assert all(reached)
    assert list_layers(network, values[0])
    card = ModelCard(
        "small", paper.frontend(), ("a", "b", "c"), paper.seconds, name, options=paper.options
    )
    save_model(MusicNetwork(network, card), tmp_path, {})
    again = load_model("small", tmp_path)
    assert again.card.frontend == card.frontend
    assert dict(again.card.options) == dict(paper.options)
    assert torch.equal(again.module(values), network(values))


@pytest.mark.parametrize("name", SHAPES)
def test_a_unit_of_each_can_be_inverted(name):
    paper = configured(name)
    values = paper.frontend().module(sound_for(paper))[0]
    method = "gradient" if name == "nakashika2012" else "guided"  # its matrices have no rule
    network = built(paper)
    answer = run_to(network, values[None], "conv1")[0]
    strongest = int(answer.flatten(1).amax(1).argmax())
    result = INVERTERS[method](network, values, Unit("conv1", strongest))
    assert result.relevance.shape == values.shape
    assert result.relevance.isfinite().all()
    assert result.relevance.any()


@pytest.mark.parametrize("name", SHAPES)
def test_the_page_gives_the_number_of_parameters(name):
    """With 10 labels, as it stands."""
    (row,) = (line for line in PAGE.read_text("utf-8").splitlines() if f"| `{name}` |" in line)
    assert row.endswith(f"| {count_parameters(MODELS[name].build(10)):,} |")


def test_frames_side_by_side_are_judged_and_not_heard():
    """The published grid has strides equal to the length; such a spectrogram has no inverse."""
    paper = configured("dieleman2014-mel", length=512, stride=512)
    card = ModelCard("side by side", paper.frontend(), ("a", "b", "c"), paper.seconds)
    network = MusicNetwork(built(paper), card)
    sound = Waveform(sound_for(paper), 16000)
    assert predict(network, sound).probabilities.shape[-1] == 3
    with pytest.raises(InvalidValueError, match="take a network with a smaller stride"):
        auralise_unit(network, sound, Unit("conv1", 0))
