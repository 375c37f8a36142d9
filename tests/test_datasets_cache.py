"""The cache of decoded clips: the same clips as decoding, whatever happens in between."""

import json
import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import numpy as np
import pytest
import soundfile
import torch

from auralise.datasets import Track
from auralise.datasets import store as store_module
from auralise.datasets.appending import Appender, sum_of
from auralise.datasets.cache import open_cache
from auralise.datasets.clips import read_clips
from auralise.datasets.decoding import LOT_BYTES, LOT_FILES, lots
from auralise.datasets.index import Entry, read_index, to_line
from auralise.errors import AudioFileError, InvalidValueError, OutputError

RATE = 8000


def write(path, frequency, seconds=0.25):
    tone = 0.4 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * 16000)) / 16000)
    soundfile.write(path, tone, 16000)


def make(folder, n=6):
    folder.mkdir()
    for i in range(n):
        write(folder / f"{i}.wav", 300 + 100 * i, 0.2 + 0.05 * i)
    return [Track(folder / f"{i}.wav", "ab"[i % 2], str(i)) for i in range(n)]


@pytest.fixture
def tracks(tmp_path):
    return make(tmp_path / "sounds")


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that were decoded in this process."""
    names = []
    from auralise.datasets import decoding

    plain = decoding.decode

    def counting(track, sample_rate):
        names.append(track.path.name)
        return plain(track, sample_rate)

    monkeypatch.setattr(decoding, "decode", counting)
    return names


def assert_right(cache, tracks):
    clips = list(read_clips(tracks, RATE))
    assert [clip.track for clip in cache] == list(tracks)
    assert all(torch.equal(a.samples, b.samples) for a, b in zip(cache, clips, strict=True))


def test_clips_are_those_of_decoding_and_decoded_once(tracks, tmp_path, decoded):
    assert_right(open_cache(tracks, RATE, tmp_path / "cache"), tracks)
    assert decoded == [track.path.name for track in tracks]
    assert_right(open_cache(tracks, RATE, tmp_path / "cache"), tracks)
    assert len(decoded) == 6


def test_two_processes_decode_the_same_clips_into_one_file(tmp_path):
    tracks = make(tmp_path / "sounds", 2 * LOT_FILES + 3)
    cache = open_cache(tracks, RATE, tmp_path / "two", workers=2)
    assert_right(cache, tracks)
    entries = read_index(tmp_path / "two" / "clips-8000.index")[0].values()
    places = sorted((entry.start, entry.length) for entry in entries)
    assert [start for start, _ in places] == [0, *np.cumsum([n for _, n in places])[:-1]]
    assert (tmp_path / "two" / "clips-8000.f32").stat().st_size == 4 * sum(n for _, n in places)


def test_subsets_in_any_order_share_one_file(tracks, tmp_path, decoded):
    open_cache(tracks[3:], RATE, tmp_path / "cache")
    cache = open_cache(tracks[::-1], RATE, tmp_path / "cache")
    assert_right(cache, tracks[::-1])
    assert len(decoded) == 6
    assert [clip.track for clip in cache.clips_of(tracks[1:3])] == tracks[1:3]
    assert torch.equal(cache.clips_of(tracks[1:2])[0].samples, cache[4].samples)
    with pytest.raises(InvalidValueError, match="was not opened for"):
        open_cache(tracks[3:], RATE, tmp_path / "cache").clips_of(tracks)


def test_a_changed_file_is_decoded_again_and_a_touched_one_is_not(tracks, tmp_path, decoded):
    open_cache(tracks, RATE, tmp_path / "cache")
    decoded.clear()
    os.utime(tracks[0].path, (1, 1))
    write(tracks[1].path, 2000, 0.4)
    assert_right(open_cache(tracks, RATE, tmp_path / "cache"), tracks)
    assert decoded == ["1.wav"]
    assert_right(open_cache(tracks, RATE, tmp_path / "cache"), tracks)
    assert decoded == ["1.wav"]


@pytest.mark.parametrize("keep", [0, 1, 7777, 12001])
def test_a_truncated_cache_is_filled_up(tracks, tmp_path, keep):
    open_cache(tracks, RATE, tmp_path / "cache")
    samples = tmp_path / "cache" / "clips-8000.f32"
    os.truncate(samples, keep)
    # A subset, unchecked, appends first: what is lost must not be taken for what stands there now.
    open_cache(tracks[4:], RATE, tmp_path / "cache", check=False)
    assert_right(open_cache(tracks, RATE, tmp_path / "cache", check=False), tracks)


@pytest.mark.parametrize("lost", [False, True])
def test_samples_that_the_last_run_of_the_machine_lost_are_missed(
    tracks, tmp_path, decoded, monkeypatch, lost
):
    open_cache(tracks, RATE, tmp_path / "cache")
    decoded.clear()
    if lost:
        with (tmp_path / "cache" / "clips-8000.f32").open("r+b") as file:
            file.seek(4 * 2000)
            file.write(bytes(4096))
    monkeypatch.setattr(store_module, "run_of_machine", lambda: "the next")
    cache = open_cache(tracks, RATE, tmp_path / "cache", check=False)
    assert_right(cache, tracks)
    assert decoded == (["1.wav"] if lost else [])


def test_an_altered_sample_is_noticed(tracks, tmp_path, decoded):
    open_cache(tracks, RATE, tmp_path / "cache")
    decoded.clear()
    samples = np.memmap(tmp_path / "cache" / "clips-8000.f32", np.float32, "r+")
    samples[10] += 0.1
    samples.flush()
    assert_right(open_cache(tracks, RATE, tmp_path / "cache"), tracks)
    assert decoded == ["0.wav"]


def test_an_index_is_read_up_to_where_it_was_altered_or_cut(tracks, tmp_path, decoded):
    open_cache(tracks, RATE, tmp_path / "cache")
    index = tmp_path / "cache" / "clips-8000.index"
    whole = index.read_bytes()
    lines = whole.splitlines(keepends=True)
    for data, left in (
        (whole[:-1], 5),
        (whole[: len(lines[0]) + 9], 1),
        (b"".join(lines[:3]) + lines[3].replace(b"wav", b"mp3") + b"".join(lines[4:]), 3),
        (b"\xff\x00" + whole, 0),
    ):
        index.write_bytes(data)
        assert len(read_index(index)[0]) == left
        decoded.clear()
        assert_right(open_cache(tracks, RATE, tmp_path / "cache"), tracks)
        assert len(decoded) == 6 - left


def test_a_line_of_an_index_comes_back_whatever_the_path(tmp_path):
    entry = Entry('a\n"b"\udcff,ü', 1, 2, "00", 3, 4, 5, "why\nnot")
    (tmp_path / "index").write_bytes(to_line(entry) * 2)
    assert read_index(tmp_path / "index")[0] == {entry.path: entry}


def test_unreadable_files_are_left_out_listed_and_not_tried_twice(tracks, tmp_path, decoded):
    tracks[2].path.write_bytes(b"RIFF")
    tracks[4].path.unlink()
    cache = open_cache(tracks, RATE, tmp_path / "cache")
    assert [skipped.path.name for skipped in cache.skipped] == ["2.wav", "4.wav"]
    assert "No such file" in cache.skipped[1].reason
    assert cache.skipped[0].label == "a"
    assert len(cache) == 4
    assert len(cache.clips_of(tracks)) == 4
    decoded.clear()
    write(tracks[4].path, 440)
    assert len(open_cache(tracks, RATE, tmp_path / "cache")) == 5
    assert decoded == ["4.wav"]


def test_strict_stops_at_the_first_unreadable_file(tracks, tmp_path, decoded):
    tracks[2].path.write_bytes(b"RIFF")
    for _ in range(2):
        with pytest.raises(AudioFileError, match=r"2\.wav"):
            open_cache(tracks, RATE, tmp_path / "cache", strict=True)
    assert decoded[:3] == ["0.wav", "1.wav", "2.wav"]
    assert len(open_cache(tracks, RATE, tmp_path / "cache")) == 5


def test_nothing_readable_is_an_error(tracks, tmp_path):
    tracks[0].path.write_bytes(b"")
    with pytest.raises(AudioFileError, match="1 of 1 tracks cannot be read"):
        open_cache(tracks[:1], RATE, tmp_path / "cache")
    with pytest.raises(InvalidValueError, match="needs tracks"):
        open_cache([], RATE, tmp_path / "cache")


def test_another_process_opens_the_file_rather_than_being_sent_it(tracks, tmp_path):
    cache = open_cache(tracks, RATE, tmp_path / "cache")
    sent = pickle.dumps(cache)
    assert len(sent) < 10_000
    assert_right(pickle.loads(sent), tracks)
    loader = torch.utils.data.DataLoader(
        cache, batch_size=None, num_workers=1, multiprocessing_context="forkserver"
    )
    assert_right(list(loader), tracks)


def test_what_is_done_to_a_clip_stays_in_this_process(tracks, tmp_path):
    open_cache(tracks, RATE, tmp_path / "cache")[0].samples.zero_()
    assert_right(open_cache(tracks, RATE, tmp_path / "cache"), tracks)


OPEN = """
import sys
from pathlib import Path
from auralise.datasets import Track
from auralise.datasets.cache import open_cache
tracks = [Track(path, "a", "") for path in sorted(Path(sys.argv[1]).glob("*.wav"))]
def report(done, total):
    print(done, flush=True)
