"""What an audit says of maps whose worth is known beforehand."""

import json
import math
import sys
from dataclasses import replace

import pytest
import torch
from scipy import stats
from typer.testing import CliRunner

from auralise.activations import Unit
from auralise.audio.waveform import Waveform
from auralise.audit import Audit, AuditOptions, audit, quick_options, verdict
from auralise.audit.audit import _flat
from auralise.audit.canvas import Canvas, part_of, rearranged
from auralise.audit.faithfulness import complexity, faithfulness, nested, sparseness
from auralise.audit.judge import Judge, runs_through
from auralise.audit.maps import Mapper, cosine, rank_correlation
from auralise.audit.randomisation import randomisation_curve
from auralise.audit.sensitivity import _aligned, class_cosines
from auralise.audit.shuffling import shuffled, weight_layers
from auralise.auralisation import auralise_unit
from auralise.errors import InvalidValueError, NetworkError
from auralise.frontends.raw import RawFrontend
from auralise.masks import MaskOptions
from auralise.models.base import wrap
from auralise.output.audit_panel import audit_panel
from auralise.output.audit_rows import audit_figure, audit_rows
from auralise.output.charts_png import encode_charts_png
from auralise.settings import Settings

RATE = 8000
GRADIENT = Settings(method="gradient")


def tone(hz, start=0.0, end=1.0):
    t = torch.arange(RATE) / RATE
    return 0.3 * torch.sin(2 * math.pi * hz * t) * ((t >= start) & (t < end))


def two_bands():
    """Return a raw-audio network: units for 300 Hz and 3 kHz, one dead, and two outputs."""
    t = torch.arange(128) / RATE
    window = torch.hann_window(128)
    kernels = [window * torch.sin(2 * math.pi * f * t) for f in (300, 3000)]
    conv = torch.nn.Conv1d(1, 3, 128, stride=16, bias=False)
    dense = torch.nn.Linear(3, 2)
    with torch.no_grad():
        conv.weight.copy_(torch.stack([*kernels, torch.zeros(128)])[:, None])
        dense.weight.copy_(torch.tensor([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]]))
        dense.bias.zero_()
    module = torch.nn.Sequential(
        conv, torch.nn.ReLU(), torch.nn.AdaptiveMaxPool1d(1), torch.nn.Flatten(), dense
    )
    return wrap(module.eval(), RawFrontend(RATE), ("low", "high"), name="two bands")


def low_then_high():
    return Waveform((tone(300, 0, 0.5) + tone(3000, 0.5, 1.0))[None], RATE)


@pytest.fixture(scope="module")
def asked():
    network, source = two_bands(), low_then_high()
    result = auralise_unit(network, source, "1:0", settings=GRADIENT)
    return network, result, audit(network, result, GRADIENT)


def test_a_map_that_is_right_beats_both_floors(asked):
    _, _, found = asked
    assert not found.inactive
    assert found.feedback.own > 1.1 * max(found.feedback.random_mask, found.feedback.energy_mask)
    assert found.feedback.above == 1.0  # the other unit answers less
    assert found.feedback.others < 0.2
    assert found.sensitivity.units is None  # the other one does not answer at that place
    assert found.sensitivity.noise > 0.99
    assert "drives the unit" in verdict(found)


def test_floors_have_the_same_values_in_other_places(asked):
    _, _, found = asked
    masks = found.map, found.random_mask, found.energy_mask
    assert len({round(mask.sparseness, 6) for mask in masks}) == 1
    assert len({round(mask.complexity, 4) for mask in masks}) == 1


