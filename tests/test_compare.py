"""Matched filters of two networks: permutations are found, chance and beginnings are told."""

import csv
import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from auralise.cli.main import main
from auralise.errors import InvalidValueError, NetworkError, ShapeError
from auralise.filters.compare import drift, first_layer, match_filters, similarities
from auralise.filters.known import scale_bank
from auralise.filters.untrained import untrained_networks
from auralise.frontends import RawFrontend
from auralise.models import MODELS, load_model, save_model, wrap
from auralise.models.base import MusicNetwork
from auralise.models.weights import training_seed
from auralise.output.compare_bundle import compare_networks, write_comparison
from auralise.output.tables import encode_csv

RATE = 16000


def on_raw(taps, rate=RATE, name="custom"):
    """A network whose first layer has given impulse responses."""
    layer = nn.Conv1d(1, len(taps), taps.shape[1], bias=False)
    layer.weight.data = taps.flip(1)[:, None].float()
    return wrap(nn.Sequential(layer, nn.ReLU()).eval(), RawFrontend(rate), name=name)


def known(architecture, seed, changes=None, **options):
    """An untrained network with a card that names its architecture."""
    paper = MODELS[architecture].configure(**options)
    torch.manual_seed(seed)
    module = paper.build(3).eval()
    if changes:
        changes(module)
    card = wrap(module, paper.frontend(), ("a", "b", "c"), seconds=paper.seconds).card
    card = replace(card, name=f"{architecture}-{seed}", architecture=architecture, options=options)
    return MusicNetwork(module, card)


def test_a_planted_permutation_is_found_whatever_sign_delay_and_length():
    taps = scale_bank("mel-htk", 24, length=256, seed=1).impulse_responses
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    moved = nn.functional.pad(-3.0 * taps[order], (40, 216))
    match = match_filters(first_layer(on_raw(taps)), first_layer(on_raw(moved)))
    found = torch.empty(24, dtype=torch.long)
    found[match.second] = match.first
    assert torch.equal(found, order)
    torch.testing.assert_close(match.similarity, torch.ones(24).double(), rtol=0, atol=1e-6)


def test_the_similarity_of_two_gaussians_is_that_of_the_closed_form():
    # Power responses of Gabors of sigma s are Gaussians of deviation 1 / (2 sqrt(2) pi s) in Hz;
    # the cosine of two of them a distance d apart is exp(-d^2 / (4 deviation^2)).
    sigma, distance = 0.002, 40.0
    time = torch.arange(-256, 256, dtype=torch.float64) / RATE
    bell = torch.exp(-0.5 * (time / sigma) ** 2)
    taps = torch.stack(
        [bell * torch.cos(2 * torch.pi * f * time) for f in (2000.0, 2000.0 + distance)]
    )
    deviation = 1 / (2 * 2**0.5 * torch.pi * sigma)
    expected = torch.exp(torch.tensor(-(distance**2) / (4 * deviation**2))).item()
    layer = first_layer(on_raw(taps))
    assert similarities(layer, layer)[0, 1].item() == pytest.approx(expected, abs=1e-3)


def test_the_assignment_is_the_best_of_all_permutations():
    from itertools import permutations

    generator = torch.Generator().manual_seed(3)
    one, two = (
        first_layer(on_raw(torch.randn(5, 32, generator=generator).double())) for _ in range(2)
    )
    table = similarities(one, two)
    best = max(sum(table[i, j].item() for i, j in enumerate(p)) for p in permutations(range(5)))
    match = match_filters(one, two)
    assert match.similarity.sum().item() == pytest.approx(best, abs=1e-12)
    assert match.similarity.tolist() == sorted(match.similarity.tolist(), reverse=True)


def test_silent_filters_stay_alone_and_the_larger_bank_has_some_left():
    taps = scale_bank("linear", 12, length=128, seed=0).impulse_responses
    fewer = taps[:8].clone()
    fewer[2] = 0
    match = match_filters(first_layer(on_raw(taps)), first_layer(on_raw(fewer)))
    assert sorted(match.second.tolist()) == [0, 1, 3, 4, 5, 6, 7]
    assert torch.equal(match.first, match.second)


