"""Training from shards: read from front to back, repeatable, stopped and continued."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from auralise.cli.main import app
from auralise.datasets import open_dataset
from auralise.datasets.base import Track
from auralise.datasets.clips import Clip, read_clips
from auralise.datasets.sharded import ShardClips
from auralise.datasets.shards import write_shards
from auralise.datasets.splits import LeakySplitWarning, split
from auralise.errors import AudioFileError, InvalidValueError, TrainingError
from auralise.models import MODELS, read_manifest
from auralise.training.batches import Excerpts, Item, Order, Stream
from auralise.training.fit import FitOptions, Machine, fit
from auralise.training.jobs import Job
from auralise.training.pipeline import train_network

RATE = 16000
LABELS = ("high", "low")
PAPER = MODELS["dieleman2014-raw"].configure(width=0.05, seconds=0.6)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Two labels of nine half-second tones, and a file that is no sound."""
    folder = tmp_path_factory.mktemp("sounds")
    for label, hertz in (("high", 2000), ("low", 200)):
        (folder / label).mkdir()
        for take in range(9):
            tone = 0.3 * np.sin(2 * np.pi * hertz * (1 + take / 50) * np.arange(8000) / RATE)
            soundfile.write(folder / label / f"{label}{take}.wav", tone, RATE)
    (folder / "high" / "high99.wav").write_bytes(b"RIFF, but no more than that")
    return folder


@pytest.fixture(scope="module")
def shards(sounds, tmp_path_factory):
    """Eighteen clips in five shards."""
    folder = tmp_path_factory.mktemp("shards") / "s"
    dataset = open_dataset(f"folder:{sounds}")
    tracks = [track for track in dataset.tracks if "99" not in track.path.name]
    about = {"name": "tones", "licence": "ours", "grouping": "takes", "tags": []}
    write_shards(read_clips(tracks, RATE), RATE, folder, shard_bytes=100_000, about=about)
    assert len(list(folder.glob("*.tar"))) == 5
    return folder


def test_a_folder_of_shards_is_a_collection_whose_clips_are_those_written(sounds, shards):
    dataset = open_dataset(f"shards:{shards}")
    assert (dataset.name, dataset.licence, dataset.grouping) == ("tones", "ours", "takes")
    assert dataset.labels == LABELS
    clips = ShardClips(shards, dataset.tracks[::-1])
    plain = list(read_clips(dataset.tracks[::-1], RATE))
    assert len(clips) == 18
    assert all(torch.equal(a.samples, b.samples) for a, b in zip(clips, plain, strict=True))
    assert [clip.track for clip in clips[3:5]] == [clip.track for clip in plain[3:5]]
    with pytest.raises(InvalidValueError, match="have no clip"):
        ShardClips(shards, [Track(Path("elsewhere.wav"), "high", "")])


def taken(clips, seed, number, part=(0, 1)):
    stream = clips.stream(seed, part)
    found = [next(stream) for _ in range(number)]
    stream.close()
    return found


def test_a_stream_has_each_clip_once_in_each_turn_and_processes_share_it(shards):
    clips = ShardClips(shards, ShardClips(shards).tracks[2:])
    found = taken(clips, 5, 32)
    for index, clip in found:
        assert torch.equal(clip.samples, clips[index].samples)
        assert clip.track == clips.tracks[index]
    order = [index for index, _ in found]
    assert sorted(order[:16]) == sorted(order[16:]) == list(range(16))
    assert order[:16] != order[16:]
    assert [index for index, _ in taken(clips, 5, 32)] == order
    assert [index for index, _ in taken(clips, 6, 32)] != order
    halves = [{index for index, _ in taken(clips, 5, 60, (i, 2))} for i in range(2)]
    assert halves[0] | halves[1] == set(range(16))
    assert not halves[0] & halves[1]
    with pytest.raises(InvalidValueError, match="write smaller shards"):
        taken(clips, 5, 1, (9, 10))


def test_steps_are_as_many_as_of_picked_clips_with_the_same_excerpts(shards):
    clips = ShardClips(shards)
    options = FitOptions(seed=3)
    excerpts = Excerpts(clips, LABELS, False, 9000, RATE, options)
    for processes in (1, 2):
        seen = Counter()
        for number in range(processes):
            order = Order(18, 4, 18, 3, lambda: 7, lambda n=number, p=processes: (n, p))
            steps = list(Stream(clips, excerpts, order))
            assert len(steps) == len(order) == len(list(order))
            assert [len(s.targets) for s in steps] == [len(items) for items in order]
            weights = sum(float(s.weights.sum()) for s in steps) / processes
            assert weights == pytest.approx(sum(i.weight for s in order for i in s) / processes)
            seen.update(round(float(x.abs().sum()), 3) for step in steps for x in step.samples)
        drawn = [excerpts[Item(7, i, 1.0)][0].abs().sum() for i in range(18)]
        if processes == 1:
            assert seen == Counter(round(float(x), 3) for x in drawn)


