"""The atlas of a small collection against the same by hand, and what may go wrong on the way."""

import importlib
import json
import os
import shutil
import sys
from dataclasses import replace

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from auralise.atlas import Atlas, Options, add_layers, build, merge
from auralise.atlas.collection import open_collection
from auralise.atlas.histogram import BINS, ZERO, _count_on_device, count, edges
from auralise.atlas.layout import with_channels_last
from auralise.atlas.store import open_store
from auralise.audio import stimuli
from auralise.audio.waveform import Waveform
from auralise.audio.writing import write_audio
from auralise.errors import InvalidValueError, OutputError, UnknownNameError
from auralise.models.tiny import tiny_network

sys.path.insert(0, os.path.dirname(__file__))  # noqa: PTH120
from atlas_oracle import brute_force, counts

WINDOW = 0.25
LAYERS = ("conv1", "pool1", "conv2", "pool2")
TABLES = ("clips", "units", "top", "quantiles", "labels", "evidence", "nearest")


def make_collection(folder, clips=24):
    """Write short tones, clicks and noise of different lengths and rates, and a duplicate."""
    for number in range(clips):
        kind = ("tone", "clicks", "noise")[number % 3]
        seconds = 0.1 + 0.07 * (number % 11)
        rate = (8000, 11025)[number % 2]
        if kind == "tone":
            sound = stimuli.tone(200.0 + 97 * number, seconds, rate, ramp=0.01)
        elif kind == "clicks":
            sound = stimuli.clicks([0.02, 0.06], seconds, rate)
        else:
            sound = stimuli.noise_band(100, 3500, seconds, rate, seed=number, ramp=0.01)
        level = 0.2 + 0.03 * number
        (folder / kind).mkdir(parents=True, exist_ok=True)
        sound = Waveform(level * sound.samples, rate)
        write_audio(folder / kind / f"{number:02}.wav", sound, subtype="PCM_24")
    shutil.copy(folder / "tone" / "00.wav", folder / "noise" / "copy.wav")
    return folder


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("sounds"))


@pytest.fixture(scope="module")
def options():
    return Options(shard_clips=5, batch=4)


@pytest.fixture(scope="module")
def atlas(collection, tmp_path_factory, options):
    out = tmp_path_factory.mktemp("atlas") / "one"
    build(str(collection), tiny_network(), out, window=WINDOW, options=options)
    return Atlas.open(out)


def tables(location):
    """Return the rows of all tables of an atlas."""
    store = open_store(location)
    found = {}
    for name in TABLES:
        with store.open(f"summary/{name}.parquet") as stream:
            found[name] = pq.read_table(stream).to_pylist()
    return found


def same(one, other):
    """Say whether two atlases have the same rows, NaN being equal to NaN."""
    return repr(tables(one)) == repr(tables(other))


def test_counts_in_octaves_are_those_between_the_edges():
    values = np.concatenate([[0, -0.0, 1, -1, 2**-10, 2**10, -(2**10), 1e9, -1e9, 1e-9, 1.999]])
    values = np.concatenate([values, np.random.default_rng(0).standard_normal(500)])
    tensor = torch.from_numpy(values.astype(np.float32))
    found = count(tensor[None])[0].numpy()
    assert found.tolist() == counts(values.astype(np.float32)).tolist()
    assert _count_on_device(tensor[None])[0].tolist() == found.tolist()
    assert found.sum() == len(values)
    assert len(edges()) == BINS + 1
    assert found[ZERO] == 2


