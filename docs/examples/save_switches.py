"""Write a layer's way back down, and make a map again without the network."""

import tempfile
from pathlib import Path

import torch
from torch import nn

from auralise.inversion.switches import load_switches, record_switches

torch.manual_seed(0)
network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(8, 4, 3))
features = torch.rand(1, 32, 48)

with tempfile.TemporaryDirectory() as folder:
    # [switches]
    file = Path(folder) / "switches.npz"
    record_switches(network.eval(), features, "3").save(file)
    del network
    switches = load_switches(file)
    for overlap in ("sum", "mean", "largest"):
        found = switches.invert(3, "deconvnet", position="whole", overlap=overlap)
        print(overlap, found.relevance.norm().item(), found.flags)