def test_a_mask_of_the_right_half_explains_the_unit_and_of_the_wrong_half_does_not():
    network, source = two_bands(), low_then_high()
    judge = Judge(network, "1", whole=True)
    canvas = Canvas.of(source, None)
    early = (torch.arange(RATE) < RATE // 2).float()[None]
    right = faithfulness(judge, canvas, Unit("1", 0), early)
    wrong = faithfulness(judge, canvas, Unit("1", 0), 1 - early)
    assert right.unit_in == pytest.approx(1, abs=1e-5)
    assert right.unit_out < 0.3
    assert wrong.unit_out == pytest.approx(1, abs=1e-5)
    assert right.deletion < wrong.deletion
    assert right.insertion > wrong.insertion
    assert right.deletion_curve[0] == right.insertion_curve[-1] == 1
    assert right.deletion_curve[-1] == right.insertion_curve[0] == 0


def test_labels_numbers_are_those_of_one_softmax():
    network, source = two_bands(), low_then_high()
    mask = torch.rand(1, RATE, generator=torch.Generator().manual_seed(0))
    kept = mask * source.samples
    with torch.no_grad():
        logits = [
            network.module(s[:, None])[0] for s in (source.samples, kept, source.samples - kept)
        ]
    shares = [torch.exp(v) / torch.exp(v).sum() for v in logits]
    c = int(shares[0].argmax())
    p, inside, outside = (float(s[c]) for s in shares)
    found = faithfulness(Judge(network, "1", True), Canvas.of(source, None), Unit("1", 0), mask)
    assert found.increase == 100 * (inside > p)
    assert found.drop == pytest.approx(100 * max(0, p - inside) / p, abs=1e-4)
    assert found.gain == pytest.approx(100 * max(0, inside - p) / (1 - p), abs=1e-4)
    assert found.removal == pytest.approx(p - outside, abs=1e-6)
    assert found.same == float(int(shares[1].argmax()) == c)


def test_the_loss_of_a_label_can_reach_a_hundred_percent():
    """A second softmax, over shares, would cap it at 1 - 1/e for two outputs or fewer percent."""
    network = two_bands()
    with torch.no_grad():
        network.module[-1].weight *= 1000
    source = Waveform(tone(300)[None], RATE)
    found = faithfulness(
        Judge(network, "1", True), Canvas.of(source, None), Unit("1", 0), torch.zeros(1, RATE)
    )
    assert found.drop == pytest.approx(50, abs=0.1)  # silence leaves one half to each of two
    loud = Waveform((tone(300) + 0.5 * tone(3000))[None], RATE)
    spectrum = Canvas.of(loud, None)
    assert spectrum.energy().shape == (1, RATE)


def test_nested_masks_take_the_highest_first_and_equals_in_a_drawn_order():
    mask = torch.tensor([[0.1, 0.9, 0.5, 0.3]])
    removed, inserted = nested(mask, 2, 0)
    assert removed.tolist() == [[[1, 0, 0, 1]], [[0, 0, 0, 0]]]
    assert inserted.tolist() == [[[0, 0, 0, 0]], [[0, 1, 1, 0]]]
    equal = torch.zeros(1, 1000)
    first, second = (nested(equal, 2, seed)[0][0] for seed in (0, 1))
    assert first.sum() == second.sum() == 500
    assert not torch.equal(first, second)


def test_rearranged_values_follow_the_order():
    mask = torch.tensor([[1.0, 0.0], [0.5, 0.2]])
    order = torch.tensor([[4.0, 3.0], [2.0, 1.0]])
    assert rearranged(mask, order).tolist() == [[1.0, 0.5], [pytest.approx(0.2), 0.0]]


def test_sparseness_and_complexity_at_their_ends():
    flat, one = torch.ones(100), torch.zeros(100)
    one[3] = 1.0
    assert sparseness(flat) == pytest.approx(0, abs=1e-9)
    assert sparseness(one) == pytest.approx(0.99, abs=1e-4)
    assert complexity(flat) == pytest.approx(math.log(100))
    assert complexity(one) == 0
    assert complexity(torch.zeros(4)) == 0


def test_rank_correlation_is_scipys_ties_included():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randint(0, 5, (2, 400), generator=generator).double()
    assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert rank_correlation(a, torch.ones(400)) is None
    assert cosine(a, torch.zeros(400)) is None


def random_network(norm=True):
    torch.manual_seed(0)
    layers = [torch.nn.Conv1d(1, 6, 9, stride=2), torch.nn.ReLU(), torch.nn.Conv1d(6, 8, 5)]
    if norm:
        layers.insert(1, torch.nn.BatchNorm1d(6))
    layers += [torch.nn.ReLU(), torch.nn.AdaptiveAvgPool1d(1), torch.nn.Flatten()]
    layers += [torch.nn.Linear(8, 4)]
    return wrap(torch.nn.Sequential(*layers).eval(), RawFrontend(RATE), name="random")


def test_disorder_goes_from_the_layer_down_and_changes_nothing_else():
    network = random_network()
    features = network.card.frontend.analyse(low_then_high())
    groups = weight_layers(network, features, "4")
    assert groups == [("3",), ("0", "1")]
    before = {k: v.clone() for k, v in network.module.state_dict().items()}
    other = shuffled(network, ["3"], features, "4", seed=1)
    for name, value in network.module.state_dict().items():
        assert torch.equal(value, before[name])
        changed = other.module.state_dict()[name]
        assert torch.equal(changed.flatten().sort().values, value.flatten().sort().values)
        assert torch.equal(changed, value) == (not name.startswith("3.") or value.numel() < 2)


def test_normalisations_of_a_network_in_disorder_fit_the_sound():
    network = random_network()
    features = network.card.frontend.analyse(low_then_high())
    other = shuffled(network, ["0", "1"], features, "4", seed=0)
    with torch.no_grad():
        values = other.module[0](features.values[None])
    torch.testing.assert_close(other.module[1].running_mean, values.mean((0, 2)))
    assert not other.module.training


def test_the_curve_of_a_gradient_begins_at_one_and_falls():
    network = random_network(norm=False)
    features = network.card.frontend.analyse(low_then_high())
    mapper = Mapper(network, "3", GRADIENT.resolved(network.card.frontend))
    live = next(c for c in range(8) if mapper(features, [c], "whole")[0].any())
    curve = randomisation_curve(mapper, features, live, seeds=(0, 1, 2))
    assert curve.layers == ("2", "0")
    assert all(c is None or c < 0.9 for c in curve.cosines)


def test_deconvnet_on_a_network_without_pooling_does_not_depend_on_the_sound():
    network = random_network(norm=False)
    settings = Settings(method="deconvnet")
    strongest = network.module[:4](low_then_high().samples[:, None])[0].amax(1)
    result = auralise_unit(
        network, low_then_high(), f"3:{int(strongest.argmax())}", settings=settings
    )
    found = audit(network, result, settings)
    assert found.input_independent
    assert found.sensitivity.sound == pytest.approx(1, abs=1e-5)
    assert "hardly depends on the excerpt" in verdict(found)
    gradient = auralise_unit(
        network, low_then_high(), str(result.inversion.unit), settings=GRADIENT
    )
    assert audit(network, gradient, GRADIENT).sensitivity.sound < 0.999


def test_classes_are_compared_where_outputs_are_negative_too():
    network = two_bands()
    features = network.card.frontend.analyse(Waveform(tone(300)[None], RATE))
    mapper = Mapper(network, "4", Settings(method="guided").resolved(network.card.frontend))
    with torch.no_grad():
        assert float(network.module(features.values[None])[0, 1]) < 0
    (alike,) = class_cosines(mapper, features, [0, 1])
    assert -0.5 < alike < 0.5  # one looks for 300 Hz and the other for 3 kHz
    with pytest.raises(NetworkError, match="no dense layer"):
        class_cosines(replace(mapper, layer="1"), features, [0, 1])


def test_stretches_lie_in_the_same_way_to_both_places():
    from auralise.activations.receptive_field import ReceptiveField

    field = ReceptiveField((5,), (2.0,), (-2,), (10,), (0,))
    here, yonder = _aligned(field, (0,), (4,), (20,))
    assert (here, yonder) == ((slice(0, 3),), (slice(8, 11),))
    assert _flat((1, 2), torch.Size((3, 4))) == 6


def test_a_unit_that_does_not_answer_leaves_nothing_to_ask():
    network = two_bands()
    result = auralise_unit(network, low_then_high(), "1:2", settings=GRADIENT)
    found = audit(network, result, GRADIENT)
    assert found == Audit(Unit("1", 2), "gradient", "two bands", True, False)
    assert verdict(found).startswith("The unit does not answer")
    assert audit_rows(found) == []
    assert audit_figure(found) is None
    assert "<table" not in audit_panel(found, "a")


def test_silence_leaves_nothing_to_ask():
    network = two_bands()
    silence = Waveform(torch.zeros(1, RATE), RATE)
    for settings in (GRADIENT, Settings(method="mask", mask=MaskOptions(steps=1))):
        result = auralise_unit(network, silence, "1:0", settings=settings)
        assert audit(network, result, settings).inactive


def test_a_layer_of_one_unit_has_no_others():
    network = two_bands()
    module = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 16, bias=False), torch.nn.ReLU())
    with torch.no_grad():
        module[0].weight.fill_(0.1)
    network = wrap(module.eval(), RawFrontend(RATE), name="one")
    result = auralise_unit(network, low_then_high(), "1:0", settings=GRADIENT)
    found = audit(network, result, GRADIENT)
    assert found.feedback.others is found.feedback.above is found.sensitivity.units is None
    assert found.map.drop is None  # it has no outputs to be sure of
    assert verdict(found)
    assert encode_charts_png(audit_figure(found))[:4] == b"\x89PNG"


