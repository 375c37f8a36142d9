"""Notes, chords and drums: spectra, pitches, onsets and envelopes are what they are meant to be."""

import math

import pytest
import torch

from auralise.audio.arrangements import CHORDS, DRUMS, ROOTS, TIMBRES, Bar, Timbre, drum, note
from auralise.errors import InvalidValueError, UnknownNameError

RATE = 16000


def spectrum(samples):
    window = torch.hann_window(len(samples), dtype=torch.float64)
    return torch.fft.rfft(samples.double() * window, n=8 * len(samples)).abs()


def peaks(samples, count):
    """The frequencies, in Hz, of the highest local maxima of the spectrum."""
    power = spectrum(samples)
    inner = (power[1:-1] > power[:-2]) & (power[1:-1] >= power[2:])
    places = torch.nonzero(inner)[:, 0] + 1
    best = places[power[places].topk(count).indices]
    return sorted((best * RATE / (8 * len(samples))).tolist())


def level_course(samples, width=160):
    return samples.unfold(0, width, width).square().mean(1).sqrt()


@pytest.mark.parametrize("name", TIMBRES)
def test_a_note_has_the_partials_of_its_timbre(name):
    timbre = TIMBRES[name]
    samples = note(220.0, 2.0, RATE, timbre=timbre, dtype=torch.float64).samples[0]
    numbers = [n for n in range(1, timbre.harmonics + 1) if not timbre.odd or n % 2][:3]
    # Another 5 Hz comes from the lines that a decay broadens.
    found = peaks(samples[1600:], len(numbers))
    assert found == pytest.approx([220.0 * n for n in numbers], abs=2.0)


def test_partials_fall_with_the_slope_asked_for():
    samples = note(
        200.0, 2.0, RATE, timbre=Timbre(harmonics=4, slope_db=-12.0), dtype=torch.float64
    )
    power = spectrum(samples.samples[0][1600:-1600])
    at = [power[round(200.0 * n * 8 * (len(samples.samples[0]) - 3200) / RATE)] for n in (1, 2, 4)]
    drops = [20 * math.log10(at[i + 1] / at[i]) for i in range(2)]
    assert drops == pytest.approx([-12.0, -12.0], abs=0.05)


def test_stretched_partials_are_not_harmonic():
    samples = note(200.0, 2.0, RATE, timbre=Timbre(harmonics=3, stretch=1.1), dtype=torch.float64)
    wanted = [200.0 * n**1.1 for n in (1, 2, 3)]
    assert peaks(samples.samples[0], 3) == pytest.approx(wanted, abs=1.0)


def test_attack_is_half_a_raised_cosine_and_decay_falls_60_db_in_its_time():
    timbre = Timbre(harmonics=1, attack=0.2, decay=1.0)
    samples = note(1000.0, 1.6, RATE, timbre=timbre, dtype=torch.float64).samples[0]
    course = level_course(samples)  # frames of 10 ms
    full = 0.1 * math.sqrt(0.5)
    assert float(course[10]) == pytest.approx(full * math.sin(math.pi / 2 * 0.525) ** 2, rel=0.02)
    fall = 20 * math.log10(course[120] / course[20])
    assert fall == pytest.approx(-60.0, abs=0.5)


@pytest.mark.parametrize("chord", CHORDS)
def test_a_chord_has_the_pitches_of_its_type(chord):
    bar = Bar("C", chord, "flute", "none")
    assert [round(12 * math.log2(p / ROOTS["C"])) for p in bar.pitches] == list(CHORDS[chord])
    samples = bar.render(1.0, RATE, dtype=torch.float64).samples[0]
    found = peaks(samples[1600:15000], len(bar.pitches))
    assert found == pytest.approx(list(bar.pitches), abs=2.0)


def test_roots_lie_within_an_octave_and_keep_the_chords_shape():
    assert max(ROOTS.values()) / min(ROOTS.values()) < 2
    one, other = Bar("A").pitches, Bar("Gb").pitches
    assert [p / one[0] for p in one] == pytest.approx([p / other[0] for p in other])


@pytest.mark.parametrize("pattern", [name for name in DRUMS if name != "none"])
@pytest.mark.parametrize("tempo", [80.0, 120.0])
def test_drums_are_struck_when_the_pattern_says(pattern, tempo):
    bar = Bar(drums=pattern, tempo=tempo)
    loud = bar.render(4.0, RATE, drums_db=40.0, dtype=torch.float64).samples[0]
    course = level_course(loud, 80).log()  # frames of 5 ms
    wanted = sorted({t for n, ts in bar.onsets(4.0).items() if n != "chord" for t in ts})
    for time in wanted:
        frame = round(time / 0.005)
        before = course[frame - 3] if frame >= 3 else torch.tensor(-9.0)
        assert course[frame : frame + 3].max() > before + 0.5, time


def test_a_slower_bar_is_the_same_bar_stretched():
    fast, slow = (Bar(drums="eight-beat", tempo=t).onsets(8.0) for t in (120.0, 60.0))
    for name, times in slow.items():
        halves = [time / 2 for time in times]
        assert halves == pytest.approx(fast[name][: len(times)])


def test_levels_are_those_asked_for():
    for drums in DRUMS:
        sound = Bar(drums=drums).render(2.0, RATE, level_db=-20.0).samples
        assert float(sound.square().mean().sqrt()) == pytest.approx(0.1 * math.sqrt(0.5), rel=1e-4)


def test_nothing_is_aliased():
    frequencies, _ = TIMBRES["strings"].partials(900.0, 8000)
    assert float(frequencies.max()) < 4000
    assert len(frequencies) == 4


@pytest.mark.parametrize("name", ["kick", "snare", "hat"])
def test_drums_lie_where_they_are_said_to(name):
    stroke = drum(name, RATE)
    power = torch.fft.rfft(stroke).abs().square()
    hertz = torch.fft.rfftfreq(len(stroke), 1 / RATE)
    centre = float((power * hertz).sum() / power.sum())
    low, high = {"kick": (40, 200), "snare": (500, 4000), "hat": (3200, 8000)}[name]
    assert low < centre < high


def test_what_cannot_be_made_is_refused():
    with pytest.raises(InvalidValueError, match="below half the sample rate"):
        note(9000.0, 1.0, RATE)
    with pytest.raises(InvalidValueError, match="attack and release"):
        note(220.0, 0.1, RATE, timbre=Timbre(attack=0.2))
    with pytest.raises(UnknownNameError, match="no root named 'H'"):
        Bar("H")
    with pytest.raises(InvalidValueError, match="tempo"):
        Bar(tempo=0.0)
    with pytest.raises(UnknownNameError, match="no drum"):
        drum("cowbell", RATE)
