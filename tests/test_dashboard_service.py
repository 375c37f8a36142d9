"""What the pages ask for: views, the cache, jobs, and the service on the embedded network."""

import io
import os
import threading
import time
import wave
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from auralise.dashboards import rendering
from auralise.dashboards.activity import shrink
from auralise.dashboards.cache import DiskCache, Recent
from auralise.dashboards.jobs import Jobs, StoppedError
from auralise.dashboards.service import Service
from auralise.dashboards.songs import SongLibrary, UnknownSongError
from auralise.dashboards.views import View, parse_view

from auralise.activations import record
from auralise.audio import stimuli
from auralise.audio.levels import measure
from auralise.audio.resampling import resample
from auralise.audio.waveform import Waveform
from auralise.auralisation import auralise_unit
from auralise.cli.songs import DEMO, Request, read_excerpt
from auralise.errors import AuraliseError, InvalidValueError, UnknownNameError
from auralise.models import load_model
from auralise.settings import Settings

RAW = "dieleman2014-raw-instruments"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    made = Service(tmp_path_factory.mktemp("cache"))
    yield made
    made.close()


# --- views


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("start=nan", "start must be from 0"),
        ("start=-1", "start must be from 0"),
        ([], "an address is text, got list"),
        (7, "an address is text, got int"),
        ("start=1e308", "start must be from 0"),
        ("start=inf", "start must be from 0"),
        ("start=soon", "start must be from 0"),
        ("seconds=0", "seconds must be from 0.1 to 30"),
        ("seconds=1e9", "seconds must be from 0.1 to 30"),
        ("unit=-1", "unit must be a whole number"),
        ("unit=1.5", "unit must be a whole number"),
        ("unit=99999999999999999999", "unit must be a whole number"),
        ("unit=%D9%A3", "unit must be a whole number"),
        ("at=nan", "a position is peak"),
        ("at=1,2,3", "a position is peak"),
        ("at=-1", "a position is peak"),
        ("sonification=x", "sonification must be mask or magnitude"),
        ("model=" + "a" * 121, "at most 120 printable"),
        ("layer=a%00b", "at most 120 printable"),
        ("&".join(f"a{i}=1" for i in range(50)), "at most 40 parts"),
        ("x=" + "y" * 5000, "at most 4000 characters"),
    ],
)
def test_an_address_that_no_page_has_is_refused_in_words(query, message):
    with pytest.raises(InvalidValueError, match=message):
        parse_view(query)


@pytest.mark.parametrize("query", ["method=guidde", "phase=sourc"])
def test_a_misspelt_choice_is_answered_with_the_close_one(query):
    with pytest.raises(UnknownNameError, match="did you mean"):
        parse_view(query)


def test_a_view_survives_its_address():
    view = View("m", "s", 12.345678, 4.5, "conv3", 17, "deconvnet", "1.5,440", "mask", "source")
    assert parse_view("?" + view.query()) == view
    assert parse_view(View().query()) == View()


# --- cache


def test_the_cache_forgets_what_was_used_longest_ago(tmp_path):
    cache = DiskCache(tmp_path, 1000)
    names = [cache.name("n", "wav", i=i) for i in range(5)]
    now = time.time()
    for age, name in enumerate(names[:3]):
        cache.write(name, bytes(300))
        os.utime(cache._path(name), (now - 1000 + age,) * 2)
    assert cache.read(names[0]) == bytes(300)  # marks it as used now
    cache.write(names[3], bytes(300))  # 1200 bytes: down to 900
    assert [cache.path(name) is not None for name in names[:4]] == [True, False, True, True]
    assert sum(p.stat().st_size for p in tmp_path.glob("*/*")) == 900


def test_only_names_of_the_cache_are_found(tmp_path):
    cache = DiskCache(tmp_path / "c", 1000)
    (tmp_path / "c" / "x.wav").write_bytes(b"1")
    for name in ("x.wav", "secret", "../c/x.wav", "0" * 16 + "-" + "0" * 32 + ".wav/../x.wav", ""):
        assert cache.path(name) is None


def test_names_differ_by_key_scope_and_secret(tmp_path):
    one, two = DiskCache(tmp_path / "1", 10), DiskCache(tmp_path / "2", 10)
    names = {
        one.name("a", "wav", x=1),
        one.name("a", "wav", x=2),
        one.name("b", "wav", x=1),
        one.name("a", "wav", scope="song", x=1),
        two.name("a", "wav", x=1),
    }
    assert len(names) == 5
    assert DiskCache(tmp_path / "1", 10).name("a", "wav", x=1) in names