if __name__ == "__main__":
    open_cache(tracks, 8000, Path(sys.argv[2]), workers=int(sys.argv[3]), progress=report)
"""


def start(tmp_path, *arguments, **options):
    script = tmp_path / "open.py"
    script.write_text(OPEN)
    command = [sys.executable, script, tmp_path / "sounds", tmp_path / "cache", *arguments]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True, **options)


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_and_ends_right(tmp_path):
    tracks = make(tmp_path / "sounds", 60)
    draw = random.Random(0)
    killed = 0
    for _ in range(5):
        process = start(tmp_path, 1)
        process.stdout.readline()
        time.sleep(draw.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        process.stdout.close()
        known, _ = read_index(tmp_path / "cache" / "clips-8000.index")
        held = (tmp_path / "cache" / "clips-8000.f32").stat().st_size
        assert all((e.start + e.length) * 4 <= held for e in known.values())
    assert killed >= 2
    assert_right(open_cache(tracks, RATE, tmp_path / "cache"), tracks)


@pytest.mark.slow
def test_two_processes_that_make_one_cache_at_once_share_the_work(tmp_path):
    tracks = make(tmp_path / "sounds", 40)
    both = [start(tmp_path, 1), start(tmp_path, 1)]
    lines = [len(process.communicate(timeout=60)[0].splitlines()) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(lines) == 40
    assert_right(open_cache(tracks, RATE, tmp_path / "cache"), tracks)
    assert len(read_index(tmp_path / "cache" / "clips-8000.index")[0]) == 40


@pytest.mark.slow
def test_a_full_disk_is_said_and_what_was_decoded_stays(tracks, tmp_path, decoded):
    """The limit on the size of a file stands in for the disk: the write fails in its middle."""
    limit = 20_001  # the third clip ends at 24 kB or so

    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = start(tmp_path, 1, preexec_fn=small, stderr=subprocess.PIPE)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "OutputError: cannot write the cache" in error
    assert "File too large; what was decoded is kept" in error
    known, _ = read_index(tmp_path / "cache" / "clips-8000.index")
    held = (tmp_path / "cache" / "clips-8000.f32").stat().st_size
    assert 0 < len(known) < 6
    assert held == max((e.start + e.length) * 4 for e in known.values())
    assert_right(open_cache(tracks, RATE, tmp_path / "cache"), tracks)
    assert len(decoded) == 6 - len(known)


def test_a_folder_that_cannot_be_made_is_said(tracks, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the cache"):
        open_cache(tracks, RATE, tmp_path / "file" / "cache")


@pytest.mark.slow
def test_the_end_of_a_decoding_process_is_said_and_what_was_decoded_stays(tmp_path):
    """A worker that meets the file named "die" is ended from outside."""
    tracks = make(tmp_path / "sounds", 4)
    script = tmp_path / "die.py"
    script.write_text(
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from auralise.datasets import Track, decoding\n"
        "from auralise.datasets.cache import open_cache\n"
        "plain = decoding.decode\n"
        "def dying(track, rate):\n"
        "    if track.path.stem == '3':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return plain(track, rate)\n"
        "decoding.decode = dying  # in each worker, too: they import this file\n"
        "if __name__ == '__main__':\n"
        "    folder = Path(sys.argv[1])\n"
        "    tracks = [Track(path, 'a', '') for path in sorted(folder.glob('*.wav'))]\n"
        "    open_cache(tracks, 8000, Path(sys.argv[2]), workers=2)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "sounds"), str(tmp_path / "cache")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "OutputError: a process that decoded was ended from outside" in done.stderr
    assert_right(open_cache(tracks, RATE, tmp_path / "cache"), tracks)


def test_samples_appended_at_the_same_time_do_not_touch_each_other(tmp_path):
    """Each opens the file anew, so that threads stand for processes."""
    path = tmp_path / "samples.f32"
    path.write_bytes(b"abcde")  # the last was cut off

    def append(value):
        turns = [[np.full(n, value, np.float32) for n in (k, 0, 30_000)] for k in range(1, 40)]
        return [list(zip(Appender(path).append(arrays), arrays, strict=True)) for arrays in turns]

    with ThreadPoolExecutor(4) as pool:
        said = [pair for turns in pool.map(append, range(1, 5)) for turn in turns for pair in turn]
    held = np.fromfile(path, np.float32)
    taken = np.zeros(len(held), int)
    for start, array in said:
        assert np.array_equal(held[start : start + len(array)], array)
        taken[start : start + len(array)] += 1
    assert taken[:2].tolist() == [0, 0]  # what was there, and the place of the one cut off
    assert (taken[2:] == 1).all()
    Appender(path).truncate(1)
    assert path.read_bytes() == b"abcd"


def test_a_checksum_is_that_of_a_loop_and_misses_no_bit_and_no_page():
    random = np.random.default_rng(0)
    samples = random.standard_normal(5000).astype(np.float32)
    words = samples.tobytes()
    pages = [words[start : start + 4096] for start in range(0, 4 * 4096, 4096)]
    numbers = [
        sum(int.from_bytes(p[i : i + 8], "little") for i in range(0, 4096, 8)) for p in pages
    ]
    tail = words[4 * 4096 :]
    numbers += [int.from_bytes(tail[i : i + 4], "little") for i in range(0, len(tail), 4)]
    plain = sum_of(samples)
    assert plain == sum((2 * i + 1) * number for i, number in enumerate(numbers)) % 2**64
    for bit in random.integers(0, 8 * len(words), 200).tolist():
        altered = bytearray(words)
        altered[bit // 8] ^= 1 << bit % 8
        assert sum_of(np.frombuffer(bytes(altered), np.float32)) != plain
    for other in (
        bytes(4096) + words[4096:],
        pages[1] + pages[0] + words[8192:],
        words[:4096] + pages[0] + words[8192:],
    ):
        assert sum_of(np.frombuffer(other, np.float32)) != plain
    assert sum_of(samples[:0]) == 0
    shifted = np.concatenate([samples[:1], samples])[1:]  # not on a multiple of eight bytes
    assert sum_of(shifted) == plain


def test_files_are_divided_into_lots_by_size_and_number(tmp_path):
    tracks = [Track(tmp_path / f"{i}", "a", "") for i in range(25)]
    for i, track in enumerate(tracks[1:], 1):  # the first is not there
        track.path.write_bytes(bytes(LOT_BYTES if i < 4 else 1))
    found = list(lots(tracks))
    sizes = [2, 1, 1, LOT_FILES, LOT_FILES, 21 - 2 * LOT_FILES]
    assert [len(lot) for lot in found] == sizes
    assert [track for lot in found for track in lot] == tracks


def test_an_index_of_another_version_is_made_anew(tracks, tmp_path, decoded):
    open_cache(tracks, RATE, tmp_path / "cache")
    index = tmp_path / "cache" / "clips-8000.index"
    entry = asdict(next(iter(read_index(index)[0].values())))
    text = json.dumps(entry | {"sha256": entry.pop("content")}).encode()
    index.write_bytes(b"%08x %s\n" % (zlib.crc32(text), text))
    decoded.clear()
    assert_right(open_cache(tracks, RATE, tmp_path / "cache"), tracks)
    assert len(decoded) == 6
