"""Take things away from a sound: a band, what hits, everything."""

import torch

from auralise.audio.levels import rms_db
from auralise.audio.waveform import Waveform
from auralise.perturbations import PERTURBATIONS, BandMute, WithoutPart

time = torch.arange(16000) / 16000
tone = torch.sin(2 * torch.pi * 440 * time)
clicks = torch.zeros(16000)
clicks[2000::4000] = 1.0
sound = Waveform(0.3 * (tone + clicks)[None], 16000)

# [call]
changed = {
    "without its tone": BandMute(400, 480)(sound),
    "without its clicks": WithoutPart("percussive")(sound),
    "without anything": PERTURBATIONS["silence"](sound),  # as registered
}
for name, result in changed.items():
    print(name, rms_db(result))
