"""Collections made of numbers, for networks set by hand."""

from __future__ import annotations

from pathlib import Path

import torch

from auralise.audio.arrangements import TIMBRES, note
from auralise.claims.collection import LabelledClips
from auralise.claims.known_parts import SECONDS
from auralise.datasets.base import Track
from auralise.datasets.clips import Clip


def timbre_collection(seed: int = 0, pitches: int = 16) -> LabelledClips:
    """Return synthesised notes of four instruments, labelled; a pitch is a group.

    Levels differ by up to 40 dB, and each note has noise of another level behind it, so that how
    loud and how bright a sound is says little of the instrument.

    Parameters
    ----------
    seed : int
        Of pitches and levels.
    pitches : int
        Notes of each instrument.
    """
    random = torch.Generator().manual_seed(seed)
    clips = []
    for name in sorted(TIMBRES):
        for step, level in torch.rand(pitches, 2, generator=random).tolist():
            hertz, gain = 110.0 * 2 ** (2 * step), 10 ** (-2 * level)
            samples = note(hertz, SECONDS, 8000, timbre=TIMBRES[name]).samples[0]
            track = Track(Path(f"{name}-{hertz:.1f}.wav"), name, f"{name} {hertz:.1f}")
            samples = samples / samples.square().mean().sqrt()
            noise = torch.randn(len(samples), generator=random)
            samples = samples + 10 ** (-1.5 * float(torch.rand(1, generator=random))) * noise
            clips.append(Clip(0.3 * gain * samples, track))
    return LabelledClips("synthesised notes", tuple(clips))


def mixed_collection(seed: int = 0, pieces: int = 16) -> LabelledClips:
    """Return pieces of eight short notes, five of them by the instrument of the label.

    A segment of a few notes often has more of other instruments; the whole piece does not.
    """
    random = torch.Generator().manual_seed(seed)
    names, clips = sorted(TIMBRES), []
    for name in names:
        for piece in range(pieces):
            others = torch.randint(3, (3,), generator=random).tolist()
            players = [name] * 5 + [[n for n in names if n != name][i] for i in others]
            order = torch.randperm(8, generator=random).tolist()
            steps = torch.rand(8, generator=random).tolist()
            parts = [
                note(110.0 * 2 ** (2 * step), SECONDS / 8, 8000, timbre=TIMBRES[players[i]])
                for i, step in zip(order, steps, strict=True)
            ]
            samples = torch.cat([part.samples[0] for part in parts])
            track = Track(Path(f"{name}-{piece}.wav"), name, f"{name} {piece}")
            clips.append(Clip(samples / samples.abs().max(), track))
    return LabelledClips("synthesised pieces", tuple(clips))
