"""The atlas by Ray: the same rows as by one process, also when a worker is killed."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, os.path.dirname(__file__))  # noqa: PTH120
from test_atlas import WINDOW, make_collection, same

from auralise.atlas import Options, build
from auralise.models.tiny import tiny_network

pytest.importorskip("ray", reason="Ray is not installed; pip install 'auralise[ray]'")
# Ray warns of its own settings, and leaves sockets to the garbage collector.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("sounds"))


@pytest.fixture(scope="module")
def alone(collection, tmp_path_factory):
    out = tmp_path_factory.mktemp("atlas") / "alone"
    options = Options(shard_clips=3, batch=4)
    build(str(collection), tiny_network(), out, window=WINDOW, options=options)
    return out


@pytest.fixture(scope="module")
def cluster():
    import ray

    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


def actors():
    """Return the processes of this machine that hold the network, as Ray names them."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            name = (place / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if name.startswith("ray::MapWorker(Map(_Hearing)"):
            found.append(int(place.name))
    return found


def test_two_workers_give_what_one_process_gives(collection, alone, tmp_path, cluster):
    options = Options(engine="ray", workers=2, shard_clips=3, batch=4)
    report = build(str(collection), tiny_network(), tmp_path / "a", window=WINDOW, options=options)
    assert report.heard == 8
    assert same(alone, tmp_path / "a")


def test_a_worker_that_is_killed_costs_nothing(collection, alone, tmp_path, cluster, monkeypatch):
    killed = []

    def kill_one():
        until = time.monotonic() + 300
        while time.monotonic() < until and not killed:
            if any((tmp_path / "a" / "parts").glob("*.json")) and (running := actors()):
                os.kill(running[0], signal.SIGKILL)
                killed.append(running[0])
            time.sleep(0.005)

    thread = threading.Thread(target=kill_one)
    thread.start()
    options = Options(engine="ray", workers=2, shard_clips=3, batch=4)
    build(str(collection), tiny_network(), tmp_path / "a", window=WINDOW, options=options)
    thread.join()
    assert killed
    assert same(alone, tmp_path / "a")
