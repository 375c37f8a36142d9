"""From maps to magnitudes: masks and magnitudes of their own."""

import pytest
import torch

from auralise.audio import Waveform
from auralise.errors import InvalidValueError
from auralise.frontends import RawFrontend, SpectrogramFrontend
from auralise.frontends.sonification import PARTS, SONIFICATIONS, soft_mask, take_part, unity
from auralise.spectral import Compression, StftSpec

FRONTEND = SpectrogramFrontend(StftSpec(8000, 256, 64), compression=Compression("log", 5.0))
MEL = SpectrogramFrontend(StftSpec(8000, 256, 64), 24, compression=Compression("log", 5.0))


@pytest.fixture
def features():
    samples = torch.rand(1, 4000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return FRONTEND.analyse(Waveform(samples - 0.5, 8000))


def test_parts_by_hand():
    values = torch.tensor([-2.0, 0.0, 3.0])
    assert take_part(values, "positive").tolist() == [0, 0, 3]
    assert take_part(values, "negative").tolist() == [2, 0, 0]
    assert take_part(values, "absolute").tolist() == [2, 0, 3]
    with pytest.raises(InvalidValueError, match="positive, negative, absolute"):
        take_part(values, "signed")


def test_soft_mask_puts_the_99th_percentile_of_the_live_bins_at_one():
    values = torch.cat([torch.zeros(500), torch.arange(1.0, 101.0)])
    mask = soft_mask(values, "positive")
    assert mask.max() == 1.0
    assert mask[500 + 49].item() == pytest.approx(50 / 100)
    lifted = soft_mask(torch.cat([values, torch.tensor([1e9])]), "positive")
    assert lifted[500 + 49].item() == pytest.approx(0.5), "one huge bin silenced all others"


def test_a_mask_of_ones_returns_the_source(features):
    target = unity(FRONTEND, features, "mask")
    torch.testing.assert_close(target.magnitude, features.spectrogram.magnitude, rtol=0, atol=1e-12)


def test_a_mask_keeps_the_bin_it_points_at_and_no_other(features):
    relevance = torch.zeros_like(features.values)
    relevance[0, 30, 20] = 4.0
    relevance[0, 31, 20] = -4.0
    target = SONIFICATIONS["mask"](FRONTEND, relevance, features, "positive")
    assert target.magnitude[0, 30, 20] == features.spectrogram.magnitude[0, 30, 20]
    assert int((target.magnitude > 0).sum()) == 1
    target = SONIFICATIONS["mask"](FRONTEND, relevance, features, "absolute")
    assert int((target.magnitude > 0).sum()) == 2


def test_the_features_themselves_as_a_map_give_the_source_magnitudes(features):
    target = SONIFICATIONS["magnitude"](FRONTEND, features.values, features, "positive")
    torch.testing.assert_close(
        target.magnitude, features.spectrogram.magnitude, rtol=1e-9, atol=1e-9
    )


def test_standardised_features_have_silence_where_the_map_is_zero(features):
    frontend = SpectrogramFrontend(
        FRONTEND.spec, compression=Compression("log", 5.0), mean=1, std=2
    )
    seen = frontend.analyse(features.source)
    relevance = torch.zeros_like(seen.values)
    relevance[0, 5, 5] = 1.0
    target = SONIFICATIONS["magnitude"](frontend, relevance, seen, "positive")
    top = seen.spectrogram.magnitude.max()
    assert target.magnitude[0, 5, 5].item() == pytest.approx(float(top))
    assert target.magnitude.sum().item() == pytest.approx(float(top))


@pytest.mark.parametrize("name", SONIFICATIONS)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("frontend", [FRONTEND, MEL], ids=["linear", "mel"])
def test_every_sonification_gives_finite_magnitudes_and_silence_for_nothing(
    name, part, frontend, features
):
    seen = frontend.analyse(features.source)
    generator = torch.Generator().manual_seed(3)
    relevance = torch.randn(seen.values.shape, generator=generator, dtype=torch.float64)
    if name == "input" and part != "absolute":
        with pytest.raises(InvalidValueError, match="as a whole"):
            SONIFICATIONS[name](frontend, relevance, seen, part)
        return
    target = SONIFICATIONS[name](frontend, relevance, seen, part)
    assert target.magnitude.shape == seen.spectrogram.magnitude.shape
    assert torch.isfinite(target.magnitude).all()
    assert target.magnitude.min() >= 0
    silent = SONIFICATIONS[name](frontend, torch.zeros_like(relevance), seen, part)
    assert silent.magnitude.abs().max() == 0.0


def test_an_input_is_heard_as_what_the_network_would_hear(features):
    seen = MEL.analyse(features.source)
    target = SONIFICATIONS["input"](MEL, seen.values, seen, "absolute")
    torch.testing.assert_close(target.magnitude, unity(MEL, seen, "input").magnitude)


def test_raw_audio_has_no_magnitudes():
    seen = RawFrontend(8000).analyse(Waveform(torch.zeros(1, 4000), 8000))
    with pytest.raises(InvalidValueError, match="no spectrogram"):
        SONIFICATIONS["mask"](FRONTEND, seen.values, seen, "positive")