def test_a_killed_writer_leaves_nothing_that_stays(tmp_path):
    cache = DiskCache(tmp_path, 1000)
    name = cache.name("a", "wav")
    cache.write(name, b"1")
    aside = cache._path(name).with_name(name + ".dead.part")
    aside.write_bytes(b"half")
    os.utime(aside, (time.time() - 7200,) * 2)
    assert DiskCache(tmp_path, 1000).read(name) == b"1"
    assert not aside.exists()


def test_many_threads_make_an_entry_once(tmp_path):
    cache, made = DiskCache(tmp_path, 10_000), []
    name = cache.name("a", "wav")

    def make():
        made.append(1)
        time.sleep(0.05)
        return b"made"

    threads = [threading.Thread(target=cache.get_or_make, args=(name, make)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    assert cache.read(name) == b"made"
    assert not cache._keys


def test_recent_keeps_the_last_used():
    recent = Recent(2)
    recent.put(("a",), 1)
    recent.put(("b",), 2)
    assert recent.get(("a",)) == 1
    recent.put(("c",), 3)
    assert [recent.get((k,)) for k in "abc"] == [1, None, 3]


# --- jobs


def test_a_job_tells_where_it_is_and_is_done_once():
    jobs, go, runs = Jobs(), threading.Event(), []

    def work(progress):
        runs.append(1)
        progress("counting", 3, 4)
        go.wait(5)
        return "result"

    first = jobs.start("key", work)
    assert jobs.start("key", work).id == first.id
    while jobs.state(first.id).stage != "counting":
        time.sleep(0.005)
    assert jobs.state(first.id).share == 0.75
    go.set()
    assert jobs.wait(first.id, 5).result == "result"
    assert jobs.start("key", work).result == "result"
    assert runs == [1]
    jobs.close()


def test_a_job_stops_at_its_next_step_and_may_be_started_again():
    jobs, seen = Jobs(), threading.Event()

    def endless(progress):
        while True:
            progress("on", 0, 0)
            seen.set()
            time.sleep(0.002)

    state = jobs.start("key", endless)
    seen.wait(5)
    jobs.stop(state.id)
    assert jobs.wait(state.id, 5).status == "stopped"
    again = jobs.start("key", lambda progress: 1)
    assert again.id != state.id
    assert jobs.wait(again.id, 5).result == 1
    with pytest.raises(StoppedError, match="not known any more"):
        jobs.state("0" * 24)
    jobs.close()


def test_an_error_of_the_family_is_told_and_the_next_job_runs():
    jobs = Jobs()

    def failing(progress):
        raise InvalidValueError("no such thing")

    failed = jobs.start("a", failing)
    assert jobs.wait(failed.id, 5).error == "no such thing"
    after = jobs.start("b", lambda progress: 2)
    assert jobs.wait(after.id, 5).result == 2
    jobs.close()


# --- levels, pictures, bytes


def test_sounds_are_brought_to_one_level_and_none_clips():
    generator = torch.Generator().manual_seed(0)
    loud = Waveform(torch.randn(1, 4000, generator=generator) * 0.5, 8000)
    click = Waveform(torch.zeros(1, 4000).index_fill(1, torch.tensor([5]), 0.5), 8000)
    silent = Waveform(torch.zeros(1, 4000), 8000)
    matched = rendering.match_levels([loud, click, silent])
    (first, _), (second, _), (third, gain) = matched
    first_power, second_power = rendering.gated_power(first), rendering.gated_power(second)
    assert first_power == pytest.approx(second_power, rel=1e-5)
    assert max(measure(first).peak, measure(second).peak) <= 10 ** (-1 / 20) * (1 + 1e-6)
    assert gain is None
    assert not third.samples.any()


def test_a_short_sound_is_as_loud_as_a_long_one_while_it_sounds():
    tone = stimuli.tone(440.0, 4.0, 44100)
    short = Waveform(tone.samples.clone(), 44100)
    short.samples[:, 22050:] = 0
    (long, _), (brief, gain) = rendering.match_levels([tone, short])
    assert gain == pytest.approx(0.0, abs=0.5)
    assert measure(brief).rms < 0.5 * measure(long).rms


def test_sounds_near_half_their_rate_keep_their_level_and_do_not_clip_between_samples():
    high = stimuli.tone(0.45 * 11025, 2.0, 11025)
    low = stimuli.tone(440.0, 2.0, 11025)
    (first, _), (second, gain) = rendering.match_levels([low, high])
    assert first.sample_rate == second.sample_rate == 44100
    assert gain == pytest.approx(0.0, abs=0.2)  # a browser would have dampened it by 6 dB
    worst = Waveform(torch.tensor([[1.0, 1.0, -1.0, -1.0]]).repeat(1, 2000), 11025)
    (between, _), _ = rendering.match_levels([worst, low])
    assert measure(between).peak <= 10 ** (-1 / 20) * (1 + 1e-6)


def test_pictures_keep_the_strongest_value():
    maps = torch.zeros(2, 100, 200)
    maps[1, 37, 111] = 5.0
    small = shrink(maps)
    assert small.shape == (2, 16, 32)
    assert small.flatten(1).amax(1).tolist() == [0.0, 5.0]
    assert int(small[1].amax(1).argmax()) == 37 * 16 // 100


def test_damaged_bytes_are_no_rendering(service):
    assert rendering.unpack(b"PK\x03\x04 half") is None
    assert rendering.unpack(b"") is None
    pickled = io.BytesIO()
    np.savez(pickled, head=np.array([{"a": 1}], dtype=object))
    assert rendering.unpack(pickled.getvalue()) is None


# --- service


def test_activity_is_what_a_forward_pass_gives(service):
    view = service.resolve(View(layer="conv4"))
    found = service.activity(view)
    network = load_model(view.model)
    waveform = read_excerpt(
        network, Request(DEMO, view.model, "", 0.0, None, Settings(), "none", False)
    ).waveform
    features = network.card.frontend.analyse(waveform).values
    with torch.no_grad(), record(network.module, ["conv4"]) as outputs:
        network.module(features[None])
    expected = outputs["conv4"][0].flatten(1)
    np.testing.assert_allclose(found.peak, expected.amax(1).numpy(), rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.active, (expected > 0).float().mean(1).numpy(), atol=1e-3)
    assert found.units == 64


@pytest.mark.parametrize("model", ["choi2016-instruments", RAW])
def test_a_rendering_is_what_the_library_gives(service, model):
    view = service.resolve(View(model=model, layer="conv1", unit=5))
    found = service.render(view)
    network = load_model(model)
    excerpt = read_excerpt(network, Request(DEMO, model, "", 0.0, None, Settings(), "none", False))
    result = auralise_unit(network, excerpt.waveform, "conv1:5")
    assert found.activation == pytest.approx(result.inversion.activation, rel=1e-5)
    with wave.open(str(service.cache.path(found.auralised.media))) as file:
        assert file.getframerate() == 44100
        codes = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(float)
    heard = resample(result.waveform, 44100).samples[0].numpy()
    assert np.corrcoef(codes, heard)[0, 1] == pytest.approx(1.0, abs=1e-4)
    assert found.place is not None
    assert 0 <= found.place.start < found.place.end <= 4.1


def test_the_same_view_is_made_once_and_again_when_its_sounds_are_gone(service, monkeypatch):
    view = View(layer="conv1", unit=7)
    made, make = [], service.studio._make
    monkeypatch.setattr(service.studio, "_make", lambda views: made.append(1) or make(views))
    first = service.render(view)
    service.studio._rendered.drop(DEMO)
    again = service.render(view)
    assert made == [1]
    assert again.sounds == first.sounds
    for panel, other in zip(again.figure.panels, first.figure.panels, strict=True):
        np.testing.assert_allclose(panel.values, other.values, rtol=1e-6, atol=1e-6)
    service.cache.path(first.source.media).unlink()
    assert service.render(view).source.media == first.source.media
    assert made == [1, 1]


def test_units_that_several_visitors_wait_for_are_made_in_one_pass(service, monkeypatch):
    passes, make, begun, go = [], service.studio._make, threading.Event(), threading.Event()

    def slow(views):
        passes.append([view.unit for view in views])
        begun.set()
        assert go.wait(30)
        return make(views)

    monkeypatch.setattr(service.studio, "_make", slow)
    found = {}

    def ask(unit):
        found[unit] = service.render(View(layer="conv1", unit=unit))

    threads = [threading.Thread(target=ask, args=(unit,)) for unit in (20, 21, 22)]
    threads[0].start()
    assert begun.wait(30)
    for thread in threads[1:]:
        thread.start()
    while sum(map(len, service.studio._asked.values())) < 3:
        time.sleep(0.01)
    go.set()
    for thread in threads:
        thread.join()
    assert [len(units) for units in passes] == [1, 2]
    assert sorted(unit for units in passes for unit in units) == [20, 21, 22]
    assert service.studio._asked == {}
    assert {unit: rendered.unit for unit, rendered in found.items()} == {
        unit: f"conv1:{unit}" for unit in (20, 21, 22)
    }
    monkeypatch.undo()
    alone = service.studio._make([service.resolve(View(layer="conv1", unit=22))])[0]
    assert alone.activation == pytest.approx(found[22].activation, rel=1e-5)


def test_a_moved_target_is_followed_there(service):
    view = View(layer="conv1", unit=7, at="2,1000")
    place = service.render(view).place
    assert place.start <= 2 <= place.end
    assert place.low <= 1000 <= place.high


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (View(model="choi2016-instrument"), "did you mean 'choi2016-instruments'"),
        (View(layer="conv9"), "no layer named 'conv9'; did you mean"),
        (View(layer="conv3", unit=64), "has units 0 to 63, got 64"),
        (View(start=10.0), "which is 10.0 s long, got 10 s"),
        (View(song="0" * 24), "this song is not on the server"),
        (View(layer="conv3"), "no unit is chosen"),
        (View(start=-1.0), "start must be from 0"),
        (View(start="soon"), "start must be from 0"),
        (View(seconds=1e6), "seconds must be from 0.1 to 30"),
        (View(unit=[3]), "unit must be a whole number"),
        (View(unit=True), "unit must be a whole number"),
        (View(model={"a": 1}), "no model named"),
        (View(layer="conv3", unit=1, at="9"), "outside the excerpt"),
        (View(model=RAW, layer="conv1", unit=1, at="1,440"), "raw audio has no frequency"),
        (View(model=RAW, layer="conv1", unit=1, phase="source"), "no meaning for a raw-audio"),
    ],
)
def test_what_does_not_exist_is_refused_in_words(service, view, message):
    with pytest.raises(AuraliseError, match=message):
        service.render(view)


