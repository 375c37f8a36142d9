"""Collections in the layouts and schemas that they are published in."""

import csv
import shutil
import sqlite3
from collections import Counter
from itertools import pairwise

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile
import torch

from auralise.datasets import EmptyLabelWarning, open_dataset, split
from auralise.datasets.gtzan import download, filtered_lists
from auralise.datasets.lastfm import read_tags, top_tags
from auralise.datasets.msd import beat_features, feature_clips, read_song
from auralise.errors import AudioFileError, InvalidValueError


def sound(path, frequency=440.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(np.arange(800) * frequency / 1000), 8000)
    return path


def table(path, rows, **options):
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, **options).writerows(rows)
    return path


# ---- manifest

HOSTILE = ["a,b.wav", 'quote".wav', "line\nbreak.wav", "ünï côde.wav", "-rf.wav", "$(date).wav"]


def test_a_manifest_keeps_every_column_and_any_path(tmp_path):
    for name in HOSTILE:
        sound(tmp_path / "in" / name)
    outside = sound(tmp_path / "out.wav")
    rows = [["path", "label", "split", "artist", "group", "comment"]]
    rows += [[name, "ab"[i % 2], "Validation", "Él", "g", "x"] for i, name in enumerate(HOSTILE)]
    rows += [["../out.wav", "a", "", "", "", ""], [str(outside), "b", "TEST", "", "", ""]]
    dataset = open_dataset(f"manifest:{table(tmp_path / 'in' / 'list.csv', rows)}")
    first, *_, up, absolute = dataset.tracks
    assert [t.path.name for t in dataset.tracks[:6]] == HOSTILE
    assert all(track.path.is_file() for track in dataset.tracks)
    assert (first.label, first.part, first.artist, first.group) == ("a", "valid", "Él", "g")
    assert (up.part, up.group, absolute.part, absolute.path) == ("", "../out.wav", "test", outside)


def test_tags_in_csv_and_in_parquet_are_the_same_collection(tmp_path):
    for name in "ab":
        sound(tmp_path / f"{name}.wav")
    rows = [["path", "tags", "artist"], ["a.wav", "slow; piano;", "x"], ["b.wav", "piano", "y"]]
    first = open_dataset(f"manifest:{table(tmp_path / 'list.csv', rows)}")
    columns = {"path": ["a.wav", "b.wav"], "tags": [["slow", "piano"], ["piano"]]}
    written = pyarrow.table({**columns, "artist": ["x", "y"], "other": [1, 2]})
    pyarrow.parquet.write_table(written, tmp_path / "list.parquet")
    second = open_dataset(f"manifest:{tmp_path / 'list.parquet'}")
    assert first == second
    assert first.multilabel
    assert first.labels == ("piano", "slow")
    assert first.tracks[0].tags == ("piano", "slow")


def test_all_rows_that_point_nowhere_are_listed(tmp_path):
    sound(tmp_path / "a.wav")
    lost = [["gone.wav", "a"], ["nul\0.wav", "b"], ["x" * 300, "b"]]
    rows = [["path", "label"], ["a.wav", "a"], *lost]
    with pytest.raises(InvalidValueError) as caught:
        open_dataset(f"manifest:{table(tmp_path / 'list.csv', rows)}")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("3 of 4 rows of list.csv point to no file")
    assert [line.split(":")[0] for line in lines[1:]] == ["row 3", "row 4", "row 5"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "got no rows"),
        ([["file", "label"], ["a.wav", "x"]], "must have a column 'path'"),
        ([["path", "label", "tags"], ["a.wav", "x", "y"]], "one of 'label' and 'tags'"),
        ([["path", "label"], ["a.wav", ""]], "row 2 of list.csv has no label"),
        ([["path", "label"], ["a.wav", "x"], ["", "y"]], "row 3 of list.csv has no path"),
        ([["path", "label", "split"], ["a.wav", "x", "dev"]], "a part 'dev'; parts are"),
        ([["path", "label"], ["a.wav"]], "row 2 of list.csv has more or fewer values"),
        ([["path", "label"], ["a.wav", "x", "y"]], "row 2 of list.csv has more or fewer values"),
        ([["path", "label"], ["a.wav", "x"]], "1 different labels"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, rows, message):
    sound(tmp_path / "a.wav")
    with pytest.raises(InvalidValueError, match=message):
        open_dataset(f"manifest:{table(tmp_path / 'list.csv', rows)}")


