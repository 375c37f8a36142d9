"""Bundles: complete or absent, never over a stranger's files, and enough to be made again."""

import errno
import io
import json
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from auralise.activations.layers import Unit
from auralise.audio.waveform import Waveform
from auralise.auralisation import auralise_layer, auralise_unit
from auralise.errors import AudioFileError, InvalidValueError, OutputError, UnknownNameError
from auralise.frontends import RawFrontend
from auralise.models.base import wrap
from auralise.models.tiny import tiny_network
from auralise.output import bundle as bundle_module
from auralise.output.bundle import arrays_of, folder_of, write_bundle, write_collection
from auralise.output.manifest import (
    Song,
    read_manifest,
    settings_of,
    song_from_file,
    song_of,
    to_json,
    unit_of,
)
from auralise.settings import Settings

FILES = {
    "arrays.npz",
    "auralisation.wav",
    "figure.html",
    "figure.png",
    "manifest.json",
    "report.html",
    "round_trip.wav",
    "source.wav",
}
SONG = Song("songs/ä song.wav", "ab" * 32, 1.5, 1.0, "Somebody", "CC BY 4.0", ("clipped",))
PAGES = "a page"


@pytest.fixture
def light_pages(monkeypatch):
    """Leave the pages and the figure out where they are not the subject: they take seconds."""
    monkeypatch.setattr(bundle_module, "report", lambda *_, **__: PAGES)
    monkeypatch.setattr(bundle_module, "figure_page", lambda _: PAGES)
    monkeypatch.setattr(bundle_module, "encode_png", lambda _: b"png")


@pytest.fixture(scope="module")
def network():
    return tiny_network()


@pytest.fixture
def result(hand_made):
    return hand_made(layer="conv1", channel=1)


@pytest.fixture
def write(network, result):
    def write(folder, **options):
        settings = options.pop("settings", Settings())
        return write_bundle(folder, result, network, SONG, settings=settings, **options)

    return write


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_bundle_holds_all_it_promises_and_nothing_is_left_beside_it(tmp_path, write):
    folder = write(tmp_path / "bundle")
    assert names(folder) == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert (folder / "figure.png").read_bytes()[:4] == b"\x89PNG"
    assert "What conv1:1 responds to in ä song.wav" in (folder / "report.html").read_text("utf-8")


@pytest.mark.usefixtures("light_pages")
def test_sounds_are_24_bit_at_the_level_that_the_manifest_tells(tmp_path, write, result):
    folder = write(tmp_path / "bundle", level="peak")
    sounds = {name: soundfile.read(folder / f"{name}.wav") for name in ("auralisation", "source")}
    assert soundfile.info(folder / "auralisation.wav").subtype == "PCM_24"
    source = result.source.samples[0].numpy()
    np.testing.assert_allclose(sounds["source"][0], source, rtol=0, atol=2**-24 + 1e-9)
    peak = 20 * np.log10(np.abs(sounds["auralisation"][0]).max())
    level = read_manifest(folder)["levels"]["auralised"]
    assert level["policy"] == "peak"
    assert peak == pytest.approx(-1, abs=1e-4)
    assert level["peak_db"] == pytest.approx(peak, abs=1e-4)


@pytest.mark.usefixtures("light_pages")
def test_arrays_open_without_pickle_and_are_what_was_computed(tmp_path, write, result):
    folder = write(tmp_path / "bundle")
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        loaded = {name: arrays[name] for name in arrays}
    np.testing.assert_array_equal(loaded["relevance"], result.inversion.relevance.numpy())
    np.testing.assert_array_equal(loaded["features"], result.features.values.numpy())
    magnitude = result.features.spectrogram.magnitude[0].numpy()
    np.testing.assert_array_equal(loaded["source_magnitude"], magnitude)
    assert loaded["auralised_magnitude"].shape == magnitude.shape
    assert loaded["seconds"][1] == 64 / 8000
    assert loaded["hertz"][1] == 8000 / 256
    axes = (len(loaded["magnitude_hertz"]), len(loaded["magnitude_seconds"]))
    assert axes == magnitude.shape