def test_filters_over_time_and_frequency_keep_their_sign():
    one = known("choi2016", 0, width=0.25)

    def turn(module):
        weight = module.get_submodule(first_layer(one).names[0].rpartition(":")[0]).weight
        weight.data = -weight.data.flip(0)

    two = known("choi2016", 0, turn, width=0.25)
    table = similarities(first_layer(one), first_layer(two))
    back = table.flip(1).diagonal()
    torch.testing.assert_close(back, -torch.ones(len(back)).double(), rtol=0, atol=1e-6)


def test_drift_is_the_cosine_with_the_own_beginning():
    taps = torch.eye(4, 16).double()
    after = taps.clone()
    after[1] = taps[1] + taps[2]  # 45 degrees away
    after[2] = 5 * taps[2]
    found = drift(first_layer(on_raw(after)), first_layer(on_raw(taps)))
    assert found.own.tolist() == pytest.approx([1, 0.5**0.5, 1, 1])
    assert found.related
    assert found.shift.shape == found.response.shape == (4,)
    with pytest.raises(ShapeError, match="it is another layer"):
        drift(first_layer(on_raw(after)), first_layer(on_raw(taps[:3])))


def test_numbers_of_another_generator_are_no_beginning():
    one, two = known("dieleman2014-raw", 0, width=0.25), known("dieleman2014-raw", 1, width=0.25)
    assert not drift(first_layer(one), first_layer(two)).related


def test_two_untrained_networks_cannot_be_told_from_chance():
    one, two = known("dieleman2014-raw", 10, width=0.25), known("dieleman2014-raw", 11, width=0.25)
    found = compare_networks(one, two, (10, None))
    assert "cannot be told from untrained ones" in found.sentence
    assert f"The seed that {two.card.name} began with is not known" in found.sentence
    assert "median cosine of 1.00 with their beginning" in found.sentence


def test_networks_that_began_alike_are_said_to():
    one = known("choi2016", 4, width=0.25)
    found = compare_networks(one, one, (4, 4))
    assert "before training the two had 1 already" in found.sentence
    assert found.findings["similarity_before_training"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda taps: on_raw(taps, 8000, "slow"), "at 16000 Hz, the other channel x time at 8000"),
        (lambda taps: known("choi2016", 0, width=0.25), "filters over time and frequency"),
    ],
)
def test_what_cannot_be_compared_is_refused(other, message):
    taps = torch.randn(4, 32, generator=torch.Generator().manual_seed(0)).double()
    with pytest.raises(InvalidValueError, match=message):
        compare_networks(on_raw(taps, name="fast"), other(taps))


def test_kernels_of_two_sizes_or_spectrograms_are_refused():
    one = first_layer(known("choi2016", 0, width=0.25))
    with pytest.raises(InvalidValueError, match="have 3 x 3 and 3 x 2 bins and frames"):
        match_filters(one, replace(one, filters=one.filters[:, :, :2]))
    with pytest.raises(InvalidValueError, match="only behind the same input"):
        match_filters(one, replace(one, frontend="another"))


def test_a_layer_of_zeros_and_one_without_an_architecture_are_refused():
    with pytest.raises(NetworkError, match="is zero; nothing to compare"):
        first_layer(on_raw(torch.zeros(4, 32).double()))
    taps = torch.randn(4, 32, generator=torch.Generator().manual_seed(0)).double()
    with pytest.raises(NetworkError, match="names no architecture"):
        compare_networks(on_raw(taps), on_raw(taps))


def test_the_seed_of_a_training_is_in_its_manifest(tmp_path):
    network = untrained_networks(load_model("choi2016-instruments").card, (0,))[0]
    network = MusicNetwork(network.module, replace(network.card, name="mine"))
    save_model(network, tmp_path / "with", {"training": {"seed": 7}})
    save_model(network, tmp_path / "without", {})
    assert training_seed(str(tmp_path / "with")) == 7
    assert training_seed(str(tmp_path / "without")) is None


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        shown = capsys.readouterr()
        return end.value.code, shown.out, shown.err

    return call