def test_every_number_is_that_of_a_computation_by_hand(atlas, collection):
    hand = brute_force(collection, tiny_network(), WINDOW, LAYERS)
    names = sorted(hand["conv1"])
    assert [clip["clip"] for clip in atlas.clips] == names
    for layer in LAYERS:
        peaks = np.stack([hand[layer][clip][0] for clip in names])
        means = np.stack([hand[layer][clip][1] for clip in names])
        np.testing.assert_allclose(atlas.embedding(layer), means, rtol=0, atol=1e-6)
        for channel in range(3):
            unit = atlas.unit(f"{layer}:{channel}")
            order = sorted(range(len(names)), key=lambda n: (-peaks[n, channel], names[n]))
            found = unit.top(50)
            np.testing.assert_allclose(
                [example.value for example in found],
                [peaks[n, channel] for n in order],
                rtol=0,
                atol=1e-5,
            )
            histogram = sum(hand[layer][clip][4][channel] for clip in names)
            got = np.array(unit.summary()["histogram"])
            assert got.sum() == histogram.sum()
            # Rounding differs with the batch: near 0, and next to an edge, values change sides.
            apart = np.abs(got - histogram)
            assert apart[: ZERO - 3].sum() + apart[ZERO + 4 :].sum() <= 4


def test_the_top_of_a_layer_is_the_same_to_the_bit_as_by_hand_where_batches_hold_one_window(
    collection, tmp_path
):
    network = tiny_network()
    build(str(collection), network, tmp_path / "a", window=WINDOW, options=Options(batch=1))
    atlas = Atlas.open(tmp_path / "a")
    # Rounding differs with how maps lie in memory, so by hand they lie likewise.
    example = network.card.frontend.module(torch.zeros(1, round(WINDOW * 8000)))
    laid = replace(network, module=with_channels_last(network.module, example))
    hand = brute_force(collection, laid, WINDOW, LAYERS)
    names = sorted(hand["conv1"])
    for layer in LAYERS:
        for channel in range(3):
            unit = atlas.unit(f"{layer}:{channel}")
            order = sorted(names, key=lambda n: (-hand[layer][n][0][channel], n))
            assert [e.clip for e in unit.top(50)] == order[:50]
            assert [e.value for e in unit.top(50)] == [hand[layer][n][0][channel] for n in order]
            histogram = sum(hand[layer][clip][4][channel] for clip in names)
            assert unit.summary()["histogram"] == histogram.tolist()
            rising = order[::-1]
            for number in range(10):
                tenth = rising[len(rising) * number // 10 : len(rising) * (number + 1) // 10]
                inside = [e.clip for e in unit.quantiles() if e.quantile == number]
                assert inside == sorted(tenth)[:5]


def test_the_place_of_a_peak_is_what_the_unit_saw(atlas, collection):
    """A click at 0.02 s and 0.06 s: the onset unit's place is at one of them."""
    found = [e for e in atlas.unit("conv1:0").top(50) if e.path.startswith("clicks/")]
    assert found
    for example in found:
        assert example.start - 0.017 <= 0.02 <= example.end + 0.017 or (
            example.start - 0.017 <= 0.06 <= example.end + 0.017
        )
        assert 0 <= example.low < example.high <= 4000


def test_files_add_up_and_duplicates_are_named(atlas, collection):
    counts = atlas.manifest.counts
    assert counts["files"] == 25
    assert counts["clips"] == 24
    assert counts["duplicates"] == 1
    [copy] = [entry for entry in atlas.files() if entry.status == "duplicate"]
    assert {copy.path, copy.reason} == {"tone/00.wav", f"{collection.name}: noise/copy.wav"}


def test_the_work_can_be_cut_and_spread_in_any_way(atlas, collection, tmp_path):
    build(
        str(collection),
        tiny_network(),
        tmp_path / "a",
        window=WINDOW,
        options=Options(shard_clips=7, batch=4),
    )
    assert same(atlas.store.location, tmp_path / "a")


@pytest.mark.slow
def test_processes_that_decode_give_the_same(atlas, collection, tmp_path):
    build(
        str(collection),
        tiny_network(),
        tmp_path / "a",
        window=WINDOW,
        options=Options(shard_clips=5, batch=4, workers=2),
    )
    assert same(atlas.store.location, tmp_path / "a")


def test_three_shards_of_a_collection_merged_in_any_order_are_the_whole(
    atlas, collection, tmp_path, options
):
    parts = []
    for kind in ("tone", "clicks", "noise"):
        folder = tmp_path / "cut" / kind
        shutil.copytree(collection / kind, folder / kind)
        out = tmp_path / f"atlas-{kind}"
        build(
            str(folder), tiny_network(), out, window=WINDOW, name=collection.name, options=options
        )
        text = (out / "manifest.json").read_text().replace(str(folder), str(collection))
        (out / "manifest.json").write_text(text)
        parts.append(out)
    merge(parts, tmp_path / "m1")
    merge(parts[::-1], tmp_path / "m2")
    merge([parts[1], parts[2], parts[0]], tmp_path / "m3")
    for number in (1, 2, 3):
        assert same(atlas.store.location, tmp_path / f"m{number}")
    assert Atlas.open(tmp_path / "m1").manifest.counts == atlas.manifest.counts


def test_a_part_that_is_lost_or_damaged_is_made_again_alone(atlas, collection, tmp_path, options):
    out = tmp_path / "a"
    shutil.copytree(atlas.store.location, out)
    parts = sorted(out.glob("parts/*.parquet"))
    data = bytearray(parts[1].read_bytes())
    data[len(data) // 2] ^= 0xFF
    parts[1].write_bytes(bytes(data))
    parts[3].unlink()
    times = {path.name: path.stat().st_mtime_ns for path in parts if path.exists()}
    report = build(str(collection), tiny_network(), out, window=WINDOW, options=options)
    assert report.heard == 2
    assert sorted(report.rebuilt) == [f"parts/{parts[1].name}", f"parts/{parts[3].name}"]
    after = {path.name: path.stat().st_mtime_ns for path in out.glob("parts/*.parquet")}
    assert [name for name in times if times[name] != after[name]] == [parts[1].name]
    assert same(atlas.store.location, out)


def test_a_second_call_has_nothing_to_do(atlas, collection, options):
    report = build(
        str(collection), tiny_network(), atlas.store.location, window=WINDOW, options=options
    )
    assert report.heard == 0
    assert report.rebuilt == ()


def test_a_new_file_is_added_and_a_changed_one_replaced(atlas, collection, tmp_path, options):
    sounds, out = tmp_path / collection.name, tmp_path / "a"
    shutil.copytree(collection, sounds)
    shutil.copytree(atlas.store.location, out)
    write_audio(sounds / "tone" / "new.wav", stimuli.tone(2000, 0.3, 8000))
    write_audio(sounds / "tone" / "03.wav", stimuli.tone(500, 0.3, 8000))
    (sounds / "tone" / "06.wav").unlink()
    with pytest.raises(InvalidValueError, match="if it is the same and has moved"):
        build(str(sounds), tiny_network(), out, options=options)
    report = build(str(sounds), tiny_network(), out, moved=True, options=options)
    assert report.heard == 1
    assert report.gone == ("tone/06.wav",)
    build(str(sounds), tiny_network(), tmp_path / "b", window=WINDOW, options=options)
    assert same(out, tmp_path / "b")


def test_two_collections_in_one_atlas(atlas, collection, tmp_path, options):
    more = make_collection(tmp_path / "more", clips=6)
    write_audio(more / "tone" / "high.wav", stimuli.tone(3000, 0.3, 8000))
    out = tmp_path / "a"
    shutil.copytree(atlas.store.location, out)
    build(str(more), tiny_network(), out, options=options)
    both = Atlas.open(out)
    counts = both.manifest.counts
    assert counts["files"] == 25 + 8
    assert counts["clips"] + counts["duplicates"] + counts["unreadable"] == counts["files"]
    assert counts["clips"] == 25  # the six others have the bytes of clips of the first collection
    assert both.find_clip("high.wav")["collection"] == "more"


def test_layers_are_added_without_the_others_being_heard_again(
    atlas, collection, tmp_path, options
):
    out = tmp_path / "a"
    shutil.copytree(atlas.store.location, out)
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("parts/*")}
    report = add_layers(out, tiny_network(), ["conv1.conv"], options=options)
    assert report.heard == 5
    assert all((out / "parts" / name).stat().st_mtime_ns == at for name, at in before.items())
    added = Atlas.open(out)
    hand = brute_force(collection, tiny_network(), WINDOW, ["conv1.conv"])["conv1.conv"]
    expected = max(peaks[1] for peaks, *_ in hand.values())
    assert added.unit("conv1.conv:1").top(1)[0].value == pytest.approx(expected, abs=1e-5)
    assert added.unit("conv1:1").top(9) == atlas.unit("conv1:1").top(9)
    assert sum(added.unit("conv1.conv:1").summary()["histogram"][:ZERO]) > 0
    # Merging wants the same layers on both sides.
    with pytest.raises(InvalidValueError, match="has other layers"):
        merge([atlas.store.location, out], tmp_path / "m")


def test_an_atlas_at_a_url(atlas, collection, options):
    location = "memory://atlas-of-sounds"
    build(str(collection), tiny_network(), location, window=WINDOW, options=options)
    assert same(atlas.store.location, location)
    assert Atlas.open(location).unit("conv1:2").top(3) == atlas.unit("conv1:2").top(3)


def test_a_url_that_nothing_opens_is_refused():
    with pytest.raises(InvalidValueError, match="nothing-of-that-name"):
        open_store("nothing-of-that-name://x/y")


# --- files that are not as they should be


def test_unreadable_odd_and_silent_files_are_all_accounted_for(tmp_path, options):
    sounds = make_collection(tmp_path / "sounds", clips=6)
    write_audio(sounds / "tone" / "silence.wav", Waveform(torch.zeros(1, 4000), 8000))
    write_audio(sounds / "tone" / "one.wav", Waveform(torch.full((1, 1), 0.5), 8000))
    write_audio(
        sounds / "tone" / "long.wav",
        Waveform(0.1 * torch.sin(torch.arange(8000 * 61) * 0.3)[None], 8000),
    )
    (sounds / "tone" / "empty.wav").write_bytes(b"")
    (sounds / "tone" / "text.wav").write_text("no sound at all")
    (sounds / "tone" / "nan.wav").write_bytes((sounds / "tone" / "00.wav").read_bytes())
    broken = Waveform(torch.full((1, 800), 0.5), 8000)
    write_audio(sounds / "tone" / "nan.wav", broken, subtype="FLOAT")
    data = bytearray((sounds / "tone" / "nan.wav").read_bytes())
    data[-8:-4] = np.float32(np.nan).tobytes()
    (sounds / "tone" / "nan.wav").write_bytes(bytes(data))
    (sounds / "tone" / "loop.wav").symlink_to(sounds / "tone" / "loop.wav")
    (sounds / "tone" / "folder.wav").mkdir()
    report = build(str(sounds), tiny_network(), tmp_path / "a", window=WINDOW, options=options)
    counts = report.manifest.counts
    assert counts["files"] == 7 + 8
    assert counts["clips"] == 6 + 3
    assert counts["duplicates"] == 1
    assert counts["unreadable"] == 5
    assert counts["silent"] == 1
    reasons = {
        e.path.removeprefix("tone/"): e.reason
        for e in Atlas.open(tmp_path / "a").files()
        if e.status == "unreadable"
    }
    assert "empty" in reasons["empty.wav"]
    assert "not a sound file" in reasons["text.wav"]
    assert "NaN" in reasons["nan.wav"]
    assert "symbolic links" in reasons["loop.wav"]
    assert "directory" in reasons["folder.wav"]


def test_a_long_file_is_read_in_stretches_with_the_same_answer(tmp_path, options, monkeypatch):
    from auralise.atlas import decoding

    sounds = make_collection(tmp_path / "sounds", clips=3)
    long = torch.randn(1, 8000 * 20, generator=torch.Generator().manual_seed(0)) * 0.1
    write_audio(sounds / "noise" / "long.wav", Waveform(long, 8000), subtype="FLOAT")
    build(str(sounds), tiny_network(), tmp_path / "a", window=WINDOW, options=options)
    monkeypatch.setattr(decoding, "STRETCH_SECONDS", 3.0)
    build(str(sounds), tiny_network(), tmp_path / "b", window=WINDOW, options=options)
    one, other = tables(tmp_path / "a"), tables(tmp_path / "b")
    assert repr(one["top"]) == repr(other["top"])
    assert one["units"][0]["histogram"] == other["units"][0]["histogram"]
    lengths = [[clip["seconds"] for clip in found["clips"]] for found in (one, other)]
    assert lengths[0] == lengths[1]


def test_a_file_that_changes_meanwhile_is_listed(tmp_path, options, monkeypatch):
    building = importlib.import_module("auralise.atlas.plan")
    sounds = make_collection(tmp_path / "sounds", clips=6)
    scan = building.scan

    def then_change(*arguments, **named):
        found = scan(*arguments, **named)
        write_audio(sounds / "tone" / "03.wav", stimuli.tone(700, 0.3, 8000))
        return found

    monkeypatch.setattr(building, "scan", then_change)
    report = build(str(sounds), tiny_network(), tmp_path / "a", window=WINDOW, options=options)
    assert report.manifest.counts["unreadable"] == 1
    [changed] = [e for e in Atlas.open(tmp_path / "a").files() if e.status == "unreadable"]
    assert (changed.path, "changed while" in changed.reason) == ("tone/03.wav", True)
    monkeypatch.undo()
    again = build(str(sounds), tiny_network(), tmp_path / "a", options=options)
    assert again.manifest.counts["unreadable"] == 0
    assert again.manifest.counts["clips"] == 6


def test_a_full_disk_is_said_and_nothing_is_lost(collection, tmp_path, options, monkeypatch):
    from auralise.atlas.store import LocalStore

    write, written = LocalStore.write, []

    def until_full(store, name, data):
        if name.endswith(".parquet") and name.startswith("parts"):
            written.append(name)
            if len(written) == 3:
                raise OutputError("cannot write x: No space left on device")
        write(store, name, data)

    monkeypatch.setattr(LocalStore, "write", until_full)
    with pytest.raises(OutputError, match="No space left"):
        build(str(collection), tiny_network(), tmp_path / "a", window=WINDOW, options=options)
    monkeypatch.undo()
    with pytest.raises(InvalidValueError, match="is not complete"):
        Atlas.open(tmp_path / "a")
    report = build(str(collection), tiny_network(), tmp_path / "a", options=options)
    assert report.heard == 3


def test_a_disk_that_is_full_leaves_no_half_file(tmp_path):
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    store = open_store(tmp_path)
    (tmp_path / "x").write_bytes(b"before")
    with pytest.raises(OutputError, match="cannot write"):
        store.write("full/y", b"data")
    assert store.read("x") == b"before"
    assert store.names(".") == ["full", "x"]


def test_an_atlas_of_another_model_is_refused(atlas, collection, options):
    other = tiny_network()
    with torch.no_grad():
        other.module.conv1.conv.weight *= 2
    with pytest.raises(InvalidValueError, match="is an atlas of 'tiny'"):
        build(str(collection), other, atlas.store.location, options=options)


def test_other_windows_or_layers_are_refused(atlas, collection, options):
    where = atlas.store.location
    with pytest.raises(InvalidValueError, match=r"has windows of 0\.25 s, got 1 s"):
        build(str(collection), tiny_network(), where, window=1.0, options=options)
    with pytest.raises(InvalidValueError, match=r"has no layer 'conv1\.conv'"):
        build(str(collection), tiny_network(), where, layers=["conv1.conv"], options=options)
    with pytest.raises(UnknownNameError, match="did you mean 'conv1'"):
        build(str(collection), tiny_network(), where, layers=["conv11"], options=options)


def test_what_is_no_collection_is_refused(tmp_path):
    with pytest.raises(InvalidValueError, match="is no folder, no manifest"):
        open_collection(str(tmp_path / "nothing"))
    with pytest.raises(InvalidValueError, match="no sound files"):
        open_collection(str(tmp_path))


def test_a_folder_with_something_else_in_it_is_left_alone(collection, tmp_path, options):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InvalidValueError, match=r"'letter\.txt'"):
        build(str(collection), tiny_network(), tmp_path, window=WINDOW, options=options)