def test_weights_that_are_no_numbers_are_refused():
    network, source = two_bands(), low_then_high()
    result = auralise_unit(network, source, "1:0", settings=GRADIENT)
    with torch.no_grad():
        network.module[0].weight[1] = math.nan
    with pytest.raises(NetworkError, match="not finite; weights or input are broken"):
        audit(network, result, GRADIENT)


def test_a_network_of_one_length_is_not_run_through_on_another():
    network = two_bands()
    fixed = wrap(network.module, RawFrontend(RATE), seconds=1.0, name="fixed")
    assert runs_through(fixed, torch.zeros(1, RATE))
    assert not runs_through(fixed, torch.zeros(1, 2 * RATE))


def test_a_mask_is_audited_without_its_search_being_repeated_for_a_layer():
    network, source = two_bands(), low_then_high()
    settings = Settings(method="mask", mask=MaskOptions(steps=8))
    result = auralise_unit(network, source, "1:1", settings=settings)
    quick = quick_options(settings, units=16)
    assert (quick.others, quick.points) == (0, 0)
    found = audit(network, result, settings, quick)
    assert found.sensitivity is found.randomisation is None
    assert found.feedback.own > found.feedback.random_mask
    _, mask = part_of(result)
    assert mask.shape[0] > 100  # over frequencies, not samples


