"""A training that was stopped goes on as if it had not been, and refuses what is not its own."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from auralise.datasets.base import Track
from auralise.datasets.clips import Clip
from auralise.errors import InvalidValueError, OutputError, TrainingError, WeightsError
from auralise.frontends import RawFrontend, SpectrogramFrontend
from auralise.models.base import Architecture
from auralise.spectral.stft import StftSpec
from auralise.training import FitOptions, Machine, fit
from auralise.training.checkpoints import LAST, read_state, write_state

LABELS = ("high", "low")


def build(n_labels, *, maps=4):
    """Everything that could break exactness: dropout, running statistics, 4-D weights, pooling."""
    return nn.Sequential(
        nn.Conv2d(1, maps, 3, padding=1),
        nn.BatchNorm2d(maps),
        nn.ReLU(),
        nn.Conv2d(maps, maps, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(4 * maps, n_labels),
    )


SPEC = Architecture(
    build, lambda: SpectrogramFrontend(StftSpec(4000, 128, 64)), 0.4, "none", options={}
)
OPTIONS = FitOptions(
    epochs=5, batch_size=5, learning_rate=1e-2, semitones=1.0, seed=3, mask_time=0.2
)


def tones(first, n=12):
    t = torch.arange(1200) / 4000
    clips = []
    for i in range(first, first + n):
        label, hertz = ("low", 150 + 5 * i) if i % 2 else ("high", 1200 + 5 * i)
        clips.append(
            Clip(torch.sin(2 * torch.pi * hertz * t), Track(Path(f"{i}.wav"), label, f"{i}"))
        )
    return clips


def run(folder=None, options=OPTIONS, report=lambda _: None, **changes):
    return fit(
        changes.pop("architecture", SPEC),
        LABELS,
        changes.pop("train", tones(0)),
        tones(40),
        options,
        folder=folder,
        report=report,
        **changes,
    )


def same(first, second):
    first, second = first.module.state_dict(), second.module.state_dict()
    return all(torch.equal(first[key], second[key]) for key in first)


class Stop(Exception):
    pass


def stop_at(epoch, step, error):
    def report(progress):
        if (progress.epoch, progress.step) == (epoch, step):
            raise error

    return report


@pytest.fixture(scope="module")
def whole():
    return run()


@pytest.mark.parametrize(("epoch", "step"), [(1, 1), (2, 2), (3, 3), (5, 1)])
def test_a_stopped_training_goes_on_bit_for_bit(tmp_path, whole, epoch, step):
    with pytest.raises(Stop):
        run(tmp_path, report=stop_at(epoch, step, Stop()))
    seen = []
    resumed = run(tmp_path, report=seen.append)
    assert same(resumed, whole)
    assert [e.loss for e in resumed.history] == [e.loss for e in whole.history]
    assert seen[0].epoch == epoch + (step == 3)  # no more than the epoch it was in is done again


@pytest.mark.parametrize(
    "change", [{"optimizer": "sgd"}, {"schedule": "constant"}, {"clip_norm": 0.1}]
)
def test_exactness_holds_for_other_optimisers(tmp_path, change):
    options = replace(OPTIONS, epochs=3, **change)
    with pytest.raises(Stop):
        run(tmp_path, options, stop_at(2, 2, Stop()))
    assert same(run(tmp_path, options), run(None, options))


def test_a_finished_training_is_not_repeated(tmp_path, whole):
    run(tmp_path)
    seen = []
    again = run(tmp_path, report=seen.append)
    assert (seen, same(again, whole)) == ([], True)
    assert again.why == "all 5 epochs are done"


def test_without_resuming_it_starts_again(tmp_path):
    run(tmp_path, replace(OPTIONS, epochs=1))
    seen = []
    run(tmp_path, report=seen.append, resume=False)
    assert seen[0].epoch == 1


def test_an_interrupt_leaves_a_state_to_go_on_from(tmp_path, whole):
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, report=stop_at(3, 1, KeyboardInterrupt()))
    assert signal.getsignal(signal.SIGINT) is handler
    assert same(run(tmp_path), whole)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"options": replace(OPTIONS, learning_rate=1e-3)}, "learning_rate: 0.01 then, 0.001 now"),
        ({"train": tones(1)}, "training clips: 12 of sha256"),
        ({"architecture": SPEC.configure(maps=3)}, "option maps: None then, 3 now"),
        ({"start": {"0.bias": torch.zeros(4)}}, "starting weights: none then"),
    ],
)
def test_a_state_of_another_training_is_refused_by_name(tmp_path, change, named):
    run(tmp_path, replace(OPTIONS, epochs=5, max_steps=0))
    with pytest.raises(WeightsError, match=named):
        run(tmp_path, **change)


def test_a_state_of_other_labels_is_refused(tmp_path):
    run(tmp_path, replace(OPTIONS, epochs=1))
    with pytest.raises(
        WeightsError, match=r"labels: \['high', 'low'\] then, \['high', 'low', 'mid'\]"
    ):
        fit(
            SPEC, (*LABELS, "mid"), tones(0), tones(40), replace(OPTIONS, epochs=1), folder=tmp_path
        )


def test_a_diverging_loss_keeps_the_last_state(tmp_path):
    """After the second epoch the clips are not numbers any more."""
    train = tones(0)

    def spoil(progress):
        if progress.epoch == 2 and progress.valid_accuracy is not None:
            for clip in train:
                clip.samples.fill_(float("nan"))

    with pytest.raises(TrainingError, match="loss became nan at step 7") as caught:
        run(tmp_path, report=spoil, train=train)
    assert caught.value.__notes__ == ["the state after epoch 2 is kept"]
    assert len(read_state(tmp_path / LAST)["callbacks"]["Keeper"]["history"]) == 2


def test_a_full_disk_keeps_the_state_before(tmp_path, monkeypatch):
    """The second write finds no room; the first epoch's state stays, and nothing half-written."""
    real, calls = os.fsync, []

    def fsync(file):
        calls.append(file)
        if len(calls) > 2:  # the first epoch writes state and table
            raise OSError(28, "No space left on device")
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OutputError, match=r"No space left on device.*written before is kept"):
        run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [LAST, "log.csv"]
    assert len(read_state(tmp_path / LAST)["callbacks"]["Keeper"]["history"]) == 1