def test_a_bundle_holds_what_the_command_writes(service):
    name = service.bundle(View(model=RAW, layer="conv1", unit=5))
    with zipfile.ZipFile(service.cache.path(name)) as file:
        names = {entry.rpartition("/")[2] for entry in file.namelist()}
        manifest = file.read("conv1-5/manifest.json").decode()
    assert {"auralisation.wav", "report.html", "manifest.json", "arrays.npz"} <= names
    assert str(service.cache.folder) not in manifest


def test_threads_have_networks_to_themselves(service):
    views = [View(model=RAW, layer="conv1", unit=unit) for unit in range(20, 28)]
    found = {}

    def render(view):
        found[view.unit] = service.render(view).activation

    threads = [threading.Thread(target=render, args=(view,)) for view in views]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    peaks = service.activity(views[0]).peak
    for unit, activation in found.items():
        assert activation == pytest.approx(float(peaks[unit]), rel=1e-4)
    assert len(found) == 8


def test_filters_are_studied_once(service):
    assert service.studies.bank(RAW) is service.studies.bank(RAW)


def test_tuning_is_a_job_and_refuses_unknown_layers(service):
    state = service.studies.start_tuning(RAW, "frames", frequencies=5)
    state = service.jobs.wait(state.id, 20)
    assert state.status == "done"
    assert state.result.tuning.responses.shape[:2] == (128, 5)
    with pytest.raises(UnknownNameError, match="no layer named 'framse'"):
        service.studies.start_tuning(RAW, "framse")