def test_numbers_of_an_audit_do_not_change():
    network, source = two_bands(), low_then_high()
    result = auralise_unit(network, source, "1:0", settings=GRADIENT)
    assert audit(network, result, GRADIENT) == audit(network, result, GRADIENT)


def test_bad_amounts_are_refused():
    with pytest.raises(InvalidValueError, match="steps must be at least 1, got 0"):
        AuditOptions(steps=0)


def test_rows_panel_and_curves_show_the_same(asked):
    _, _, found = asked
    rows = audit_rows(found)
    names = [row.question for row in rows]
    assert len(names) == len(set(names)) == 19
    panel = audit_panel(found, "here")
    assert verdict(found) in panel
    assert all(row.question.replace("'", "&#x27;") in panel for row in rows)
    assert len(audit_figure(found).charts) == 3


def test_the_command_prints_a_verdict_and_json():
    from auralise.cli.main import app

    asked = ["audit", "demo", "--model", "dieleman2014-raw-instruments", "--unit", "conv2:5"]
    done = CliRunner().invoke(app, [*asked, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["unit"] == "conv2:5"
    assert found["verdict"]
    assert set(found["feedback"]) >= {"own", "random_mask", "energy_mask"}


@pytest.fixture(scope="module")
def quantus():
    found = pytest.importorskip(
        "quantus", reason="needs quantus; see 'Agreement with Quantus' in docs/audit.md"
    )
    return sys.modules["quantus"] if found is None else found


@pytest.mark.slow
def test_shared_numbers_agree_with_quantus(quantus):
    import numpy as np

    maps = torch.rand(3, 1, 20, 30, generator=torch.Generator().manual_seed(0)).numpy() ** 4
    inputs, labels = np.ones_like(maps), np.zeros(3, dtype=int)
    more = {"model": None, "x_batch": inputs, "y_batch": labels}
    quiet = {"disable_warnings": True, "normalise": False, "abs": True}
    theirs = quantus.Sparseness(**quiet)(a_batch=maps.copy(), **more)
    assert [sparseness(torch.from_numpy(m)) for m in maps] == pytest.approx(theirs, abs=1e-6)
    theirs = quantus.Complexity(**quiet)(a_batch=maps.copy(), **more)
    assert [complexity(torch.from_numpy(m)) for m in maps] == pytest.approx(theirs, abs=1e-5)
    one, other = maps[0].flatten(), maps[1].flatten()
    assert rank_correlation(torch.from_numpy(one), torch.from_numpy(other)) == pytest.approx(
        quantus.similarity_func.correlation_spearman(one, other)
    )
    assert cosine(torch.from_numpy(one), torch.from_numpy(other)) == pytest.approx(
        1 - quantus.similarity_func.cosine(one, other),
        abs=1e-6,  # theirs is a distance
    )


@pytest.mark.slow
def test_deletion_agrees_with_quantus_pixel_flipping(quantus):
    """On a network that sums its input, which bins are taken away is all that matters."""
    import numpy as np

    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2, bias=False)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        module[1].weight.copy_(torch.rand(2, 64, generator=generator))
    inputs, mask = torch.rand(2, 1, 1, 8, 8, generator=generator)
    theirs = quantus.PixelFlipping(
        features_in_step=16, perturb_baseline=0.0, disable_warnings=True, normalise=False,
        abs=False, display_progressbar=False,
    )(
        model=module, x_batch=inputs.numpy(), y_batch=np.array([1]), a_batch=mask.numpy().copy(),
        softmax=False,
    )  # fmt: skip
    removed, _ = nested(mask[0, 0], 4, 0)
    with torch.no_grad():
        ours = module(inputs * removed[:, None])[:, 1]
    assert ours.tolist() == pytest.approx(np.asarray(theirs[0]).tolist(), abs=1e-5)