def test_a_collection_that_cannot_be_heard_at_all_is_refused(tmp_path, options):
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    (sounds / "a.wav").write_text("nothing")
    with pytest.raises(InvalidValueError, match="none of 1 files can be heard"):
        build(str(sounds), tiny_network(), tmp_path / "a", window=WINDOW, options=options)


# --- asking


def test_units_by_name_label_and_order(atlas):
    rows = atlas.units(label="noise", sort="selectivity")
    assert rows
    assert all(row["q"] <= 0.05 and row["auc"] > 0.5 and row["label"] == "noise" for row in rows)
    assert [row["auc"] for row in rows] == sorted((row["auc"] for row in rows), reverse=True)
    assert len(atlas.units(layer="conv2", sort="unit")) == 3
    some = atlas.units(limit=1, sort="maximum")[0]
    assert some["maximum"] == max(row["maximum"] for row in atlas.units())
    word = next(row["name"] for row in atlas.units() if row["name"]).split()[0]
    assert all(word in row["name"] for row in atlas.units(like=word))
    with pytest.raises(UnknownNameError, match="no label named 'click'"):
        atlas.units(label="click")
    with pytest.raises(UnknownNameError, match="no order"):
        atlas.units(sort="beauty")


def test_units_that_are_not_there_are_refused(atlas):
    with pytest.raises(UnknownNameError, match="conv2"):
        atlas.unit("conv22:0")
    with pytest.raises(InvalidValueError, match="units 0 to 2"):
        atlas.unit("conv2:3")


