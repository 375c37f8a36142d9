"""Costs, by the arithmetic of layers."""

import torch
from torch import nn

from auralise.frontends import RawFrontend
from auralise.models.base import Architecture
from auralise.models.cost import clips_per_second, cost_of, count_flops, count_parameters


def build(n_labels):
    """A convolution of 5 taps to 4 maps, mean over time, and a dense layer."""
    return nn.Sequential(
        nn.Conv1d(1, 4, 5, bias=False),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(4, n_labels),
    )


PAPER = Architecture(build, lambda: RawFrontend(50), 0.5, "none")


def test_parameters_and_operations_by_hand():
    """25 samples give 21 places of 4 maps with 5 taps; then 4 by 3: two operations each."""
    cost = cost_of(PAPER, 3)
    assert cost.parameters == 4 * 5 + (4 * 3 + 3)
    assert cost.flops_per_second == 2 * (21 * 4 * 5 + 4 * 3) / 0.5
    assert cost.seconds == 0.5
    assert cost.clips_per_second is None


def test_operations_of_a_convolution_over_two_axes():
    conv = nn.Conv2d(2, 3, (3, 5))
    assert count_flops(conv, torch.zeros(4, 2, 10, 20)) == 2 * 4 * (8 * 16) * 3 * (2 * 3 * 5)


def test_frozen_parameters_are_not_counted():
    network = build(3)
    network[0].weight.requires_grad_(False)
    assert count_parameters(network) == 15


def test_more_work_takes_longer_and_the_random_state_is_left_alone():
    state = torch.get_rng_state()
    few = cost_of(PAPER, 3, batch_size=4).clips_per_second
    assert torch.equal(state, torch.get_rng_state())
    wide = nn.Sequential(nn.Conv1d(1, 256, 500), nn.AdaptiveAvgPool1d(1)).eval()
    many = clips_per_second(wide, RawFrontend(8000), torch.zeros(4, 8000), wanted=0.05)
    assert few > 5 * many > 0