def test_arrays_of_raw_audio_have_no_frequencies_of_the_map(hand_made):
    arrays = arrays_of(hand_made("raw"))
    assert "hertz" not in arrays
    assert arrays["relevance"].shape == (1, 8000)
    assert arrays["magnitude_hertz"][-1] == 4000


@pytest.mark.usefixtures("light_pages")
def test_a_raw_network_gets_a_bundle(tmp_path, hand_made):
    module = nn.Sequential(nn.Conv1d(1, 2, 9, stride=4), nn.ReLU()).eval()
    result = hand_made("raw", layer="0", channel=1)
    inversion = replace(result.inversion, position=(5,))
    network = wrap(module, RawFrontend(8000), name="raw")
    folder = write_bundle(
        tmp_path / "raw", replace(result, inversion=inversion), network, SONG, settings=Settings()
    )
    manifest = read_manifest(folder)
    assert manifest["settings"]["sonification"] == "waveform"
    # A kernel of 9 with stride 4: position 5 sees samples 20 to 28.
    place = manifest["result"]["place"]
    assert (place["start"], place["end"], place["low"]) == (20 / 8000, 28 / 8000, None)


@pytest.mark.usefixtures("light_pages")
def test_the_manifest_is_strict_json_with_sorted_keys(tmp_path, write):
    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    text = (write(tmp_path / "bundle") / "manifest.json").read_text("utf-8")
    manifest = json.loads(text, parse_constant=refuse)
    assert text == json.dumps(manifest, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    assert manifest["scores"]["round_trip_convergence_db"] is None  # it was minus infinity


@pytest.mark.usefixtures("light_pages")
def test_the_manifest_lists_every_other_file(tmp_path, write):
    folder = write(tmp_path / "bundle")
    assert set(read_manifest(folder)["files"]) == FILES - {"manifest.json"}


@pytest.mark.parametrize("at", ["peak", "whole", 0.25, (0.25, 440.0)])
@pytest.mark.usefixtures("light_pages")
def test_song_settings_and_unit_come_back_from_the_manifest(tmp_path, write, network, at):
    settings = Settings("deconvnet", at, "magnitude", "absolute", "griffin-lim", 7, 3)
    settings = settings.resolved(network.card.frontend)
    manifest = read_manifest(write(tmp_path / "bundle", settings=settings))
    assert settings_of(manifest) == settings
    assert song_of(manifest) == SONG
    assert unit_of(manifest) == Unit("conv1", 1)


@pytest.mark.usefixtures("light_pages")
def test_a_manifest_is_enough_to_make_the_same_samples_again(tmp_path, network):
    time = torch.arange(8000) / 8000
    source = Waveform(torch.sin(2 * torch.pi * 500 * time * (1 + time))[None] * 0.5, 8000)
    first = auralise_unit(network, source, "conv1:1", settings=Settings("guided", at=0.5))
    folder = write_bundle(
        tmp_path / "bundle", first, network, SONG, settings=Settings("guided", at=0.5)
    )
    manifest = read_manifest(folder)
    again = auralise_unit(network, source, unit_of(manifest), settings=settings_of(manifest))
    torch.testing.assert_close(again.waveform.samples, first.waveform.samples, rtol=0, atol=0)
    assert manifest["result"]["place"]["start"] <= 0.5 <= manifest["result"]["place"]["end"]


@pytest.mark.usefixtures("light_pages")
def test_the_same_run_writes_the_same_bytes(tmp_path, write):
    one, two = write(tmp_path / "one"), write(tmp_path / "two")
    assert {p.name: p.read_bytes() for p in one.iterdir()} == {
        p.name: p.read_bytes() for p in two.iterdir()
    }


# -- what is there already --------------------------------------------------------------------


@pytest.mark.usefixtures("light_pages")
def test_an_existing_folder_is_kept_unless_forced(tmp_path, write):
    folder = write(tmp_path / "bundle")
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(OutputError, match="is there already; use --force"):
        write(folder, level="peak")
    assert (folder / "manifest.json").read_bytes() == before
    write(folder, level="peak", force=True)
    assert read_manifest(folder)["settings"]["level"] == "peak"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.usefixtures("light_pages")
def test_force_fills_an_empty_folder(tmp_path, write):
    (tmp_path / "empty").mkdir()
    assert names(write(tmp_path / "empty", force=True)) == FILES


@pytest.mark.parametrize(
    "manifest", [None, "not JSON", "[]", '{"manifest_version": 3}', '{"schema": "auralise.bundle"}']
)
def test_force_does_not_delete_what_auralise_did_not_write(tmp_path, write, manifest):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    if manifest is not None:
        (folder / "manifest.json").write_text(manifest)
    with pytest.raises(OutputError, match="files that auralise did not write"):
        write(folder, force=True)
    assert (folder / "thesis.txt").read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.usefixtures("light_pages")
def test_force_does_not_delete_a_note_put_into_a_bundle(tmp_path, write):
    folder = write(tmp_path / "bundle")
    (folder / "note.txt").write_text("listen at 0.5 s")
    with pytest.raises(OutputError, match="files that auralise did not write"):
        write(folder, force=True)
    assert (folder / "note.txt").exists()


@pytest.mark.parametrize("force", [False, True])
def test_a_file_in_the_place_of_the_folder_is_kept(tmp_path, write, force):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is no folder"):
        write(tmp_path / "file", force=force)
    assert (tmp_path / "file").read_text() == "x"


def test_a_file_in_the_place_of_the_parent_is_an_error_of_the_family(tmp_path, write):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        write(tmp_path / "file" / "bundle")


@pytest.mark.usefixtures("light_pages")
def test_a_link_to_a_folder_is_not_replaced(tmp_path, write):
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OutputError, match="is no folder"):
        write(tmp_path / "link", force=True)
    assert (tmp_path / "link").is_symlink()


