"""Learnable filterbanks: closed forms of their kernels, and what the analysis of filters sees."""

import math
from dataclasses import replace

import pytest
import torch

from auralise.activations import receptive_field
from auralise.activations.layers import Unit
from auralise.filters import effective_bank, respond, untrained_banks
from auralise.filters.untrained import untrained_networks
from auralise.frontends import RawFrontend, SpectrogramFrontend
from auralise.inversion import INVERTERS
from auralise.models import MODELS, wrap
from auralise.models.kernels import ConvolutionBank, GaborBank, GaussianPooling, SincBank, Start
from auralise.models.learnable import make_frames
from auralise.spectral.mel import mel_bank
from auralise.spectral.stft import StftSpec

RATE = 16000
HERTZ = RATE / (2 * math.pi)  # of one radian per sample
LIKE = SpectrogramFrontend(StftSpec(RATE, 512, 128), n_mels=40)
KINDS = ("conv", "sinc", "leaf")


def network(kind, start="mel"):
    torch.manual_seed(0)
    return wrap(make_frames(LIKE, kind, start).eval(), RawFrontend(RATE))


def set_to(parameter, values):
    with torch.no_grad():
        parameter.copy_(torch.as_tensor(values))


def test_a_gabor_filter_has_the_response_of_its_parameters():
    """Power exp(-sigma^2 (w - w0)^2): half at sqrt(ln 2) fs / (2 pi sigma) on either side."""
    bank = GaborBank(3, 1024, 16, Start("mel", RATE, 0, 8000)).eval()
    set_to(bank.centre, [500 / HERTZ, 2000 / HERTZ, 5000 / HERTZ])
    sigma = torch.tensor([60.0, 40.0, 20.0])
    set_to(bank.log_width, sigma.log())
    response = respond(effective_bank(bank, sample_rate=RATE))
    expected = torch.tensor([500.0, 2000.0, 5000.0], dtype=torch.float64)
    torch.testing.assert_close(response.peak, expected, rtol=0, atol=0.1)
    width = math.sqrt(math.log(2)) * RATE / (math.pi * sigma.double())
    torch.testing.assert_close(response.bandwidth, width, rtol=0.01, atol=0)
    assert response.negative_fraction.max() < 1e-3


def test_a_gabor_kernel_is_a_gaussian_of_unit_area_that_turns_forwards():
    bank = GaborBank(1, 65, 1, Start("mel", RATE, 0, 8000))
    set_to(bank.centre, [0.5])
    set_to(bank.log_width, [math.log(5.0)])
    time = torch.arange(-32, 33)
    bell = torch.exp(-(time**2) / 50.0) / (5 * math.sqrt(2 * math.pi))
    expected = bell * torch.exp(0.5j * time)
    torch.testing.assert_close(bank.kernels()[0].detach(), expected, rtol=1e-5, atol=1e-6)


def test_a_sinc_filter_passes_its_band():
    bank = SincBank(2, 1024, 512, Start("mel", RATE, 0, 8000)).eval()
    set_to(bank.low, [1000 / HERTZ, -3000 / HERTZ])  # the sign does not count
    set_to(bank.band, [500 / HERTZ, -1000 / HERTZ])
    response = respond(effective_bank(bank, sample_rate=RATE))
    expected = torch.tensor([1250.0, 3500.0], dtype=torch.float64)
    torch.testing.assert_close(bank.centres().detach().double(), expected, rtol=0, atol=0.1)
    torch.testing.assert_close(response.centroid, expected, rtol=0, atol=2.0)
    # A windowed ideal band-pass is down to a half in amplitude at its edges, so to -3 dB within.
    widths = torch.tensor([500.0, 1000.0], dtype=torch.float64)
    torch.testing.assert_close(response.bandwidth, widths, rtol=0, atol=RATE / 1024)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mel_start_has_the_centres_of_the_mel_bank(kind):
    expected = mel_bank(LIKE.spec, 40).centres
    response = respond(effective_bank(network(kind)))
    centres = response.centroid if kind == "sinc" else response.peak
    clear = expected > 4 * response.resolution  # below, negative frequencies reach over
    tolerance = 1.0 if kind == "leaf" else response.resolution
    assert (centres - expected)[clear].abs().max() < tolerance


