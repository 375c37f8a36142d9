"""Co-occurrence matrices, cepstra, and the two networks that see music through them."""

import numpy as np
import pytest
import torch
from scipy.fft import dct
from skimage.feature import graycomatrix

from auralise.activations import receptive_field
from auralise.audio.waveform import Waveform
from auralise.auralisation import auralise_unit, strongest_units
from auralise.errors import InvalidValueError, UnsupportedActivationError
from auralise.inversion import InversionOptions
from auralise.inversion.relu_rules import RULES
from auralise.models import MODELS, wrap
from auralise.models.nakashika2012 import GreyLevels
from auralise.settings import Settings
from auralise.spectral.cepstrum import cosine_transform
from auralise.spectral.texture import DIRECTIONS, cooccurrence

DEFAULTS = InversionOptions()
# scikit-image counts angles from the column axis, with rows downwards.
ANGLES = {(0, 1): 0.0, (1, 1): np.pi / 4, (1, 0): np.pi / 2, (1, -1): 3 * np.pi / 4}


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_whole_levels_give_the_matrices_of_scikit_image(direction):
    levels = np.random.default_rng(0).integers(0, 16, (20, 33), dtype=np.uint8)
    expected = graycomatrix(levels, [1], [ANGLES[direction]], 16, normed=True)[:, :, 0, 0]
    found = cooccurrence(torch.from_numpy(levels).double()[None], 16, (direction,))[0, 0]
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12)


def test_matrices_sum_to_one_whatever_the_values():
    values = torch.rand(2, 9, 11, dtype=torch.float64) * 7
    sums = cooccurrence(values, 8).sum((2, 3))
    torch.testing.assert_close(sums, torch.ones_like(sums), rtol=0, atol=1e-12)


def test_a_ramp_along_time_goes_up_by_one_and_never_down():
    ramp = torch.arange(8.0).expand(4, 8)[None]
    along, _, across, _ = cooccurrence(ramp, 8)[0]
    assert float(along.diagonal(1).sum()) == pytest.approx(1)
    assert float(across.diagonal().sum()) == pytest.approx(1)


def test_the_derivative_is_that_of_finite_differences():
    torch.manual_seed(0)
    values = torch.rand(1, 4, 5, dtype=torch.float64) * 2.9 + 0.02
    assert torch.autograd.gradcheck(lambda v: cooccurrence(v, 4), values.requires_grad_())


@pytest.mark.parametrize(
    ("levels", "shape", "message"), [(1, (4, 4), "2 grey"), (4, (1, 4), "no two")]
)
def test_too_few_levels_or_places_are_refused(levels, shape, message):
    with pytest.raises(InvalidValueError, match=message):
        cooccurrence(torch.zeros(1, *shape), levels)


def test_grey_levels_are_the_highest_sixty_decibels():
    values = torch.tensor([100.0, 70.0, 40.0, -5.0])[None, None, None]
    assert GreyLevels()(values).flatten().tolist() == pytest.approx([15, 7.5, 0, 0], abs=1e-4)


def test_the_cosine_transform_is_that_of_scipy():
    values = np.random.default_rng(0).standard_normal(40)
    expected = dct(values, norm="ortho")[:13]
    found = cosine_transform(13, 40).double().numpy() @ values
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    with pytest.raises(InvalidValueError, match="1 to 5 coefficients, got 6"):
        cosine_transform(6, 5)


def built(name, **options):
    torch.manual_seed(0)
    paper = MODELS[name].configure(**options)
    return paper, paper.build(3).eval()


def test_li2010_has_the_frames_of_its_arithmetic():
    paper, network = built("li2010")
    samples = torch.randn(2, round(paper.seconds * paper.frontend().sample_rate))
    values = paper.frontend().module(samples)
    assert values.shape == (2, 1, 40, 190)
    shapes = {}
    for name, layer in network.named_children():
        values = layer(values)
        shapes[name] = tuple(values.shape[1:])
    assert shapes["cepstrum"] == (13, 190)
    assert shapes["conv1"] == (3, 46)  # (190 - 10) / 4 + 1
    assert shapes["conv2"] == (15, 10)
    assert shapes["conv3"] == (65, 1)
    assert shapes["output"] == (3,)


def test_nakashika2012_has_one_map_for_each_direction():
    _, network = built("nakashika2012")
    values = network.cooccurrence(network.levels(torch.rand(2, 1, 64, 40) * 90))
    assert values.shape == (2, 4, 16, 16)
    _, plain = built("nakashika2012", maps="spectrogram")
    assert plain.places(plain.levels(torch.rand(2, 1, 64, 40))).shape == (2, 1, 16, 16)


def heard(name, method, options=DEFAULTS):
    paper, module = built(name)
    frontend = paper.frontend()
    network = wrap(module, frontend, ("a", "b", "c"), seconds=paper.seconds)
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(1, round(paper.seconds * frontend.sample_rate), generator=generator)
    source = Waveform(noise, frontend.sample_rate)
    ((unit, _),) = strongest_units(network, source, "conv1", 1)
    settings = Settings(method=method, options=options)
    return auralise_unit(network, source, unit, settings=settings)


@pytest.mark.parametrize("method", sorted(RULES))
def test_units_behind_a_cepstrum_can_be_heard_by_every_method(method):
    found = heard("li2010", method)
    assert found.inversion.relevance.shape == (1, 40, 190)
    assert found.inversion.relevance.isfinite().all()
    assert found.waveform.samples.abs().max() > 1e-3


def test_units_behind_matrices_can_be_heard_by_their_gradient():
    found = heard("nakashika2012", "gradient")
    assert found.inversion.relevance.shape == (1, 64, 130)
    assert found.waveform.samples.abs().max() > 1e-3


def test_rectifying_methods_say_that_matrices_have_no_rule_and_take_the_derivative_if_told():
    with pytest.raises(UnsupportedActivationError, match="_Memberships is not a ReLU"):
        heard("nakashika2012", "guided")
    found = heard("nakashika2012", "guided", InversionOptions(activations="gradient"))
    assert found.inversion.relevance.any()


def test_the_way_back_through_a_cepstrum_is_its_transpose():
    _, network = built("li2010")
    rows = network.cepstrum.rows
    values = torch.rand(1, 1, 40, 190, requires_grad=True)
    network.cepstrum(values)[0, 5, 7].backward()
    torch.testing.assert_close(values.grad[0, 0, :, 7], rows[5], rtol=0, atol=1e-7)


def test_units_behind_matrices_see_the_whole_excerpt():
    paper, network = built("nakashika2012")
    values = paper.frontend().module(torch.randn(1, round(paper.seconds * 22050)))[0]
    for layer in ("cooccurrence", "conv1", "pool2"):
        field = receptive_field(network, values, layer)
        assert (field.size, field.stride) == ((64, 130), (0, 0))