# -- what goes wrong on the way ---------------------------------------------------------------


@pytest.fixture
def small_files():
    """Let no file grow beyond 8 kB, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("light_pages", "small_files")
def test_a_file_that_does_not_fit_leaves_no_half_bundle(tmp_path, write):
    with pytest.raises(OutputError, match="nothing was left there"):
        write(tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("light_pages")
def test_a_full_disk_at_the_last_file_leaves_the_old_bundle(tmp_path, write, monkeypatch):
    folder = write(tmp_path / "bundle")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    original = Path.write_text

    def full(self, *args, **options):
        if self.name == "manifest.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, *args, **options)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write(folder, force=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.usefixtures("light_pages")
def test_the_old_bundle_comes_back_when_the_new_one_cannot_be_moved(tmp_path, write, monkeypatch):
    folder = write(tmp_path / "bundle")
    original = Path.rename

    def stubborn(self, target):
        if self.name.endswith(".part"):
            raise OSError(errno.EACCES, "Permission denied")
        return original(self, target)

    monkeypatch.setattr(Path, "rename", stubborn)
    with pytest.raises(OutputError, match="Permission denied"):
        write(folder, force=True)
    assert names(folder) == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.usefixtures("light_pages")
def test_an_interrupt_leaves_nothing(tmp_path, write, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(bundle_module, "encode_png", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_level_policy_leaves_nothing(tmp_path, write):
    with pytest.raises(UnknownNameError, match="no level policy named 'peek'; did you mean 'peak'"):
        write(tmp_path / "bundle", level="peek")
    assert list(tmp_path.iterdir()) == []


# -- several units ----------------------------------------------------------------------------


@pytest.mark.usefixtures("light_pages")
def test_a_collection_has_a_folder_for_each_unit_and_one_report(tmp_path, network):
    time = torch.arange(8000) / 8000
    source = Waveform(torch.sin(2 * torch.pi * 440 * time)[None] * 0.5, 8000)
    results = auralise_layer(network, source, "conv1", [2, 0])
    folder = write_collection(
        tmp_path / "layer", results, network, SONG, settings=Settings(), level="peak"
    )
    inside = FILES - {"report.html", "figure.html"}
    expected = {f"conv1-{c}/{name}" for c in (0, 2) for name in inside}
    assert names(folder) == expected | {"report.html", "manifest.json"}
    manifest = read_manifest(folder)
    assert manifest["kind"] == "collection"
    assert [unit["folder"] for unit in manifest["units"]] == ["conv1-2", "conv1-0"]
    assert unit_of(read_manifest(folder / "conv1-2")) == Unit("conv1", 2)
    with pytest.raises(InvalidValueError, match="take that of one unit's folder"):
        unit_of(manifest)
    with pytest.raises(OutputError, match="use --force"):
        write_collection(folder, [], network, SONG, settings=Settings())


@pytest.mark.usefixtures("light_pages")
def test_a_collection_replaces_a_collection_when_forced(tmp_path, network, result, hand_made):
    def write(results):
        return write_collection(
            tmp_path / "layer", results, network, SONG, settings=Settings(), force=True
        )

    write([result, hand_made(layer="conv1", channel=0)])
    folder = write([result])
    assert [unit["unit"] for unit in read_manifest(folder)["units"]] == ["conv1:1"]
    assert not (folder / "conv1-0").exists()


@pytest.mark.usefixtures("light_pages")
def test_a_collection_refuses_nothing_and_repeated_units(tmp_path, network, result):
    for results in ([], [result, result]):
        with pytest.raises(InvalidValueError, match="needs units, each once"):
            write_collection(tmp_path / "layer", results, network, SONG, settings=Settings())
    assert list(tmp_path.iterdir()) == []


def test_names_of_layers_make_names_of_folders():
    assert folder_of(Unit("a/../b", 3)) == "a_.._b-3"
    assert folder_of(Unit("relu@2", 0)) == "relu@2-0"


# -- reading manifests ------------------------------------------------------------------------


@pytest.fixture
def altered(tmp_path, hand_made, network, light_pages):
    def alter(change):
        folder = tmp_path / "bundle"
        write_bundle(
            folder, hand_made(layer="conv1", channel=1), network, SONG, settings=Settings()
        )
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        change(manifest)
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        return folder

    return alter


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(schema="other"), "not a manifest of auralise"),
        (lambda m: m.update(schema_version=99), "schema version 99 .* reads version 1"),
        (lambda m: m["settings"].pop("method"), "lacks 'settings.method'"),
        (lambda m: m.pop("song"), "lacks 'song'"),
        (lambda m: m["settings"].update(seed="3"), "'settings.seed' .* whole number or null"),
        (lambda m: m["settings"].update(iterations=True), "'settings.iterations' .* got True"),
        (lambda m: m["song"].update(start=None), "'song.start' .* number, got None"),
        (lambda m: m.update(model=[]), "'model' .* must be an object"),
        (lambda m: m.update(unit=17), "'unit' .* must be text, got 17"),
    ],
)
def test_an_altered_manifest_is_refused_by_name(altered, change, message):
    with pytest.raises(InvalidValueError, match=message):
        read_manifest(altered(change))


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00\x01"])
def test_what_is_not_a_manifest_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InvalidValueError, match="is not a manifest"):
        read_manifest(tmp_path)


def test_a_manifest_in_no_known_encoding_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(InvalidValueError, match="is not a manifest: not JSON"):
        read_manifest(tmp_path)


def test_a_missing_manifest_is_refused(tmp_path):
    with pytest.raises(InvalidValueError, match=r"no manifest at .*No such file"):
        read_manifest(tmp_path / "manifest.json")


def test_what_json_cannot_hold_is_refused_by_name():
    with pytest.raises(InvalidValueError, match=r"manifest\.a\.b is a Tensor"):
        to_json({"a": {"b": torch.zeros(1)}})


def test_a_song_is_known_by_its_content(tmp_path):
    path = tmp_path / "song.wav"
    path.write_bytes(b"abc")
    song = song_from_file(path, 2.0, notes=["padded"])
    # The example of FIPS 180-2, appendix B.1.
    assert song.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert (song.path, song.name, song.start, song.notes) == (
        str(path),
        path.name,
        2.0,
        ("padded",),
    )
    with pytest.raises(AudioFileError, match="cannot be read"):
        song_from_file(tmp_path / "no.wav")


def test_arrays_need_no_pickle_to_be_written(hand_made):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays_of(hand_made("mel")))
    assert buffer.tell() > 0
