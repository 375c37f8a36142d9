"""What is played to networks: spectra, pitches and times, against what they are meant to be."""

import math

import numpy as np
import pytest
import torch

from auralise.claims import Context
from auralise.claims.distance import _both
from auralise.claims.harmony import SOUNDING, design, notes_of
from auralise.claims.invariance import LONGEST_SHIFT, MUSIC, _shifted, _tone
from auralise.claims.key import bar_of
from auralise.claims.key import design as bars
from auralise.claims.known import KNOWN
from auralise.claims.known_sounds import mixed_collection
from auralise.claims.onsets import burst

RATE = 8000


@pytest.fixture(scope="module")
def context():
    return Context(KNOWN["onset-detector"](0))


def spectrum(samples):
    """Return frequencies and magnitudes under a Hann window."""
    samples = samples.double()[0]
    window = torch.hann_window(len(samples), dtype=torch.float64)
    return np.fft.rfftfreq(len(samples), 1 / RATE), torch.fft.rfft(samples * window).abs().numpy()


def peaks(samples, floor_db=-30.0):
    """Return the frequencies of the maxima within so many dB of the highest."""
    hertz, size = spectrum(samples)
    inner = (size[1:-1] > size[:-2]) & (size[1:-1] >= size[2:])
    high = size[1:-1] > 10 ** (floor_db / 20) * size.max()
    return hertz[1:-1][inner & high]


@pytest.mark.parametrize("pitch", [110.0, 220.0])
@pytest.mark.parametrize("stretch", [1.0, 1.07])
def test_notes_have_the_partials_that_are_asked_for(pitch, stretch):
    cell = {"pitch": pitch, "harmonicity": stretch, "attack": 0.005, "decay": math.inf}
    held = notes_of(cell, 1.0, RATE).samples[:, : round(0.7 * RATE)]
    expected = [pitch * n**stretch for n in range(1, 13)]
    found = peaks(held)
    # The window's main lobe is four bins of 1 / 0.7 Hz wide; a peak is within one of them.
    for partial in (f for f in expected if f < 0.45 * RATE):
        assert np.abs(found - partial).min() < 1.5
    assert all(min(abs(f - partial) for partial in expected) < 1.5 for f in found)


def test_each_note_begins_in_silence_and_rises_and_falls_as_asked():
    for cell in design():
        samples = notes_of(cell, 2.0, RATE).samples[0].double()
        again = samples[RATE:]
        assert torch.equal(samples[:RATE], again)
        assert float(samples[round(SOUNDING * RATE) : RATE].abs().max()) == 0.0
        level = again.reshape(-1, 200).square().mean(1).sqrt()  # 25 ms each
        early = float(level[0] / level[6:10].mean())
        quick = cell["attack"] == 0.005
        if math.isinf(cell["decay"]):
            assert (early > 0.7) == quick
            assert float(level[25] / level[8]) == pytest.approx(1.0, abs=0.1)
        else:
            # 60 dB in half a second: 0.4 s later the level is 48 dB lower.
            fall = 20 * math.log10(float(level[24] / level[8]))
            assert fall == pytest.approx(-48.0, abs=2.0)


def test_cells_of_a_design_differ_in_what_they_say():
    cells = design()
    sounds = {tuple(cell.values()): notes_of(cell, 1.0, RATE).samples for cell in cells}
    assert len({samples.numpy().tobytes() for samples in sounds.values()}) == len(cells) == 32


def test_bursts_begin_when_they_are_said_to_and_fill_the_band(context):
    for seed in range(2):
        samples = burst(context, seed).samples
        first = round(0.35 * samples.shape[1])
        assert float(samples[:, :first].abs().max()) == 0.0
        assert float(samples[:, first : first + 400].abs().max()) > 0.0
        held = samples[:, first + 800 : first + 800 + 6400]
        hertz, size = spectrum(held)
        inside = size[(hertz > 100) & (hertz < 0.44 * RATE)]
        outside = size[hertz > 0.47 * RATE]
        # Outside are the sidelobes of the window and of cutting.
        assert (outside**2).mean() < 1e-3 * (inside**2).mean()
    assert not torch.equal(burst(context, 0).samples, burst(context, 1).samples)


def test_two_tones_are_two_tones():
    found = peaks(_both(120.0, 960.0, 2.0, RATE).samples, -20.0)
    assert found.tolist() == pytest.approx([120.0, 960.0], abs=0.51)


def test_a_tones_phase_is_a_part_of_its_period(context):
    zero, quarter = (
        _tone(context, {"frequency": 500.0, "phase": p}).samples[0].double() for p in (0.0, 0.25)
    )
    # A quarter of a period of 500 Hz is four samples at 8000 Hz.
    assert torch.allclose(quarter[:-4], zero[4:], atol=1e-6)


def test_shifted_music_is_the_same_music_later(context):
    cells = [{"music": MUSIC[0], "shift": s} for s in (0.0, LONGEST_SHIFT)]
    first, other = _shifted(context, cells)
    step = round(LONGEST_SHIFT * RATE)
    assert torch.equal(other.samples[:, :-step], first.samples[:, step:])


def test_bars_of_other_keys_have_the_pitches_of_their_chords():
    for cell in (cell for cell in bars() if cell["timbre"] == "flute" and cell["tempo"] == 120.0):
        bar = bar_of(cell)
        still = type(bar)(bar.root, bar.chord, bar.timbre, "none", bar.tempo)
        hertz, size = spectrum(still.render(2.0, RATE).samples)
        for pitch in bar.pitches:
            near = size[np.abs(hertz - pitch) < 2.0].max()
            between = size[np.abs(hertz - pitch * 2 ** (1 / 24)) < 1.0].max()
            assert near > 10 * between
    assert {cell["key"] for cell in bars()} == {"A", "C", "Eb", "Gb"}


def test_pieces_have_five_of_eight_notes_by_the_instrument_of_their_label():
    collection = mixed_collection(3, pieces=2)
    assert len(collection.clips) == 8
    assert sorted({track.label for track in collection.tracks}) == [
        "clarinet", "flute", "plucked", "strings",
    ]  # fmt: skip
    for clip in collection.clips:
        assert clip.samples.shape[-1] == 2 * RATE
        assert float(clip.samples.abs().max()) == pytest.approx(1.0)
        parts = clip.samples.reshape(8, -1)
        # Each note begins and ends in silence.
        assert float(parts[:, [0, -1]].abs().max()) < 0.02