def test_what_is_no_table_is_refused(tmp_path):
    (tmp_path / "latin.csv").write_bytes(b"path,label\n\xe9.wav,a\n")
    (tmp_path / "open.csv").write_bytes(b'path,label\n"a.wav,b\n')
    (tmp_path / "list.parquet").write_bytes(b"PAR1 or not")
    for name, message in (("latin.csv", "UTF-8"), ("open.csv", "CSV"), ("list.parquet", "Parquet")):
        with pytest.raises(InvalidValueError, match=f"is not a {message}|table in {message}"):
            open_dataset(f"manifest:{tmp_path / name}")
    with pytest.raises(InvalidValueError, match="no file"):
        open_dataset(f"manifest:{tmp_path}")


# ---- GTZAN


def test_the_filtered_lists_have_the_published_sizes_and_do_not_overlap():
    """Sizes as in Kereliuk, Sturm and Larsen (2015)."""
    parts = filtered_lists()
    assert Counter(parts.values()) == {"train": 443, "valid": 197, "test": 290}
    genres = Counter(name.split(".")[0] for name, part in parts.items() if part == "test")
    assert genres["blues"] == 31
    assert genres["hiphop"] == 27
    assert len(parts) == 930


@pytest.mark.parametrize("inner", ["", "genres", "genres_original"])
def test_gtzan_takes_the_parts_of_the_lists(tmp_path, inner):
    for name in ("blues.00000", "blues.00012", "blues.00029", "rock.00012", "rock.00018"):
        sound(tmp_path / inner / name.split(".")[0] / f"{name}.wav")
    sound(tmp_path / inner / "blues" / "notes.wav")
    dataset = open_dataset(f"gtzan:{tmp_path}")
    parts = {track.path.stem: track.part for track in dataset.tracks}
    assert parts == {name: filtered_lists().get(name, "") for name in parts}
    assert len(parts) == 5
    assert [parts[f"blues.000{n}"] for n in ("00", "12", "29")] == ["valid", "test", "train"]
    assert "artists are not known" in dataset.grouping


def test_the_known_bad_clip_of_gtzan_is_named_where_it_is_bad(tmp_path):
    for genre in ("jazz", "pop"):
        sound(tmp_path / genre / f"{genre}.00053.wav")
    bad = tmp_path / "jazz" / "jazz.00054.wav"
    sound(bad)
    assert len(open_dataset(f"gtzan:{tmp_path}").tracks) == 3
    bad.write_bytes(b"\0" * 500)
    dataset = open_dataset(f"gtzan:{tmp_path}")
    assert [track.path.stem for track in dataset.tracks] == ["jazz.00053", "pop.00053"]
    assert "not read: jazz.00054 (unreadable in a copy" in dataset.grouping


def test_a_folder_without_genres_is_no_gtzan(tmp_path):
    with pytest.raises(InvalidValueError, match="no clips named like"):
        open_dataset(f"gtzan:{tmp_path}")


def test_the_small_copy_of_gtzan_is_divided_by_the_lists(data_root):
    """Of its 100 clips 40 are in the training list, 49 in the validation and 4 in the test list."""
    dataset = open_dataset(f"gtzan:{data_root / 'gtzan_mini'}")
    with pytest.warns(EmptyLabelWarning, match="blues, .* have no clips in the given training"):
        found = split(dataset)
    assert [len(part) for part in (found.train, found.valid, found.test)] == [40, 49, 4]
    assert (found.how, found.leaky) == ("given", False)


def test_without_mirdata_the_download_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mirdata", None)
    with pytest.raises(InvalidValueError, match="pip install mirdata"):
        download(tmp_path)


# ---- MagnaTagATune