def test_used_up_memory_names_the_options_to_lower():
    class Hungry(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(1, 2)

        def forward(self, values):
            return self.linear(torch.empty(2**60, 1))

    greedy = Architecture(lambda _: Hungry(), lambda: RawFrontend(4000), 0.1, "none")
    with pytest.raises(TrainingError, match=r"lower batch_size \(now 5\)"):
        run(architecture=greedy)


def test_early_stopping_waits_as_long_as_asked():
    fitted = run(options=replace(OPTIONS, epochs=50, patience=2))
    scores = [epoch.valid_score for epoch in fitted.history]
    assert len(scores) < 50
    assert fitted.best_epoch == scores.index(max(scores)) + 1 == len(scores) - 2
    assert fitted.why == "no better validation score in 2 epochs"


def test_steps_can_be_limited():
    fitted = run(options=replace(OPTIONS, epochs=9, max_steps=2))
    assert len(fitted.history) == 1
    seen = []
    run(options=replace(OPTIONS, epochs=2, epoch_fraction=0.5), report=seen.append)
    assert [(p.epoch, p.step, p.steps) for p in seen] == [
        (1, 1, 2),
        (1, 2, 2),
        (2, 1, 2),
        (2, 2, 2),
    ]


def test_a_table_of_epochs_is_kept(tmp_path):
    fitted = run(tmp_path, replace(OPTIONS, epochs=2))
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0] == "epoch,loss,valid_loss,valid_score,learning_rate,seconds"
    assert [float(line.split(",")[1]) for line in lines[1:]] == [e.loss for e in fitted.history]


