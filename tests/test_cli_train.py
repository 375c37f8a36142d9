"""``auralise train`` and the recipes: every network from sounds to a unit that can be heard."""

import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields
from inspect import signature

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from auralise.cli.main import app
from auralise.errors import InvalidValueError, UnknownNameError
from auralise.models import MODELS, load_model, read_manifest
from auralise.training.options import FitOptions
from auralise.training.recipes import (
    load_recipe,
    options_of,
    parse_option,
    read_recipe,
    recipe_names,
)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Two labels of six half-second tones, one of them much rarer, and a file that is no sound."""
    folder = tmp_path_factory.mktemp("sounds")
    for label, hertz, takes in (("high", 2000, 10), ("low", 200, 3)):
        (folder / label).mkdir()
        for take in range(takes):
            tone = 0.3 * np.sin(2 * np.pi * hertz * (1 + take / 50) * np.arange(8000) / 16000)
            soundfile.write(folder / label / f"{label}{take}.wav", tone, 16000)
    (folder / "high" / "high99.wav").write_bytes(b"RIFF, but no more than that")
    return folder


@pytest.fixture(scope="module")
def even_sounds(tmp_path_factory):
    """Two labels of eight half-second tones."""
    folder = tmp_path_factory.mktemp("even")
    for label, hertz in (("high", 2000), ("low", 200)):
        (folder / label).mkdir()
        for take in range(8):
            tone = 0.3 * np.sin(2 * np.pi * hertz * (1 + take / 50) * np.arange(8000) / 16000)
            soundfile.write(folder / label / f"{label}{take}.wav", tone, 16000)
    return folder


def auralise(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def train(sounds, out, *words):
    base = ("--data", f"folder:{sounds}", "--out", out, "--threads", 1)
    return auralise("train", *words, *base)


SMALL = ("--option", "width=0.05", "--epochs", 1, "--batch-size", 8)


def test_what_was_asked_for_is_kept_and_makes_the_network_again(sounds, tmp_path):
    """The command of the manifest, with the folders put in, gives the same bytes."""
    words = ("--recipe", "zhang2016-nnet2", "--name", "a net", "--balance", "--mask-time", 0.2)
    done = train(sounds, tmp_path / "one", *words, *SMALL, "--licence", "CC BY 4.0", "--json")
    entry = read_manifest(tmp_path / "one")["a net"]
    assert entry["options"] == {"width": 0.05}
    assert entry["recipe"] == "zhang2016-nnet2"
    assert (entry["training"]["balance"], entry["training"]["mask_time"]) == (True, 0.2)
    assert entry["split"] == {"how": "group", "leaky": entry["split"]["leaky"], "seed": 0}
    assert entry["skipped"] == 1
    assert set(entry["versions"]) == {"auralise", "python", "torch", "lightning"}
    assert json.loads(done.stdout)["skipped"][0][0] == "high99.wav"
    again = shlex.split(entry["command"].replace("FOLDER", str(sounds)))
    again = [str(tmp_path / "two") if word == "OUT" else word for word in again]
    auralise(*again[1:], "--threads", 1)
    assert read_manifest(tmp_path / "two")["a net"]["sha256"] == entry["sha256"]
    assert "1 clips could not be read" in (tmp_path / "two" / "a net.md").read_text()


def test_people_are_told_of_rare_labels_and_of_clips_left_out(sounds, tmp_path):
    done = train(sounds, tmp_path, "dieleman2014-raw", *SMALL, "--seed", 1)
    assert "'low' has 1 training clips and 'high'" in done.stderr
    assert "--balance weights them" in done.stderr
    assert "1 clips could not be read:\n  high99.wav: " in done.stderr


def test_labels_without_clips_and_labels_that_cannot_be_read_are_named(even_sounds, tmp_path):
    sounds = tmp_path / "sounds"
    shutil.copytree(even_sounds, sounds)
    (sounds / "never").mkdir()
    (sounds / "broken").mkdir()
    for take in range(6):
        (sounds / "broken" / f"broken{take}.wav").write_bytes(b"RIFF %d" % take)
    done = train(sounds, tmp_path / "out", "dieleman2014-raw", *SMALL)
    assert "sounds: no sound files in never; no such label is learned" in done.stderr
    assert "no training clip of broken could be read: it cannot be learned" in done.stderr
    assert "6 clips could not be read" in done.stderr


def test_clips_from_a_cache_give_the_same_network(sounds, tmp_path):
    for name, words in (("memory", ()), ("disk", ("--cache", tmp_path / "clips"))):
        done = train(sounds, tmp_path, "dieleman2014-raw", *SMALL, "--name", name, *words)
        assert "1 clips could not be read:\n  high99.wav: " in done.stderr
    entries = read_manifest(tmp_path)
    assert entries["disk"]["sha256"] == entries["memory"]["sha256"]
    assert (tmp_path / "clips" / "clips-16000.f32").stat().st_size > 4 * 8000


def test_strict_stops_at_a_clip_that_cannot_be_read(sounds, tmp_path):
    with pytest.raises(OSError, match="high99"):
        train(sounds, tmp_path, "dieleman2014-raw", *SMALL, "--strict")


def test_a_stopped_command_goes_on_unless_told_to_start_again(sounds, tmp_path):
    train(sounds, tmp_path, "dieleman2014-raw", *SMALL, "--name", "n")
    with pytest.raises(OSError, match="epochs: 1 then, 2 now"):
        train(sounds, tmp_path, "dieleman2014-raw", *SMALL, "--name", "n", "--epochs", 2)
    train(sounds, tmp_path, "dieleman2014-raw", *SMALL, "--name", "n", "--epochs", 2, "--fresh")
    log = (tmp_path / "n.training" / "log.csv").read_text().splitlines()
    assert len(log) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name an architecture, or a recipe"),
        (("choi2016", "--recipe", "samplecnn"), "is of 'samplecnn', not of 'choi2016'"),
        (("choi2016", "--option", "width"), "written name=value"),
        (("choi2016", "--option", "witdh=1"), "no option 'witdh'"),
        (("choi2016", "--epochs", "0"), "at least 1"),
        (("choi2016", "--devices", "0"), "devices and nodes"),
        (("choi2016", "--fuse", "sum"), "only costa2017 can be fused"),
        (("costa2017", "--fuse", "mean"), "rule must be sum or product"),
        (("costa2017-fusion",), "train costa2017 with --fuse"),
        (("costa2017", "--fuse", "none", "--fusion-option", "zones=3"), "contradict"),
        (("dieleman2011", "--no-pretrain", "--pretrain-option", "epochs=3"), "contradict"),
        (("dieleman2011", "--pretrain-option", "epoch=3"), "'epoch', which means nothing"),
        (("choi2016", "--pretrain", "--option", "width=0.05"), "nothing to pretrain"),
    ],
)
def test_wrong_words_are_refused(sounds, tmp_path, words, message):
    with pytest.raises(InvalidValueError, match=message):
        train(sounds, tmp_path, *words)


def test_the_same_file_in_two_parts_is_refused(sounds, tmp_path):
    copies = tmp_path / "copies"
    for label in ("high", "low"):
        (copies / label).mkdir(parents=True)
        for take in range(3):
            data = (sounds / label / f"{label}0.wav").read_bytes()
            (copies / label / f"{label}{take}.wav").write_bytes(data)
    with pytest.raises(InvalidValueError, match="are the same file"):
        train(copies, tmp_path / "out", "dieleman2014-raw", *SMALL)


def made_again(out, entry, sounds):
    """Run the command of a manifest with the folders put in."""
    words = shlex.split(entry["command"].replace("FOLDER", str(sounds)))
    auralise(*[str(out) if word == "OUT" else word for word in words[1:]], "--threads", 1)
    return read_manifest(out)[entry["name"]]


STAGES = [
    ("dieleman2011", ("--recipe", "dieleman2011", "--pretrain-option", "epochs=2")),
    ("dieleman2011", ("--recipe", "dieleman2011", "--no-pretrain")),
    ("dieleman2011", ("dieleman2011", "--pretrain", "--pretrain-option", "epochs=1")),
    ("costa2017-fusion", ("--recipe", "costa2017-fusion", "--fusion-option", "zones=3")),
    ("costa2017-fusion", ("costa2017", "--fuse", "product", "--fusion-option", "patches=60")),
    ("costa2017", ("--recipe", "costa2017-fusion", "--fuse", "none")),
]


@pytest.mark.parametrize(("architecture", "words"), STAGES)
def test_pretraining_and_fusion_are_made_again_by_the_command(
    even_sounds, tmp_path, architecture, words
):
    train(even_sounds, tmp_path / "one", *words, *SMALL, "--name", "n")
    entry = {"name": "n", **read_manifest(tmp_path / "one")["n"]}
    assert entry["architecture"] == architecture
    assert made_again(tmp_path / "two", entry, even_sounds)["sha256"] == entry["sha256"]
    network = load_model("n", tmp_path / "one")
    assert hasattr(network.module, "machine") == architecture.endswith("-fusion")
    assert entry["fusion"] is None or entry["fusion"]["rule"] == "product"
    pretrained = (tmp_path / "one" / "n.training" / "pretrained.safetensors").exists()
    assert pretrained == (entry["pretraining"] is not None)


def test_what_was_pretrained_is_not_learned_again(even_sounds, tmp_path, monkeypatch):
    from auralise.training import stages

    calls = []
    plain = stages.pretrain
    monkeypatch.setattr(stages, "pretrain", lambda *a, **k: calls.append(1) or plain(*a, **k))
    words = ("dieleman2011", "--pretrain-option", "epochs=1", *SMALL, "--name", "n")
    train(even_sounds, tmp_path, *words)
    first = read_manifest(tmp_path)["n"]["sha256"]
    (tmp_path / "n.training" / "last.safetensors").unlink()  # stopped in the first epoch
    train(even_sounds, tmp_path, *words)
    assert (len(calls), read_manifest(tmp_path)["n"]["sha256"]) == (1, first)
    train(even_sounds, tmp_path, *words, "--pretrain-option", "epochs=2", "--fresh")
    assert len(calls) == 2
    assert read_manifest(tmp_path)["n"]["sha256"] != first


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_can_be_read(name):
    recipe = load_recipe(name)
    assert recipe.architecture == name.removesuffix("-fusion")
    assert bool(recipe.fusion) == name.endswith("-fusion")
    assert bool(recipe.pretraining) == name.startswith("dieleman2011")
    assert recipe.source
    assert not set(recipe.published) & set(recipe.from_memory)
    if name in MODELS:
        MODELS[name].configure(**recipe.model)


def test_there_is_a_recipe_for_every_network():
    assert set(MODELS) <= set(recipe_names())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1", "is not YAML"),
        ("- a", "must map keys"),
        ("source: a\narchitecture: b", "lacks training"),
        ("source: a\narchitecture: b\ntraining: {}\nspeed: 1", "'speed', which means nothing"),
        ("source: a\narchitecture: b\ntraining: {epoch: 1}", "'epoch', which means nothing"),
        ("source: a\narchitecture: b\ntraining: {epochs: 1.5}", "epochs must be a int, got 1.5"),
        ("source: a\narchitecture: b\ntraining: {learning_rate: fast}", "must be a float"),
        ("source: a\narchitecture: b\ntraining: {bfloat16: 1}", "must be a bool"),
        ("source: a\narchitecture: b\ntraining: {}\npublished: [epochs]", "'epochs'"),
        ("source: !!python/object/apply:os.getcwd []", "is not YAML"),
    ],
)
def test_a_recipe_with_a_fault_is_refused(text, message):
    with pytest.raises(InvalidValueError, match=message):
        read_recipe("x", text)


def test_a_recipe_of_one_s_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("source: me\narchitecture: choi2016\ntraining: {learning_rate: 1}\n")
    recipe = load_recipe(str(path))
    assert (recipe.name, recipe.training.learning_rate) == ("mine", 1.0)
    assert options_of({"epochs": 3}, "x", recipe.training) == FitOptions(epochs=3, learning_rate=1)
    with pytest.raises(UnknownNameError, match="samplecnn"):
        load_recipe("samplecn")


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=1", 1), ("a=1e-3", 0.001), ("a=False", False), ("a=max", "max"), ("a=b=c", "b=c")],
)
def test_options_are_read_as_what_they_are(text, value):
    found = parse_option(text)[1]
    assert found == value
    assert type(found) is type(value)


def test_every_field_of_the_training_has_an_option():
    from auralise.cli.train import train as command

    assert {item.name for item in fields(FitOptions)} <= set(signature(command).parameters)


@pytest.mark.slow
def test_two_processes_make_one_network(sounds, tmp_path):
    words = ("dieleman2014-raw", "--devices", "2", *SMALL, "--json", "--threads", 1)
    command = ("train", *words, "--data", f"folder:{sounds}", "--out", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "auralise", *map(str, command)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert json.loads(done.stdout)["ended"] == "all 1 epochs are done"
    (name,) = read_manifest(tmp_path)
    assert "--devices 2" in read_manifest(tmp_path)[name]["command"]