# --- songs


def test_songs_of_others_are_not_listed_and_go_when_unused(tmp_path):
    removed = []
    songs = SongLibrary(tmp_path, removed.append, kept_seconds=0.05)
    path = songs.new_file()
    path.write_bytes(b"RIFF")
    info = songs.add(path, "ann", "Ann's song", 3.0, ())
    assert [song.id for song in songs.songs("ann")] == [DEMO, info.id]
    assert [song.id for song in songs.songs("bob")] == [DEMO]
    assert not songs.remove(info.id, "bob")
    time.sleep(0.1)
    songs.expire()
    assert not path.exists()
    assert removed == [info.id]
    with pytest.raises(UnknownSongError, match="drop the file in again"):
        songs.info(info.id)
    songs.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_server_left_is_deleted(tmp_path):
    removed = []
    living = SongLibrary(tmp_path, removed.append)
    dead = tmp_path / "dead"
    dead.mkdir()
    (dead / "in-use").write_bytes(b"")
    (dead / "abc.wav").write_bytes(b"RIFF")
    SongLibrary(tmp_path, removed.append).close()
    assert removed == ["abc"]
    assert not dead.exists()
    assert living.folder.exists()
    living.close()


def test_a_view_is_resolved_to_what_there_is(service):
    view = service.resolve(View())
    assert view == replace(View(), model=service.models[0], layer="conv3")
