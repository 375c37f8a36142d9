"""Two processes train as one with the doubled batch does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auralise.training.batches import Order, plan
from auralise.training.options import FitOptions


@pytest.mark.parametrize(("n_clips", "batch_size", "processes"), [(13, 3, 2), (5, 4, 3), (9, 2, 1)])
def test_processes_share_the_steps_of_one_with_a_larger_batch(n_clips, batch_size, processes):
    """Together they take the same clips in the same steps, and the weights mean over a step."""
    steps = plan(n_clips, FitOptions(batch_size=batch_size), processes).steps
    orders = [
        Order(n_clips, batch_size, n_clips, 7, lambda: 3, lambda rank=rank: (rank, processes))
        for rank in range(processes)
    ]
    alone = Order(n_clips, batch_size * processes, n_clips, 7, lambda: 3)
    assert {len(order) for order in (*orders, alone)} == {steps}
    for step, *parts in zip(alone, *orders, strict=True):
        shared = [item for part in parts for item in part if item.weight]
        assert [item.clip for item in shared] == [item.clip for item in step]
        assert sum(item.weight for item in shared) / processes == pytest.approx(1)
        assert all(part for part in parts)  # a process without a step would be waited for


def test_an_order_depends_on_epoch_and_seed_only():
    def order(epoch, seed):
        return [i.clip for step in Order(20, 4, 20, seed, lambda: epoch) for i in step]

    assert order(0, 1) == order(0, 1)
    assert sorted(order(0, 1)) == list(range(20))
    assert order(0, 1) != order(1, 1)
    assert order(0, 1) != order(0, 2)


SCRIPT = """
import json, sys
sys.path.insert(0, {tests!r})
import torch
from torch import nn
from test_training import PAPER, tones
from auralise.training import FitOptions, Machine, fit

torch.set_num_threads(1)
devices, batch = int(sys.argv[1]), int(sys.argv[2])
options = FitOptions(epochs=4, batch_size=batch, learning_rate=1e-2, seed=2, balance=True)
fitted = fit(PAPER, ("high", "low"), tones(0, 21), tones(24), options,
             machine=Machine(devices=devices))
if fitted.leader:
    print(json.dumps([[e.loss, e.valid_loss] for e in fitted.history]))
"""


def curve(tmp_path, devices, batch):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(tests=str(Path(__file__).parent)))
    done = subprocess.run(
        [sys.executable, str(path), str(devices), str(batch)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.slow
def test_two_processes_give_the_loss_curve_of_one_with_the_doubled_batch(tmp_path):
    """21 clips in steps of 8: the last step has 5, which two processes cannot share evenly."""
    one, two = curve(tmp_path, 1, 8), curve(tmp_path, 2, 4)
    assert len(one) == 4
    for first, second in zip(one, two, strict=True):
        assert second == pytest.approx(first, rel=1e-4)
