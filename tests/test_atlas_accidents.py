"""What happens to an atlas when processes die, numbers are none, or its own lists are damaged."""

import os
import shutil
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, os.path.dirname(__file__))  # noqa: PTH120
from test_atlas import WINDOW, make_collection, same

from auralise.atlas import Atlas, Options, build
from auralise.atlas.layout import with_channels_last
from auralise.atlas.store import open_store
from auralise.errors import InvalidValueError, OutputError
from auralise.models.tiny import tiny_network


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("sounds"), clips=12)


@pytest.fixture(scope="module")
def undisturbed(collection, tmp_path_factory):
    out = tmp_path_factory.mktemp("atlas") / "whole"
    options = Options(shard_clips=3, batch=4)
    build(str(collection), tiny_network(), out, window=WINDOW, options=options)
    return out


def children():
    """Return the processes that this one, or its fork server, has started to decode."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
            status = (place / "status").read_text()
        except OSError:
            continue
        parent = int(status.split("PPid:")[1].split()[0])
        if any(b"forkserver" in word for word in words) and parent != os.getpid():
            found.append((parent, int(place.name)))
    servers = {
        int(place.name)
        for place in Path("/proc").glob("[0-9]*")
        if (place / "status").exists()
        and f"PPid:\t{os.getpid()}\n" in (place / "status").read_text()
    }
    return [number for parent, number in found if parent in servers]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_a_process_that_decodes_is_killed_and_nothing_is_lost_or_doubled(
    collection, undisturbed, tmp_path
):
    killed = []

    def kill_one():
        until = time.monotonic() + 120
        while time.monotonic() < until and not killed:
            parts = tmp_path / "a" / "parts"
            if parts.is_dir() and any(parts.glob("*.json")) and (running := children()):
                os.kill(running[0], signal.SIGKILL)
                killed.append(running[0])
            time.sleep(0.002)

    thread = threading.Thread(target=kill_one)
    thread.start()
    options = Options(workers=2, shard_clips=1, batch=4)
    report = build(str(collection), tiny_network(), tmp_path / "a", window=WINDOW, options=options)
    thread.join()
    assert killed
    assert report.manifest.counts["unreadable"] == 0
    assert same(undisturbed, tmp_path / "a")


def test_a_clip_that_ends_its_process_every_time_is_listed_and_the_rest_is_heard(monkeypatch):
    """The pool in its own words: a process is lost three times over one clip."""
    from concurrent.futures import Future
    from concurrent.futures.process import BrokenProcessPool

    from auralise.atlas import local
    from auralise.atlas.decoding import Source, Stretch

    class Processes:
        def submit(self, function, source, *_):
            future = Future()
            if source.clip == "bad":
                future.set_exception(BrokenProcessPool())
            else:
                nothing = torch.zeros(0).numpy()
                grid = torch.zeros(0, 0).half().numpy()
                future.set_result(Stretch(source, 0, nothing, grid, 0.0, True))
            return future

        def shutdown(self, **_):
            pass

    monkeypatch.setattr(local._Pool, "_start", lambda self: Processes())
    sources = [Source(name, name, 0, 0) for name in ("a", "b", "bad", "c", "d")]
    found = list(local._Pool(2, 8000, WINDOW).run(sources))
    assert [stretch.source.clip for stretch in found] == ["a", "b", "bad", "c", "d"]
    assert [bool(stretch.reason) for stretch in found] == [False, False, True, False, False]
    assert "ended from outside 3 times" in found[2].reason
    bad = [Source("bad", str(number), 0, 0) for number in range(2)]
    with pytest.raises(OutputError, match="ended again and again"):
        list(local._Pool(2, 8000, WINDOW).run(bad))


class Loud(nn.Module):
    """Divides by what is left below a loud sound: not finite for those."""

    def forward(self, values):
        """Return infinity where the input is high."""
        return torch.where(values > 1.5, values / 0, values)


def test_a_clip_that_makes_numbers_that_are_none_is_listed_with_layer_and_window(tmp_path):
    sounds = make_collection(tmp_path / "sounds", clips=6)
    network = tiny_network()
    network.module.conv1 = nn.Sequential(Loud(), *network.module.conv1).eval()
    report = build(str(sounds), network, tmp_path / "a", window=WINDOW, options=Options(batch=4))
    counts = report.manifest.counts
    assert counts["unreadable"] > 0
    assert counts["clips"] + counts["duplicates"] + counts["unreadable"] == counts["files"] == 7
    files = Atlas.open(tmp_path / "a").files()
    wrong = [entry for entry in files if entry.status == "unreadable"]
    assert all("values are not finite: layer 'conv1' in the window" in e.reason for e in wrong)
    # What the others gave is as if those files had never been there.
    for entry in wrong:
        (sounds / entry.path).unlink(missing_ok=True)
    build(str(sounds), network, tmp_path / "b", window=WINDOW, options=Options(batch=4))
    one, other = Atlas.open(tmp_path / "a"), Atlas.open(tmp_path / "b")
    assert one.unit("conv1:1").top(50) == other.unit("conv1:1").top(50)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"PAR1"])
@pytest.mark.parametrize("table", ["files.parquet", "shards.parquet"])
def test_a_damaged_list_is_said_and_made_anew(collection, undisturbed, tmp_path, table, damage):
    out = tmp_path / "a"
    shutil.copytree(undisturbed, out)
    (out / table).write_bytes(damage((out / table).read_bytes()))
    atlas = Atlas.open(out)
    ask = atlas.files if table == "files.parquet" else partial(atlas.embedding, "conv1")
    with pytest.raises(InvalidValueError, match=f"{table} of .* is damaged"):
        ask()
    options = Options(shard_clips=3, batch=4)
    report = build(str(collection), tiny_network(), out, window=WINDOW, options=options)
    assert report.heard == 0  # the parts are still good
    assert same(undisturbed, out)


def test_collections_of_a_damaged_list_are_named_and_come_back(collection, undisturbed, tmp_path):
    out, options = tmp_path / "a", Options(shard_clips=3, batch=4)
    shutil.copytree(undisturbed, out)
    more = make_collection(tmp_path / "more", clips=14)
    build(str(more), tiny_network(), out, options=options)
    shutil.copytree(out, tmp_path / "before")
    (out / "files.parquet").write_bytes(b"nothing")
    report = build(str(more), tiny_network(), out, options=options)
    assert report.lost == (collection.name,)
    assert set(report.manifest.collections) == {"more"}
    assert report.manifest.counts["files"] == 15
    report = build(str(collection), tiny_network(), out, options=options)
    assert report.lost == ()
    assert same(tmp_path / "before", out)


def test_a_table_of_the_summary_that_is_damaged_is_said_and_made_anew(
    collection, undisturbed, tmp_path
):
    out = tmp_path / "a"
    shutil.copytree(undisturbed, out)
    (out / "summary" / "top.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(InvalidValueError, match=r"summary/top\.parquet.*build again"):
        Atlas.open(out).unit("conv1:0").top(3)
    options = Options(shard_clips=3, batch=4)
    build(str(collection), tiny_network(), out, window=WINDOW, options=options)
    assert same(undisturbed, out)


def test_channels_last_is_for_networks_that_allow_it():
    viewing = nn.Sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d(2)).eval()

    class Viewing(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = viewing

        def forward(self, values):
            return self.inner(values).view(len(values), -1)

    example = torch.zeros(1, 2, 8, 8)
    kept = Viewing().eval()
    assert with_channels_last(kept, example) is kept
    flat = nn.Sequential(nn.Conv1d(2, 3, 3)).eval()
    assert with_channels_last(flat, torch.zeros(1, 2, 8)) is flat
    moved = with_channels_last(viewing, example)
    assert moved is not viewing
    assert viewing[0].weight.is_contiguous()
    values = torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(moved(values), viewing(values), rtol=0, atol=1e-6)


def test_an_atlas_that_is_nowhere_has_no_lists(tmp_path):
    with pytest.raises(InvalidValueError, match="there is no atlas"):
        Atlas.open(tmp_path)
    assert open_store(tmp_path).names("parts") == []
