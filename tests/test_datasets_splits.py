"""Ways to divide a collection, weights, segments, duplicates, the synthetic collection, shards."""

import json
import os
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from auralise.datasets import (
    Dataset,
    EmptyLabelWarning,
    LeakySplitWarning,
    Split,
    Track,
    open_dataset,
    split,
)
from auralise.datasets.balance import class_weights
from auralise.datasets.clips import Clip, read_clips
from auralise.datasets.duplicates import find_duplicates, refuse_duplicates
from auralise.datasets.segments import segments
from auralise.datasets.shards import read_shards, write_shards
from auralise.datasets.splits import split_by_group
from auralise.datasets.synthetic import SIGNALS
from auralise.errors import InvalidValueError, OutputError, UnknownNameError


def songs(n=60, artists=12, part="", labels="abc"):
    """Artist i % artists; each artist sings one label only."""
    return tuple(
        Track(
            Path(f"{i}.wav"), labels[i % artists % len(labels)], str(i), (), f"x{i % artists}", part
        )
        for i in range(n)
    )


def dataset(tracks, **options):
    return Dataset("songs", tuple(tracks), "", "each file", **options)


def parts_of(found):
    return found.train, found.valid, found.test


def test_no_artist_stands_on_two_sides_and_nothing_is_lost():
    found = split(dataset(songs()), how="artist")
    artists = [{track.artist for track in part} for part in parts_of(found)]
    assert sum(map(len, artists)) == 12
    assert Counter(sum(parts_of(found), ())) == Counter(songs())
    assert (found.how, found.leaky) == ("artist", False)
    for part in parts_of(found):
        assert {track.label for track in part} == {"a", "b", "c"}


def test_artists_are_kept_whole_even_where_they_have_several_labels():
    tracks = [
        Track(Path(f"{i}"), "ab"[i % 2], str(i), (), f"x{i % 9}") for i in range(90)
    ]  # nine artists, ten tracks each, five of either label
    found = split(dataset(tracks), how="artist", seed=4)
    artists = [{track.artist for track in part} for part in parts_of(found)]
    assert [len(names) for names in artists] == [5, 2, 2]
    assert len(set().union(*artists)) == 9


def test_three_artists_of_a_label_are_enough_for_three_parts():
    found = split(dataset(songs(54, artists=9)), how="artist")
    for part in parts_of(found):
        assert {track.label for track in part} == {"a", "b", "c"}


def test_each_fold_tests_other_artists_and_all_are_tested_once():
    tested = []
    for fold in range(4):
        found = split(dataset(songs()), how="artist", fold=fold, folds=4, seed=1)
        assert not found.leaky
        assert Counter(sum(parts_of(found), ())) == Counter(songs())
        tested += found.test
    assert Counter(tested) == Counter(songs())


def test_stratified_folds_have_labels_in_equal_shares():
    tracks = [Track(Path(f"{i}"), "a" if i < 30 else "b", str(i), (), f"x{i}") for i in range(40)]
    for fold in range(5):
        found = split(dataset(tracks), how="stratified", fold=fold, folds=5)
        for part, size in zip(parts_of(found), (3, 1, 1), strict=True):
            assert Counter(t.label for t in part) == {"a": 6 * size, "b": 2 * size}
        assert not found.leaky  # each artist has one track only


def test_folds_of_tags_have_them_in_equal_shares():
    random = np.random.default_rng(0)
    tracks = [
        Track(Path(f"{i}"), "", str(i), tuple(t for t in "xyz" if random.random() < 0.4), f"a{i}")
        for i in range(300)
    ]
    found = split(dataset(tracks, tags=("x", "y", "z")), how="artist", fold=0, folds=5)
    total = Counter(tag for track in tracks for tag in track.tags)
    there = Counter(tag for track in found.test for tag in track.tags)
    assert all(abs(there[tag] - total[tag] / 5) <= 3 for tag in "xyz")


@pytest.mark.parametrize("how", ["stratified", "random"])
def test_a_split_across_artists_warns_and_is_marked(how):
    with pytest.warns(LeakySplitWarning, match="scores on it will be too high"):
        found = split(dataset(songs()), how=how)
    assert found.leaky
    assert [len(part) for part in parts_of(found)] == [36, 12, 12]


def test_where_nothing_is_known_artists_may_cross():
    unknown = [Track(Path(str(i)), "ab"[i % 2], str(i)) for i in range(20)]
    with pytest.warns(LeakySplitWarning):
        assert split(dataset(unknown)).leaky
    known = [Track(Path(str(i)), "ab"[i % 2], f"g{i % 10}") for i in range(20)]
    with warnings.catch_warnings(action="error"):
        assert not split(dataset(known)).leaky
    with pytest.warns(LeakySplitWarning):
        assert split(dataset(known), how="random").leaky