def magnatagatune(folder):
    """Four clips and a lost one, in the schema of annotations_final.csv and clip_info_final.csv."""
    clips = {
        "2": "f/ambient_teknology-phoenix-01-trip-0-29.mp3",
        "6": "f/ambient_teknology-phoenix-01-trip-29-58.mp3",
        "10": "c/american_bach_soloists-aria-02-bach-30-59.mp3",
        "11": "0/american_baroque-dances-05-air-0-29.mp3",
        "12": "a/lost-album-01-song-0-29.mp3",
    }
    for path in list(clips.values())[:4]:
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(b"mp3")
    values = {"2": "101", "6": "100", "10": "110", "11": "000", "12": "100"}
    rows = [["clip_id", "techno", "no voice", "slow", "mp3_path"]]
    rows += [[clip, *values[clip], path] for clip, path in clips.items()]
    table(folder / "annotations_final.csv", rows, delimiter="\t", quoting=csv.QUOTE_ALL)
    head = ["clip_id", "track_number", "title", "artist", "album", "url", "segmentStart"]
    rows = [[*head, "segmentEnd", "original_url", "mp3_path"]]
    rows += [[c, "1", "t", f"artist {c}", "a", "u", "0", "29", "o", p] for c, p in clips.items()]
    table(folder / "clip_info_final.csv", rows, delimiter="\t", quoting=csv.QUOTE_ALL)


def test_magnatagatune_in_its_published_schema(tmp_path):
    """clip_id, a column of 0 and 1 for each tag, mp3_path; artist from clip_info_final."""
    magnatagatune(tmp_path)
    dataset = open_dataset(f"magnatagatune:{tmp_path}")
    assert dataset.labels == ("techno", "no voice", "slow")  # 4, 1 and 1 of the five clips
    assert [track.tags for track in dataset.tracks] == [
        ("techno", "slow"),
        ("techno",),
        ("techno", "no voice"),
    ]
    assert [track.part for track in dataset.tracks] == ["test", "test", "valid"]
    assert [track.artist for track in dataset.tracks] == ["artist 2", "artist 6", "artist 10"]
    first, second, third = (track.group for track in dataset.tracks)
    assert first == second == "ambient_teknology-phoenix-01-trip"
    assert third == "american_bach_soloists-aria-02-bach"


def test_the_fifty_most_frequent_tags_are_taken(tmp_path):
    tags = [f"tag{i:02d}" for i in range(60)]
    rows = [["clip_id", *tags, "mp3_path"]]
    rows += [[str(n), *(str(int(i >= n)) for i in range(60)), "0/a.mp3"] for n in range(60)]
    table(tmp_path / "annotations_final.csv", rows, delimiter="\t")
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "a.mp3").write_bytes(b"")
    assert open_dataset(f"magnatagatune:{tmp_path}").labels == tuple(tags[:9:-1])


def test_a_magnatagatune_without_its_parts_is_refused(tmp_path):
    with pytest.raises(InvalidValueError, match="cannot be read"):
        open_dataset(f"magnatagatune:{tmp_path}")
    rows = [["clip_id", "slow", "mp3_path"], ["1", "1", "0/gone.mp3"]]
    table(tmp_path / "annotations_final.csv", rows, delimiter="\t")
    with pytest.raises(InvalidValueError, match="none of the 1 clips"):
        open_dataset(f"magnatagatune:{tmp_path}")
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "gone.mp3").write_bytes(b"")
    table(tmp_path / "annotations_final.csv", [rows[0], ["1", "1", "g/gone.mp3"]], delimiter="\t")
    with pytest.raises(InvalidValueError, match="named 0 to f"):
        open_dataset(f"magnatagatune:{tmp_path}")


# ---- Million Song Dataset, Last.fm

ARRAYS = ("segments_start", "segments_timbre", "segments_pitches", "beats_start", "bars_start")


