"""The pages Layers and About, without a browser."""

import numpy as np
import pytest

pytest.importorskip("dash", reason="needs the extra 'dashboard'")

from auralise.dashboards.activity import Activity
from auralise.dashboards.jobs import JobState
from auralise.dashboards.networks import Layer
from auralise.dashboards.pages import about, layers
from auralise.dashboards.service import Service
from auralise.dashboards.studies import LayerReach
from auralise.dashboards.widgets import architecture


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    service = Service(tmp_path_factory.mktemp("dashboard"))
    yield service
    service.close()


def texts(component):
    """Return all strings of a component, in the order of reading."""
    if component is None or isinstance(component, (str, int)):
        return [] if component is None else [str(component)]
    if isinstance(component, (list, tuple)):
        return [text for part in component for text in texts(part)]
    return texts(getattr(component, "children", None))


def rows_of(table):
    return table.children[1].children


def test_a_row_says_what_a_layer_is_and_sees():
    near, far = (Layer(name, "Conv2d", 2, (2, 4, 8), 10) for name in ("near", "far"))
    reach = {"near": LayerReach(near, 0.01, 0.01, 100.0), "far": LayerReach(far, 1.0, 0.1, 4000.0)}
    values = np.array([0.0, 0.5], dtype=np.float32)
    activities = {"near": Activity("near", values, values, values, None)}
    table = architecture.layers_table([near, far], activities, reach, "far")
    first, second = rows_of(table)
    said = [*texts(first)]
    assert said == ["near", "Conv2d", "2", "4 x 8", "10 ms", "100 Hz", "1 of 2", "25%", "listen"]
    assert "1000 ms" in texts(second)
    assert "4 kHz" in texts(second)
    widths = [row.children[5].children.children.style["width"] for row in (first, second)]
    assert widths == ["8%", "100%"]
    assert getattr(second, "aria-current") == "true"


def test_the_diagram_has_all_layers_of_the_network(service):
    values, problem, model, _ = layers.view_from(service, "?layer=conv2")
    assert problem is None
    (chain, table, _), _ = layers.diagram_of(service, values)
    names = [texts(row)[0] for row in rows_of(table.children)]
    assert names == [layer.name for layer in service.layers(model)]
    assert [texts(box)[0] for box in chain.children] == names


@pytest.mark.parametrize("search", ["?layer=conv99", "?model=x", "?start=nan"])
def test_an_address_that_leads_nowhere_is_answered_in_words(service, search):
    values, problem, *_ = layers.view_from(service, search)
    assert values is None
    assert problem.role == "alert"
    assert layers.diagram_of(service, values) == (None, True)


def test_a_job_says_where_it_is():
    assert JobState("a", "running", "tones", 3, 10).words == "tones, 3 of 10…"
    assert JobState("a", "waiting").words == "waiting for its turn…"
    assert JobState("a", "stopped").words == "Stopped."
    assert JobState("a", "failed", error="why").words == "why"


def test_a_job_that_is_gone_is_said_and_the_clock_stops(service):
    value, said, figure, clock_off, cancel_off = layers.state_of(service, "gone", "light")
    assert (value, figure, clock_off, cancel_off) == (0, None, True, True)
    assert "not known any more" in said


def test_the_card_of_every_network_is_told_in_full(service):
    said = " ".join(texts(about.layout(service)))
    for name in service.models:
        card = service.card(name)
        assert card["guarantee"] in said
        assert card["licence"] in said
        assert card["sha256"] in said
    assert "Kevin MacLeod" in said
    assert "CC BY 3.0" in said


def test_a_network_without_scores_has_no_accuracy():
    assert about.accuracy_in_words({}) == ""
    assert "Accuracy" not in dict(about.facts_of({"architecture": "x", "licence": "MIT"}))