@pytest.mark.slow
def test_the_command_writes_a_folder(run, tmp_path):
    for seed in (0, 1):
        save_model(known("dieleman2014-raw", seed, width=0.25), tmp_path / str(seed), {})
    code, out, _ = run(
        "compare", str(tmp_path / "0"), str(tmp_path / "1"), "--seed-a", "0", "--seed-b", "0",
        "--out", str(tmp_path / "out"), "--json",
    )  # fmt: skip
    assert code == 0
    shown = json.loads(out)
    assert len(shown["pairs"]) == 32
    assert shown["drift"][0]["related"] is True
    assert shown["drift"][1]["related"] is False
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files >= {"figure.html", "figure.png", "pairs.csv", "filters.csv", "manifest.json"}
    with (tmp_path / "out" / "filters.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 64
    assert float(rows[0]["to_beginning"]) == pytest.approx(1.0, abs=1e-6)


def test_the_command_says_what_is_wrong_in_one_line(run, tmp_path):
    out = str(tmp_path / "out")
    code, _, err = run(
        "compare", "choi2016-instruments", "dieleman2014-raw-instruments", "--out", out
    )
    assert code == 1
    assert len(err.strip().splitlines()) == 1
    assert "cannot be compared" in err
    assert run("compare", "choi2016-instruments", "nobody", "--out", out)[0] == 1
    (tmp_path / "out").mkdir()
    code, _, err = run("compare", "choi2016-instruments", "choi2016-instruments", "--out", out)
    assert code == 1
    assert "is there already" in err


def test_tables_have_the_same_rows_as_parquet(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    one = known("choi2016", 4, width=0.25)
    found = compare_networks(one, one)
    write_comparison(tmp_path / "out", found)
    rows = pq.read_table(tmp_path / "out" / "pairs.parquet").to_pylist()
    assert rows == [dict(row) for row in found.pairs]
    assert encode_csv(rows) == (tmp_path / "out" / "pairs.csv").read_bytes()


def test_without_the_package_for_parquet_the_rest_is_written_and_said(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    one = known("choi2016", 4, width=0.25)
    write_comparison(tmp_path / "out", compare_networks(one, one))
    assert not (tmp_path / "out" / "pairs.parquet").exists()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert "pip install 'auralise[parquet]'" in manifest["notes"][0]


@pytest.mark.slow
def test_a_training_is_compared_with_what_it_began_with(run, tmp_path):
    pytest.importorskip("lightning", reason="training is an extra")
    from auralise.datasets.base import Track
    from auralise.datasets.clips import Clip
    from auralise.training.fit import FitOptions, fit
    from auralise.training.restored import network_of_training

    paper = MODELS["dieleman2014-raw"].configure(width=0.125, seconds=0.5)
    generator = torch.Generator().manual_seed(0)
    clips = [
        Clip(
            torch.randn(8000, generator=generator).clamp(-1, 1),
            Track(tmp_path / f"{number}.wav", "ab"[number % 2], str(number)),
        )
        for number in range(8)
    ]
    folder = tmp_path / "mine.training"
    options = FitOptions(epochs=2, batch_size=4, seed=5)
    fitted = fit(paper, ("a", "b"), clips, clips, options, folder=folder)
    network, seed = network_of_training(folder)
    assert (seed, network.card.name) == (5, "mine, after epoch 2")
    assert network.card.frontend == fitted.architecture.frontend()
    if fitted.best_epoch == 2:
        for name, value in fitted.module.state_dict().items():
            assert torch.equal(value, network.module.state_dict()[name])
    beginning = untrained_networks(network.card, (5,))[0]
    save_model(
        MusicNetwork(beginning.module, replace(beginning.card, name="begun")),
        tmp_path / "begun",
        {"training": {"seed": 5}},
    )
    out = tmp_path / "out"
    code, text, _ = run("compare", str(folder), str(tmp_path / "begun"), "--out", str(out))
    assert code == 0
    assert "before training the two had 1 already" in text
    assert "The filters of begun have a median cosine of 1.00 with their beginning" in text


def test_a_state_that_is_none_is_refused(run, tmp_path):
    pytest.importorskip("lightning", reason="training is an extra")
    (tmp_path / "last.safetensors").write_bytes(b"no state")
    code, _, err = run(
        "compare", str(tmp_path), "choi2016-instruments", "--out", str(tmp_path / "out")
    )
    assert code == 1
    assert "cannot be read" in err