def test_given_parts_are_taken_and_an_artist_in_two_of_them_is_marked():
    tracks = [*songs(12), *songs(24, part="test")[12:], *songs(36, part="train")[24:]]
    found = split(dataset(tracks), how="auto")
    assert (found.how, found.leaky) == ("given", True)
    assert set(found.test) == set(tracks[12:24])
    assert set(found.train + found.valid) == set(tracks[24:36])
    assert not {t.artist for t in found.train} & {t.artist for t in found.valid}


def test_auto_takes_the_strictest_that_can_be():
    assert split(dataset(songs())).how == "artist"
    nameless = [Track(t.path, t.label, t.artist) for t in songs()]
    found = split(dataset(nameless))
    assert found.how == "group"
    assert parts_of(found) == parts_of(split_by_group(dataset(nameless)))


def test_a_split_is_repeatable_and_depends_on_its_seed():
    for how in ("artist", "group", "stratified"):
        with warnings.catch_warnings(action="ignore"):
            one, two, other = (split(dataset(songs()), how=how, seed=s) for s in (1, 1, 2))
        assert one == two
        assert one != other


@pytest.mark.parametrize(
    ("tracks", "options", "message"),
    [
        (songs(), {"how": "given"}, "names no training part"),
        (songs(part="dev"), {"how": "given"}, "a part 'dev'"),
        (songs(part="train"), {"how": "given", "fold": 0, "folds": 3}, "are no folds"),
        (songs(), {"fold": 0}, "both fold and folds"),
        (songs(), {"fold": 3, "folds": 3}, "got fold 3 of 3"),
        (songs(), {"fold": 0, "folds": 2}, "at least 3"),
        (songs(artists=6), {"how": "artist"}, r"no clips in the (valid|test) part"),
        ([Track(Path("0"), "d", "0", (), "x"), *songs()], {"how": "stratified"}, "and 1 in all"),
        ([Track(Path("0"), "a", "0"), *songs()], {"how": "artist"}, "of 1 of the 61 tracks"),
    ],
)
def test_a_split_that_cannot_be_is_refused(tracks, options, message):
    with (
        warnings.catch_warnings(action="ignore"),
        pytest.raises(InvalidValueError, match=message),
    ):
        split(dataset(tracks), **options)


def test_a_tag_that_no_given_training_clip_has_is_named():
    tracks = [Track(Path(str(i)), "", str(i), ("x",), f"a{i}", "train") for i in range(9)]
    tracks += [Track(Path("t"), "", "t", ("y",), "t", "test")]
    with pytest.warns(EmptyLabelWarning, match="songs: y have no clips in the given training"):
        assert split(dataset(tracks, tags=("x", "y"))).test == (tracks[-1],)
    rare = [Track(Path("r"), "", "r", ("y",), "r"), *tracks[:9]]
    with pytest.raises(InvalidValueError, match="label 'z' has no clips in the train part"):
        split(dataset(rare, tags=("x", "y", "z")), how="artist")


def test_a_misspelt_way_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'artist'"):
        split(dataset(songs()), how="artists")


# ---- weights, segments


def test_class_weights_by_hand():
    tracks = [Track(Path(str(i)), label, "") for i, label in enumerate("aaabbc")]
    weights = class_weights(tracks, "abc")
    assert torch.allclose(weights, torch.tensor([6 / 9, 1.0, 2.0]))
    assert float(sum(weights["abc".index(t.label)] for t in tracks)) == pytest.approx(6)
    with pytest.raises(InvalidValueError, match="label 'd' has no clips"):
        class_weights(tracks, "abcd")


def test_segments_by_hand():
    assert segments(10, 4) == [0, 2, 4, 6]
    assert segments(11, 4, 0.0) == [0, 4]
    assert segments(4, 4) == segments(3, 4) == [0]
    assert segments(7, 3, 0.99) == [0, 1, 2, 3, 4]
    for wrong in ((0, 4, 0.5), (4, 0, 0.5), (4, 4, 1.0), (4, 4, -0.1), (4, 4, float("nan"))):
        with pytest.raises(InvalidValueError):
            segments(*wrong)


# ---- duplicates


@pytest.fixture
def files(tmp_path):
    contents = [b"same", b"else", b"same", b"others", b"same"]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.wav").write_bytes(content)
    return [Track(tmp_path / f"{number}.wav", "a", str(number)) for number in range(5)]


def test_files_of_the_same_bytes_are_found(files):
    assert find_duplicates([*files, files[1]]) == ((files[0], files[2], files[4]),)
    with pytest.raises(InvalidValueError, match="gone"):
        find_duplicates([*files, Track(Path("gone"), "a", "")])


def test_the_same_file_in_two_parts_is_refused_with_both_names(files):
    zero, one, two, three, four = files
    refuse_duplicates(Split((zero, two, four), (one,), (three,)))
    with pytest.raises(InvalidValueError) as caught:
        refuse_duplicates(Split((zero, two), (one,), (three, four)))
    assert f"{zero.path} (training part) and {four.path} (test part)" in str(caught.value)
    with pytest.raises(InvalidValueError, match=r"0\.wav is in the training part and in the test"):
        refuse_duplicates(Split((zero, one), (three,), (zero,)))


# ---- synthetic


