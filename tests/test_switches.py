"""Ways back that were written down: the same maps without the network, and named policies."""

import pytest
import torch
from torch import nn

from auralise.activations import Unit
from auralise.errors import InvalidValueError, NetworkError, UnknownNameError
from auralise.inversion import INVERTERS, InversionOptions
from auralise.inversion.switches import load_switches, record_switches

METHODS = ["gradient", "deconvnet", "guided"]


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.norm, self.last = nn.BatchNorm2d(3), nn.ReLU()

    def forward(self, x):
        x = torch.relu(self.one(x))
        y = self.norm(self.two(torch.nn.functional.avg_pool2d(x, 2)))
        return self.last(y - 0.5 * torch.nn.functional.max_pool2d(x, 3, 2, 1))


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(3, 2, 3, padding=1)
        self.last = nn.ReLU()

    def forward(self, x):
        x = torch.cat([x, torch.relu(self.one(x))], dim=1)
        x = torch.cat([x, self.two(x)], dim=-3).permute(0, 1, 3, 2).transpose(2, 3)
        return self.last(x)


def planes():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, dilation=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),
        nn.Flatten(),
        nn.Linear(4 * 3 * 3, 5),
    )


def waves():
    return nn.Sequential(
        nn.Conv1d(1, 3, 5, stride=3), nn.ReLU(), nn.MaxPool1d(3, 2), nn.Conv1d(3, 4, 3), nn.ReLU()
    )


def means():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Conv2d(4, 5, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3),
    )  # fmt: skip


NETWORKS = {
    "planes": (planes, (1, 45, 51), "9"),
    "planes, inner layer": (planes, (1, 45, 51), "6"),
    "waves": (waves, (1, 101), "4"),
    "residual": (Residual, (1, 12, 14), "last"),
    "dense": (Dense, (1, 9, 11), "last"),
    "means": (means, (1, 13, 17), "6"),
}


def made(name):
    make, shape, layer = NETWORKS[name]
    torch.manual_seed(0)
    network = make().double().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight)
    return network, torch.randn(shape, dtype=torch.float64), layer


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("position", ["peak", "whole"])
@pytest.mark.parametrize("name", NETWORKS)
def test_without_the_network_the_same_maps_come_out(name, position, method, tmp_path):
    network, features, layer = made(name)
    record_switches(network, features, layer).save(tmp_path / "switches.npz")
    expected = [
        INVERTERS[method](network, features, Unit(layer, channel), position=position)
        for channel in range(2)
    ]
    del network
    switches = load_switches(tmp_path / "switches.npz")
    for channel in range(2):
        found = switches.invert(channel, method, position=position)
        assert found.unit == expected[channel].unit
        assert found.position == expected[channel].position
        assert found.activation == expected[channel].activation
        assert ("inactive" in found.flags) == ("inactive" in expected[channel].flags)
        torch.testing.assert_close(found.relevance, expected[channel].relevance, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_dead_windows_can_be_blocked_afterwards(method):
    network, features, layer = made("planes, inner layer")
    switches = record_switches(network, features, layer)
    options = InversionOptions(dead_windows="block")
    expected = INVERTERS[method](
        network, features, Unit(layer, 1), position="whole", options=options
    )
    found = switches.invert(1, method, position="whole", dead_windows="block")
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=0, atol=1e-12)


def test_a_dead_window_draws_its_first_place_or_nothing():
    """ReLU and pooling of what is negative everywhere: deconvnet puts 1 at the top left of each."""
    network = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(1, 1, 1)).double().eval()
    with torch.no_grad():
        network[2].weight.fill_(1.0)
        network[2].bias.fill_(1.0)
    switches = record_switches(network, -torch.ones(1, 4, 4, dtype=torch.float64), "2")
    first = switches.invert(0, position="whole").relevance[0]
    corners = torch.zeros(4, 4, dtype=torch.float64)
    corners[::2, ::2] = 1
    assert torch.equal(first, corners)
    assert not switches.invert(0, position="whole", dead_windows="block").relevance.any()
    assert not switches.invert(0, "guided", position="whole").relevance.any()


def test_a_place_that_won_two_windows_gets_their_sum_mean_or_largest():
    """Windows 0-2 and 2-4 both take the 9 in the middle; their outputs are sent back times 1, 3."""
    network = nn.Sequential(nn.MaxPool1d(3, 2), nn.Conv1d(1, 1, 2, bias=False)).double().eval()
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[[1.0, 3.0]]]))
    features = torch.tensor([[1.0, 2.0, 9.0, 2.0, 1.0]], dtype=torch.float64)
    switches = record_switches(network, features, "1")
    value = 9 * 1 + 9 * 3
    for overlap, expected in (("sum", 4 * value), ("mean", 2 * value), ("largest", 3 * value)):
        found = switches.invert(0, overlap=overlap)
        assert found.relevance.tolist() == [[0, 0, expected, 0, 0]]
        assert found.flags == (() if overlap == "sum" else (f"overlapping windows: {overlap}",))


def test_the_network_is_left_as_it_was_found():
    network, features, layer = made("residual")
    before = [p.requires_grad for p in network.parameters()], features.clone()
    record_switches(network, features, layer)
    assert [p.requires_grad for p in network.parameters()] == before[0]
    assert torch.equal(features, before[1])
    assert not any(m._forward_hooks for m in network.modules())


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.Conv2d(1, 2, 3), nn.GELU()], "operation Gelu cannot be written down"),
        ([nn.Conv2d(1, 2, 3), nn.ReLU6()], "Hardtanh cannot"),
        ([nn.Conv2d(1, 2, 3), nn.Threshold(0.5, 0)], "threshold other than 0"),
        ([nn.ConvTranspose2d(1, 2, 3)], "transposed convolution"),
    ],
)
def test_what_cannot_be_written_down_is_named(layers, message):
    network = nn.Sequential(*layers).eval()
    with pytest.raises(NetworkError, match=message):
        record_switches(network, torch.randn(1, 9, 9), str(len(layers) - 1))


def test_what_is_asked_for_must_be_there(tmp_path):
    network, features, layer = made("waves")
    switches = record_switches(network, features, layer)
    with pytest.raises(InvalidValueError, match="channels 0 to 3"):
        switches.invert(4)
    with pytest.raises(InvalidValueError, match="not on the maps"):
        switches.invert(0, position=(999,))
    with pytest.raises(UnknownNameError, match="guided"):
        switches.invert(0, "guide")
    with pytest.raises(InvalidValueError, match="sum, mean, largest"):
        switches.invert(0, overlap="last")
    with pytest.raises(InvalidValueError, match="first, block"):
        switches.invert(0, dead_windows="all")


@pytest.mark.parametrize("damage", ["cut", "text", "other"])
def test_a_damaged_file_is_refused(damage, tmp_path):
    import numpy as np

    network, features, layer = made("waves")
    file = tmp_path / "switches.npz"
    record_switches(network, features, layer).save(file)
    assert [p.name for p in tmp_path.iterdir()] == ["switches.npz"]
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:200])
    elif damage == "text":
        file.write_text("no switches")
    else:
        np.savez(file, head=np.frombuffer(b'{"schema": "other"}', np.uint8))
    with pytest.raises(InvalidValueError, match=r"holds no switches, or is damaged"):
        load_switches(file)
