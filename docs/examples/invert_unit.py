"""Send one unit of any network back to the shape of its input."""

import torch
from torch import nn

from auralise.activations import Unit, list_layers, receptive_field
from auralise.inversion import INVERTERS, invert_layer

torch.manual_seed(0)
network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 3)).eval()
features = torch.rand(1, 32, 48)  # one example, without a batch axis

for layer in list_layers(network, features):
    print(layer.name, layer.kind, layer.shape)

found = INVERTERS["guided"](network, features, Unit("3", 3))
seen = receptive_field(network, features, "3").extent(found.position, features.shape[1:])
print(found.relevance.shape, found.position, found.flags, seen)

for found in invert_layer(network, features, "3", method="deconvnet", position="whole"):
    print(found.unit, found.activation)