def test_events_for_tensorboard_have_the_numbers_of_the_table(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    fitted = run(tmp_path, replace(OPTIONS, epochs=2), machine=Machine(tensorboard=True))
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    for name in ("loss", "valid_loss", "valid_score", "learning_rate"):
        written = [(event.step, event.value) for event in events.Scalars(name)]
        kept = [(epoch.epoch, getattr(epoch, name)) for epoch in fitted.history]
        assert written == [(step, pytest.approx(value, rel=1e-6)) for step, value in kept]
    with pytest.raises(InvalidValueError, match="need a folder"):
        run(machine=Machine(tensorboard=True))


@pytest.mark.slow
def test_workers_prepare_the_same_batches(whole):
    assert same(run(machine=Machine(workers=2)), whole)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, in its own compiler
def test_a_compiled_network_learns_the_same_but_for_rounding(tmp_path):
    options = replace(OPTIONS, epochs=1, mask_time=0.0)
    compiled = run(tmp_path, replace(options, compile=True)).history[0]
    assert compiled.loss == pytest.approx(run(None, options).history[0].loss, rel=0.2)


def test_a_state_comes_back_as_it_was(tmp_path):
    state = {
        "a": (1, 2.5, None, [True, "x"]),
        "b": {0: torch.arange(6.0).view(2, 3).T, "n": {}},
        "nan": float("nan"),
        "step": torch.tensor(3.0),
    }
    write_state(state, tmp_path / "state")
    found = read_state(tmp_path / "state")
    assert found["a"] == state["a"]
    assert torch.equal(found["b"][0], state["b"][0])
    assert found["b"]["n"] == {}
    assert found["nan"] != found["nan"]
    with pytest.raises(InvalidValueError, match="a set cannot be kept"):
        write_state({"a": {1}}, tmp_path / "state")


@pytest.mark.parametrize("damage", [b"", b"\x80\x04K\x01.", b"\x08" + bytes(7) + b"{broken}"])
def test_a_damaged_state_is_refused(tmp_path, damage):
    (tmp_path / LAST).write_bytes(damage)
    with pytest.raises(WeightsError, match="cannot be read"):
        run(tmp_path)


SCRIPT = """
import sys, time
sys.path.insert(0, {tests!r})
from test_training_resume import run
from dataclasses import replace
from pathlib import Path
print("ready", flush=True)
run(Path(sys.argv[1]), report=lambda _: time.sleep(0.02))
"""


def kill_at_random(folder, times, seed):
    """Start the training and kill it at a random moment, ``times`` over; return when."""
    draws, moments = random.Random(seed), []
    script = SCRIPT.format(tests=str(Path(__file__).parent))
    for _ in range(times):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True
        )
        process.stdout.readline()
        time.sleep(draws.uniform(0.0, 0.4))
        process.kill()
        process.communicate()
        path = folder / LAST
        moments.append(
            len(read_state(path)["callbacks"]["Keeper"]["history"]) if path.exists() else 0
        )
    return moments


def finish(folder):
    """Run the training to its end in another process and return its weights."""
    script = SCRIPT.format(tests=str(Path(__file__).parent))
    subprocess.run([sys.executable, "-c", script, str(folder)], check=True, capture_output=True)
    return read_state(folder / LAST)["callbacks"]["Keeper"]["best"]


@pytest.mark.slow
def test_killed_at_ten_random_moments_it_ends_with_the_same_weights(tmp_path):
    moments = kill_at_random(tmp_path, 10, seed=1)
    assert moments == sorted(moments)  # an epoch that was kept is never lost
    assert len(set(moments)) > 2  # else the moments tell nothing
    weights = finish(tmp_path)
    undisturbed = tmp_path / "undisturbed"  # a process of its own too: the same threads
    undisturbed.mkdir()
    expected = finish(undisturbed)
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[key], value) for key, value in expected.items())
