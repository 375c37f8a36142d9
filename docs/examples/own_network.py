"""Hear a unit of a network of your own."""

import torch
from torch import nn

import auralise
from auralise.audio.levels import apply_level
from auralise.spectral.compression import Compression

torch.manual_seed(0)
module = nn.Sequential(
    nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 3), nn.ReLU()
)
frontend = auralise.SpectrogramFrontend(
    auralise.StftSpec(sample_rate=16000, n_fft=512, hop=256),
    n_mels=64,
    compression=Compression("log", 10.0),
)
network = auralise.wrap(module.eval(), frontend, name="mine")

time = torch.arange(32000) / 16000
source = auralise.Waveform(torch.sin(2 * torch.pi * 440 * time)[None] * 0.5, 16000)
for layer in auralise.list_layers(network.module, frontend.analyse(source).values):
    print(layer.name, layer.kind, layer.shape)
for result in auralise.auralise_layer(network, source, "4"):
    print(result.inversion.unit, result.inversion.activation, *result.inversion.flags)
    name = f"unit{result.inversion.unit.channel}.wav"
    auralise.write_audio(name, apply_level(result.waveform, source).waveform)