def test_a_linear_start_is_spaced_evenly():
    centres = network("leaf", "linear").module.bank.centres()
    torch.testing.assert_close(centres.detach(), 8000 * torch.arange(1, 41) / 41, rtol=1e-5, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_random_starts_differ_between_seeds_and_mel_ones_do_not(kind):
    for start, differ in (("random", True), ("mel", kind == "conv")):
        first, second = untrained_banks(network(kind, start), seeds=(1, 2))
        alike = torch.equal(first.impulse_responses, second.impulse_responses)
        assert alike is not differ


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_as_many_frames_as_the_spectrogram_has(kind):
    samples = torch.randn(2, 5000)
    assert network(kind).module(samples[:, None]).shape == LIKE.module(samples)[:, 0].shape


def test_the_energy_of_a_tone_is_that_of_the_closed_form():
    """A cosine of amplitude A leaves A / 2 behind an analytic filter of unit gain."""
    frames = network("leaf").module
    channel = 30
    hertz = frames.bank.centres()[channel].item()
    tone = 0.3 * torch.cos(2 * math.pi * hertz / RATE * torch.arange(4000))
    smooth = frames.smooth(frames.energy(frames.bank(tone[None, None])))
    assert smooth[0, channel, 15].item() == pytest.approx(0.15**2, rel=0.01)


def test_smoothing_keeps_constants_and_thins_out():
    pooled = GaussianPooling(3, 8)(torch.ones(1, 3, 81))
    assert pooled.shape == (1, 3, 11)
    torch.testing.assert_close(pooled[..., 1:-1], torch.ones(1, 3, 9))


def test_fields_reach_as_far_as_the_taps():
    """Sinc: its taps. LEAF: 2 x 16 steps of 128 / 16 = 8 samples more."""
    samples = torch.randn(1, 4000)
    assert receptive_field(network("sinc").module, samples, "bank").size == (512,)
    field = receptive_field(network("leaf").module, samples, "smooth")
    assert (field.size, field.stride) == ((512 + 2 * 16 * 8,), (128,))


def test_a_free_bank_begins_as_strong_as_an_ordinary_convolution():
    strong = [
        ConvolutionBank(40, 512, 128, Start(kind, RATE, 0, 8000)).taps.norm(dim=1).mean().item()
        for kind in ("random", "mel")
    ]
    assert strong[0] == pytest.approx(strong[1], rel=0.05)


@pytest.mark.parametrize("name", ["dieleman2014-mel", "choi2016", "zhang2016-nnet1"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_network_on_a_filterbank_learns_it_and_can_be_inverted(name, kind):
    paper = MODELS[name].configure(filterbank=kind, start="mel", width=0.25)
    assert isinstance(paper.frontend(), RawFrontend)
    torch.manual_seed(0)
    built = paper.build(3).eval()
    samples = 0.1 * torch.randn(1, round(paper.seconds * paper.frontend().sample_rate))
    built(samples[None]).square().sum().backward()
    bank = [p for key, p in built.named_parameters() if key.startswith("frames.bank.")]
    assert all(p.grad.isfinite().all() and p.grad.any() for p in bank)
    built.zero_grad(set_to_none=True)
    result = INVERTERS["guided"](built, samples, Unit("conv1", 0))
    assert result.relevance.shape == samples.shape
    assert result.relevance.isfinite().all()


def test_controls_of_a_network_with_options_have_them_too():
    paper = MODELS["dieleman2014-mel"].configure(filterbank="sinc", width=0.1)
    card = wrap(paper.build(2).eval(), paper.frontend(), ("a", "b")).card
    card = replace(card, architecture="dieleman2014-mel", options=paper.options)
    (control,) = untrained_networks(card, seeds=(0,))
    names = effective_bank(control).names
    assert (len(names), names[0]) == (128, "frames.bank:0")