def fitted(clips, folder, epochs, **changes):
    options = FitOptions(epochs=epochs, batch_size=4, **changes)
    valid = [clips[0], clips[17]]
    return fit(PAPER, LABELS, clips, valid, options, folder=folder)


class Stopped(Exception):
    pass


def test_a_training_from_shards_is_stopped_and_ends_with_the_same_weights(shards, tmp_path):
    clips = ShardClips(shards)
    whole = fitted(clips, tmp_path / "whole", 3)

    def stop(progress):
        if progress.epoch == 3:
            raise Stopped

    with pytest.raises(Stopped):
        fit(PAPER, LABELS, clips, [clips[0], clips[17]], FitOptions(epochs=3, batch_size=4),
            folder=tmp_path / "halves", report=stop)  # fmt: skip
    again = fitted(clips, tmp_path / "halves", 3)
    assert len(again.history) == 3
    for key, value in whole.module.state_dict().items():
        assert torch.equal(value, again.module.state_dict()[key])
    with pytest.raises(OSError, match="reading: from front to back then, None now"):
        fitted(list(clips), tmp_path / "whole", 3)


def auralise(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def test_shards_are_written_trained_on_and_evaluated_from_the_command_line(sounds, tmp_path):
    out = tmp_path / "shards"
    done = auralise("shards", "--data", f"folder:{sounds}", "--out", out, "--megabytes", 1)
    assert "18 clips at 16000 Hz" in done.stdout
    assert "1 clips could not be read:\n  high99.wav" in done.stderr
    base = ("--data", f"shards:{out}", "--option", "width=0.05", "--epochs", 1, "--threads", 1)
    for name in ("one", "two"):
        auralise("train", "dieleman2014-raw", *base, "--out", tmp_path / "nets", "--name", name)
    entries = read_manifest(tmp_path / "nets")
    assert entries["one"]["sha256"] == entries["two"]["sha256"]
    assert "--data shards:FOLDER" in entries["one"]["command"]
    network = tmp_path / "nets" / "one"
    report = tmp_path / "report"
    found = auralise("evaluate", network, "--data", f"shards:{out}", "--out", report, "--json")
    scores = json.loads(found.stdout)
    assert scores["protocol"]["kind"] == "shards"
    with pytest.raises(InvalidValueError, match="at 16000 Hz and the network takes 11025 Hz"):
        auralise("train", "choi2016", *base, "--out", tmp_path / "nets")
    with pytest.raises(InvalidValueError, match="leave --cache out"):
        auralise("train", "dieleman2014-raw", *base, "--out", tmp_path, "--cache", tmp_path / "c")


def alter(folder, clips, number=3):
    """Flip a bit of one clip's samples."""
    place = clips.places[number]
    path = folder / place.shard
    data = bytearray(path.read_bytes())
    data[place.offset + 402] ^= 64
    path.write_bytes(data)
    return clips.tracks[number].path.name


def test_an_altered_clip_is_skipped_counted_and_listed_unless_strict(shards, tmp_path):
    folder = tmp_path / "s"
    shutil.copytree(shards, folder)
    clips = ShardClips(folder)
    name = alter(folder, clips)
    order = [index for index, _ in taken(clips, 5, 34)]
    assert 3 not in order
    assert sorted(order[:17]) == sorted(order[17:])
    assert clips.skipped == [(name, "its samples are not those that were written")]
    with pytest.raises(AudioFileError, match=name):
        clips[3]
    with pytest.raises(AudioFileError, match=name):
        taken(ShardClips(folder, strict=True), 5, 18)
    (folder / "clips-000001.tar").write_bytes(bytes([7]) * 30720 * 4)
    with pytest.raises(InvalidValueError, match="bytes and should have"):
        ShardClips(folder)


@pytest.mark.parametrize("workers", [0, 1])
def test_altered_validation_clips_are_left_out_and_listed_unless_strict(shards, tmp_path, workers):
    folder = tmp_path / "s"
    shutil.copytree(shards, folder)
    tracks = ShardClips(folder).tracks
    options = FitOptions(epochs=1, batch_size=2)

    def fitted(strict):
        valid = ShardClips(folder, tracks[-5:], strict=strict)
        machine = Machine(workers=workers)
        return valid, fit(PAPER, LABELS, ShardClips(folder), valid, options, machine=machine)

    names = [alter(folder, ShardClips(folder), number) for number in (13, 14, 16)]
    valid, found = fitted(False)
    assert valid.skipped == [
        (name, "its samples are not those that were written") for name in names
    ]
    whole = [ShardClips(folder)[number] for number in (15, 17)]
    train = ShardClips(folder)
    again = fit(PAPER, LABELS, train, whole, options, machine=Machine(workers=workers))
    assert found.history[0].valid_loss == again.history[0].valid_loss
    with pytest.raises(AudioFileError, match=names[0]):
        fitted(True)


def test_a_training_whose_validation_clips_are_all_altered_says_so(shards, tmp_path):
    folder = tmp_path / "s"
    shutil.copytree(shards, folder)
    clips = ShardClips(folder)
    alter(folder, clips, 0)
    valid = ShardClips(folder, clips.tracks[:1])
    with pytest.raises(TrainingError, match="none of the validation clips can be read"):
        fit(PAPER, LABELS, ShardClips(folder), valid, FitOptions(epochs=1, batch_size=8))
    assert len(list(clips)) == 17
    assert clips.whole().tracks == clips.tracks[1:]


def test_a_network_is_trained_and_tested_though_clips_of_each_part_are_altered(shards, tmp_path):
    folder = tmp_path / "s"
    shutil.copytree(shards, folder)
    clips = ShardClips(folder)
    job = Job("dieleman2014-raw", how="stratified", model={"width": 0.05},
              options=FitOptions(epochs=1, batch_size=4))  # fmt: skip
    with pytest.warns(LeakySplitWarning):
        parts = split(open_dataset(f"shards:{folder}"), how="stratified", seed=job.options.seed)
    numbers = {track.path: number for number, track in enumerate(clips.tracks)}
    names = [
        alter(folder, clips, numbers[part[0].path])
        for part in (parts.train, parts.valid, parts.test)
    ]
    out = tmp_path / "nets"
    dataset = open_dataset(f"shards:{folder}")
    trained = train_network(job, dataset, out=out, bar=lambda *_: None)
    assert sorted(name for name, _ in trained.skipped) == sorted(names)
    assert trained.scores["test_clips"] == len(parts.test) - 1


def test_a_clip_altered_in_the_middle_of_a_training_is_listed_at_its_end(shards, tmp_path):
    """It is noticed in the epoch that meets it, with a process that reads ahead as well."""
    folder = tmp_path / "s"
    shutil.copytree(shards, folder)
    clips = ShardClips(folder)
    names = []

    def report(progress):
        if progress.epoch == 1 and progress.valid_accuracy is not None and not names:
            names.append(alter(folder, clips))

    machine = Machine(workers=1)
    fit(PAPER, LABELS, clips, [clips[0], clips[17]], FitOptions(epochs=2, batch_size=4),
        report=report, machine=machine)  # fmt: skip
    assert [name for name, _ in clips.skipped] == names


@pytest.mark.parametrize("all_of_them", [False, True])
def test_test_clips_that_are_altered_while_a_network_is_trained(shards, tmp_path, all_of_them):
    folder = tmp_path / "s"
    shutil.copytree(shards, folder)
    clips = ShardClips(folder)
    job = Job("dieleman2014-raw", how="stratified", model={"width": 0.05},
              options=FitOptions(epochs=1, batch_size=4))  # fmt: skip
    with pytest.warns(LeakySplitWarning):
        test = split(open_dataset(f"shards:{folder}"), how="stratified", seed=0).test
    wanted = {track.path for track in (test if all_of_them else test[:1])}
    names = []

    def bar(stage, *_):
        if stage == "training" and not names:
            numbers = [i for i, track in enumerate(clips.tracks) if track.path in wanted]
            names.extend(alter(folder, clips, number) for number in numbers)

    def run():
        return train_network(job, open_dataset(f"shards:{folder}"), out=tmp_path, bar=bar)

    if all_of_them:
        with pytest.raises(InvalidValueError, match="no clip of the test part"):
            run()
        return
    trained = run()
    assert [name for name, _ in trained.skipped] == names
    assert trained.scores["test_clips"] == len(test) - 1


def test_the_same_samples_in_two_parts_of_shards_are_refused(tmp_path):
    tone = torch.sin(torch.arange(8000) * 0.3)
    clips = [
        Clip(tone, Track(Path(f"{label}{i}.wav"), label, f"{label}{i}"))
        for label in LABELS
        for i in range(6)
    ]
    write_shards(clips, RATE, tmp_path / "s")
    base = ("--data", f"shards:{tmp_path / 's'}", "--option", "width=0.05", "--epochs", 1)
    with pytest.raises(InvalidValueError, match="are the same file"):
        auralise("train", "dieleman2014-raw", *base, "--out", tmp_path / "nets")