def million_songs(path, songs):
    """Write songs in the dataset's schema: three groups with a table "songs", arrays, indices."""
    indices = [(f"idx_{name}", "<i4") for name in (*ARRAYS, "tatums_start", "sections_start")]
    analysis = np.zeros(
        len(songs),
        [
            ("analysis_sample_rate", "<i4"),
            ("audio_md5", "S32"),
            ("duration", "<f8"),
            ("key", "<i4"),
            ("loudness", "<f8"),
            ("mode", "<i4"),
            ("tempo", "<f8"),
            ("track_id", "S32"),
            *indices,
        ],
    )
    names = ("artist_id", "artist_name", "release", "song_id", "title", "genre")
    metadata = np.zeros(len(songs), [(name, "S1024") for name in names])
    musicbrainz = np.zeros(len(songs), [("idx_artist_mbtags", "<i4"), ("year", "<i4")])
    starts = dict.fromkeys(ARRAYS, 0)
    for i, song in enumerate(songs):
        for name in ("duration", "key", "loudness", "mode", "tempo", "track_id"):
            analysis[i][name] = song[name]
        for name in ("artist_id", "artist_name", "release", "song_id", "title"):
            metadata[i][name] = song[name].encode()
        musicbrainz[i]["year"] = song["year"]
        for name in ARRAYS:
            analysis[i][f"idx_{name}"] = starts[name]
            starts[name] += len(song[name])
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["analysis/songs"] = analysis
        file["metadata/songs"] = metadata
        file["musicbrainz/songs"] = musicbrainz
        for name in ARRAYS:
            file[f"analysis/{name}"] = np.concatenate([song[name] for song in songs])


def song(number, n_segments=5, n_beats=3):
    random = np.random.default_rng(number)
    return {
        "track_id": f"TRAAAA{number}",
        "song_id": f"SOAAAA{number // 2}",
        "artist_id": f"AR{number}",
        "artist_name": "Beyoncé",
        "title": f"title {number}",
        "release": "album",
        "year": 2000 + number,
        "duration": 10.0,
        "tempo": 120.5,
        "loudness": -7.25,
        "key": 4,
        "mode": 1,
        "segments_start": np.linspace(0, 8, n_segments),
        "segments_timbre": random.normal(size=(n_segments, 12)) * 50,
        "segments_pitches": random.random((n_segments, 12)),
        "beats_start": np.linspace(0.5, 9, n_beats),
        "bars_start": np.array([0.5]),
    }


def assert_is(read, written):
    for name, value in written.items():
        found = getattr(read, name)
        assert np.array_equal(found, value), name


def test_a_song_is_read_with_every_field(tmp_path):
    """/analysis/songs, /metadata/songs, /musicbrainz/songs and the arrays of /analysis."""
    million_songs(tmp_path / "A" / "B" / "one.h5", [song(3)])
    assert_is(read_song(tmp_path / "A" / "B" / "one.h5"), song(3))


def test_songs_of_an_aggregate_file_are_told_apart_by_their_indices(tmp_path):
    songs = [song(1, 5, 3), song(2, 7, 0), song(3, 2, 9)]
    million_songs(tmp_path / "all.h5", songs)
    for number, written in enumerate(songs):
        assert_is(read_song(tmp_path / "all.h5", number), written)
    with pytest.raises(InvalidValueError, match="3 songs, there is no number 3"):
        read_song(tmp_path / "all.h5", 3)


def test_beat_features_by_hand(tmp_path):
    """Segments from 0, 2 and 4 s; beats from 1, 3 and 5 s; the song ends at 6 s."""
    written = song(1, 3, 3) | {
        "segments_start": np.array([0.0, 2.0, 4.0]),
        "beats_start": np.array([1.0, 3.0, 5.0]),
        "duration": 6.0,
    }
    million_songs(tmp_path / "one.h5", [written])
    found = beat_features(read_song(tmp_path / "one.h5"))
    both = np.concatenate([written["segments_timbre"], written["segments_pitches"]], axis=1)
    expected = np.stack([(both[0] + both[1]) / 2, (both[1] + both[2]) / 2, both[2]], axis=1)
    assert found.shape == (24, 3)
    assert found.dtype == torch.float32
    assert np.allclose(found.numpy(), expected, rtol=1e-6, atol=0)


def test_beat_features_are_a_slow_integral(tmp_path):
    written = song(5, 40, 17)
    million_songs(tmp_path / "one.h5", [written])
    found = beat_features(read_song(tmp_path / "one.h5")).numpy()
    both = np.concatenate([written["segments_timbre"], written["segments_pitches"]], axis=1)
    edges = [*written["beats_start"], 10.0]
    for beat, (start, stop) in enumerate(pairwise(edges)):
        times = start + (stop - start) * (np.arange(20_000) + 0.5) / 20_000
        owner = np.searchsorted(written["segments_start"], times, side="right") - 1
        assert np.abs(found[:, beat] - both[owner].mean(0)).max() < 0.02


