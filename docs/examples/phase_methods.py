"""Give magnitudes a phase: two tones, heard without the phase they had."""

import torch

from auralise.audio.waveform import Waveform
from auralise.phase import PHASE_METHODS, phase_method
from auralise.phase.batch import reconstruct_all
from auralise.spectral.convergence import convergence_of
from auralise.spectral.spectrogram import analyse
from auralise.spectral.stft import StftSpec

time = torch.arange(16000) / 16000
samples = torch.sin(2 * torch.pi * 440 * time) + torch.sin(2 * torch.pi * 660 * time)
target = analyse(Waveform(0.4 * samples[None], 16000), StftSpec(16000, n_fft=512, hop=128))

# [call]
waveform = PHASE_METHODS["pghi-fast-griffin-lim"](target)  # as registered
slower = phase_method("griffin-lim", n_iter=100, seed=1)(target)  # with options of your own

# [many]
many = reconstruct_all([target, target], phase_method("pghi", seed=2))  # an iterator
print([sound.n_samples for sound in many])

# [compare]
for name, sound in {"pghi-fast-griffin-lim": waveform, "griffin-lim": slower}.items():
    print(f"{name}: {convergence_of(sound, target):.1f} dB")
