"""Lossy coding and back, as a sound meets it when it is sent to somebody."""

from __future__ import annotations

import io

import numpy as np
import soundfile
import torch

from auralise.audio.resampling import pad_to
from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError

MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


def mp3_round_trip(waveform: Waveform) -> Waveform:
    """Code a sound as MP3 (variable bit rate, libsndfile's default quality) and decode it.

    Parameters
    ----------
    waveform : Waveform
        Within full scale; one or two channels at a rate that MP3 has.

    Returns
    -------
    Waveform
        Of the same length: cut, or padded with silence, at the end.

    Raises
    ------
    InvalidValueError
        If MP3 has no such rate or number of channels.
    """
    channels = waveform.samples.shape[0]
    if waveform.sample_rate not in MP3_RATES or channels > 2:
        raise InvalidValueError(
            f"MP3 holds one or two channels at {', '.join(map(str, MP3_RATES))} Hz; got {channels} "
            f"at {waveform.sample_rate} Hz"
        )
    file = io.BytesIO()
    samples = waveform.samples.detach().cpu().float().numpy().T
    soundfile.write(file, samples, waveform.sample_rate, format="MP3", subtype="MPEG_LAYER_III")
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32", always_2d=True)
    back = torch.from_numpy(np.ascontiguousarray(decoded.T)).to(waveform.samples)
    back = back[..., : waveform.n_samples]
    return pad_to(Waveform(back, waveform.sample_rate), waveform.n_samples)