def test_a_song_without_beats_is_refused(tmp_path):
    million_songs(tmp_path / "one.h5", [song(1, 5, 0)])
    with pytest.raises(InvalidValueError, match="TRAAAA1 has 0 beats"):
        beat_features(read_song(tmp_path / "one.h5"))


def test_what_is_no_song_is_refused(tmp_path):
    (tmp_path / "text.h5").write_text("no")
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file["analysis/other"] = 1
    for name in ("text.h5", "empty.h5", "gone.h5"):
        with pytest.raises(AudioFileError, match="is no file of the Million Song Dataset"):
            read_song(tmp_path / name)


def lastfm(path, tags):
    """Write tags in Last.fm's schema: tids(tid), tags(tag), tid_tag(tid, tag, val) by ROWID."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE tids (tid TEXT)")
    connection.execute("CREATE TABLE tags (tag TEXT)")
    connection.execute("CREATE TABLE tid_tag (tid INT, tag INT, val FLOAT)")
    names = sorted({tag for own in tags.values() for tag in own}, reverse=True)
    connection.executemany("INSERT INTO tids VALUES (?)", [(track,) for track in tags])
    connection.executemany("INSERT INTO tags VALUES (?)", [(name,) for name in names])
    for row, own in enumerate(tags.values(), 1):
        for tag, value in own.items():
            connection.execute(
                "INSERT INTO tid_tag VALUES (?, ?, ?)", (row, names.index(tag) + 1, value)
            )
    connection.commit()
    connection.close()


def test_lastfm_tags_in_their_published_schema(tmp_path):
    """tids.tid, tags.tag, and tid_tag with tid, tag and val."""
    written = {"TR1": {"rock": 100.0, "slow": 3.0}, "TR2": {"pop": 50.0}, "TR3": {"rock": 1.0}}
    lastfm(tmp_path / "lastfm_tags.db", written)
    read = read_tags(tmp_path / "lastfm_tags.db", ["TR1", "TR2", "TR9"])
    assert read == {"TR1": ("rock", "slow"), "TR2": ("pop",)}
    heavy = read_tags(tmp_path / "lastfm_tags.db", ["TR1", "TR3"], least=10)
    assert heavy == {"TR1": ("rock",)}
    assert top_tags({"a": ("x", "y"), "b": ("y",), "c": ("z",)}, 2) == ("y", "x")


def test_what_is_no_tag_database_is_refused(tmp_path):
    (tmp_path / "text.db").write_text("x" * 2000)
    sqlite3.connect(tmp_path / "empty.db").close()
    for name in ("text.db", "empty.db"):
        with pytest.raises(InvalidValueError, match="tids, tags and tid_tag"):
            read_tags(tmp_path / name, ["TR1"])
    with pytest.raises(InvalidValueError, match="no file"):
        read_tags(tmp_path / "gone.db", ["TR1"])


def test_million_songs_with_their_tags_are_a_collection(tmp_path):
    for number in range(4):
        million_songs(tmp_path / f"{number}" / f"TR{number}.h5", [song(number)])
    tags = {f"TRAAAA{n}": own for n, own in enumerate([{"a": 9.0, "b": 8.0}, {"b": 9.0}, {"b": 1}])}
    lastfm(tmp_path / "lastfm_tags.db", tags)
    dataset = open_dataset(f"msd:{tmp_path}")
    assert dataset.labels == ("b", "a")
    assert [track.tags for track in dataset.tracks] == [("b", "a"), ("b",), ("b",)]
    assert [track.artist for track in dataset.tracks] == ["AR0", "AR1", "AR2"]
    assert [track.group for track in dataset.tracks] == ["SOAAAA0", "SOAAAA0", "SOAAAA1"]
    clips = list(feature_clips(dataset.tracks))
    assert [clip.samples.shape for clip in clips] == [(24, 3)] * 3
    shutil.rmtree(tmp_path / "0")
    (tmp_path / "lastfm_tags.db").unlink()
    with pytest.raises(InvalidValueError, match=r"Last\.fm's tag database"):
        open_dataset(f"msd:{tmp_path}")