def test_the_synthetic_collection_is_the_same_everywhere_and_made_once(tmp_path):
    first, second = (open_dataset(f"synthetic:{tmp_path / name}") for name in ("one", "two"))
    assert first.labels == tuple(sorted(SIGNALS))
    assert Counter(track.label for track in first.tracks) == dict.fromkeys(SIGNALS, 16)
    assert len({track.path.read_bytes() for track in first.tracks}) == 112
    for one, two in zip(first.tracks, second.tracks, strict=True):
        assert one.path.read_bytes() == two.path.read_bytes()
    times = [track.path.stat().st_mtime_ns for track in first.tracks]
    first.tracks[5].path.unlink()
    again = open_dataset(f"synthetic:{tmp_path / 'one'}")
    assert again == first
    made = [t.path.stat().st_mtime_ns for t in again.tracks]
    assert [i for i in range(112) if made[i] != times[i]] == [5]
    found = split(first)
    assert (found.how, found.leaky) == ("group", False)


def test_synthetic_signals_are_what_they_are_called(tmp_path):
    dataset = open_dataset(f"synthetic:{tmp_path / 'new'}")
    peaks = Counter()
    for clip in read_clips(dataset.tracks[::2], 22_050):
        power = torch.fft.rfft(clip.samples).abs().square()
        hertz = torch.linspace(0, 11_025, len(power))
        peak = float(hertz[power.argmax()])
        flat = float(power.log().mean().exp() / power.mean())
        label = clip.track.label
        peaks[label, round(peak)] += 1
        assert (150 <= peak <= 600) == (label == "sine-low") or label not in (
            "sine-low",
            "sine-high",
        )
        assert label != "sine-high" or 1500 <= peak <= 5000
        assert label != "noise" or flat > 0.1
        if label.startswith("chirp"):
            halves = clip.samples.tensor_split(2)
            low, high = (float((h[1:] * h[:-1] < 0).sum()) for h in halves)
            assert (low < high) == (label == "chirp-up")
    assert sum(label == "sine-low" for label, _ in peaks) == 8  # each group is another tone


def test_the_synthetic_collection_does_not_move_in_with_others(tmp_path):
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(InvalidValueError, match=r"has 'thesis\.txt' in it"):
        open_dataset(f"synthetic:{tmp_path}")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises((InvalidValueError, OutputError)):
        open_dataset(f"synthetic:{tmp_path / 'thesis.txt'}")


# ---- shards


def clips(n=12):
    return [
        Clip(
            torch.randn(50 + i, generator=torch.Generator().manual_seed(i)),
            Track(Path(f"dir/{i},ü.wav"), "ab"[i % 2], f"g{i}", ("x", "y"), "é", "train"),
        )
        for i in range(n)
    ]


def assert_same(found, expected):
    assert [clip.track for clip in found] == [clip.track for clip in expected]
    assert all(torch.equal(a.samples, b.samples) for a, b in zip(found, expected, strict=True))


def test_clips_come_back_from_shards_in_order(tmp_path):
    table = write_shards(clips(), 8000, tmp_path / "s%d", shard_bytes=2000)
    described = json.loads(table.read_text())
    assert described["clips"] == 12
    assert described["sample_rate"] == 8000
    assert len(described["shards"]) == 3
    assert_same(list(read_shards(table.parent)), clips())


def test_features_come_back_from_shards(tmp_path):
    features = [Clip(torch.randn(24, 7), Track(Path("a.h5"), "", "g", ("t",)))]
    write_shards(features, 1, tmp_path / "s")
    assert_same(list(read_shards(tmp_path / "s")), features)


def test_processes_share_shards_and_a_seed_shuffles_them(tmp_path):
    write_shards(clips(), 8000, tmp_path / "s", shard_bytes=2000)
    halves = [list(read_shards(tmp_path / "s", part=(i, 2), seed=3)) for i in range(2)]
    together = sorted((c for half in halves for c in half), key=lambda c: int(c.track.group[1:]))
    assert_same(together, clips())
    one, two, other = (
        [c.track.group for c in read_shards(tmp_path / "s", seed=s)] for s in (1, 1, 2)
    )
    assert one == two != other
    with pytest.raises(InvalidValueError, match="part 99 of 100 has none"):
        list(read_shards(tmp_path / "s", part=(99, 100)))


def test_shards_that_are_not_whole_are_refused(tmp_path):
    table = write_shards(clips(), 8000, tmp_path / "s")
    with pytest.raises(OutputError, match="not an empty folder"):
        write_shards(clips(), 8000, tmp_path / "s")
    os.truncate(tmp_path / "s" / "clips-000000.tar", 1000)
    with pytest.raises(InvalidValueError, match="has 1000 bytes and should have"):
        list(read_shards(tmp_path / "s"))
    table.unlink()
    with pytest.raises(InvalidValueError, match="no whole shards"):
        list(read_shards(tmp_path / "s"))
    with pytest.raises(InvalidValueError, match="no clips"):
        write_shards([], 8000, tmp_path / "empty")