def test_the_nearest_clips_are_those_of_a_computation_by_hand(atlas, collection):
    hand = brute_force(collection, tiny_network(), WINDOW, LAYERS)["conv2"]
    names = sorted(hand)
    values = np.stack([hand[clip][1] for clip in names]).astype(np.float64)
    values = (values - values.mean(0)) / values.std(0)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    song = atlas.find_clip("noise/05.wav")
    likeness = values @ values[names.index(song["clip"])]
    order = [names[n] for n in np.argsort(-likeness) if names[n] != song["clip"]]
    found = atlas.similar("noise/05.wav", layer="conv2", limit=4)
    assert [row["clip"] for row in found] == order[:4]
    assert found[0]["similarity"] == pytest.approx(np.sort(likeness)[-2], abs=1e-5)


def test_clips_are_found_by_the_end_of_their_path(atlas):
    assert atlas.find_clip("05.wav")["path"] == "noise/05.wav"
    with pytest.raises(InvalidValueError, match="is in the atlas as duplicate"):
        atlas.find_clip("tone/00.wav")
    with pytest.raises(InvalidValueError, match="no clip of the atlas"):
        atlas.find_clip("nothing.wav")


def test_a_moved_collection_is_found_under_its_root(atlas, tmp_path):
    moved = Atlas.open(atlas.store.location, root=str(tmp_path))
    collection = next(iter(moved.roots))
    assert moved.path_of(collection, "noise/05.wav") == str(tmp_path / "noise/05.wav")
    with pytest.raises(UnknownNameError, match="no collection named"):
        Atlas.open(atlas.store.location, root={"other": str(tmp_path)})


def test_the_tables_are_plain_parquet(atlas):
    path = f"{atlas.store.location}/summary/top.parquet"
    sql = f"SELECT max(value) FROM '{path}' WHERE layer = 'conv1'"
    [[found]] = duckdb.connect().execute(sql).fetchall()
    assert found == max(atlas.unit(f"conv1:{n}").top(1)[0].value for n in range(3))
    manifest = json.loads((open_store(atlas.store.location)).read("manifest.json"))
    assert manifest["model"]["sha256"]
    assert manifest["collections"]
