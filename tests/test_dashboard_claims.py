"""The page Claims: without a browser, and in Chromium on a network that is quick to try."""

import time

import pytest

pytest.importorskip("dash", reason="needs the extra 'dashboard'")

from auralise.dashboards.pages import claims
from auralise.dashboards.service import Service
from auralise.dashboards.trials import Trial

from auralise.claims import CLAIMS
from auralise.errors import UnknownNameError

RAW = "dieleman2014-raw-instruments"


@pytest.fixture
def service(tmp_path, monkeypatch):
    """A service for which claims are quick: two controls, and two claims that do not need more."""
    monkeypatch.setattr("auralise.dashboards.trials.TWINS", 2)
    kept = {name: CLAIMS[name] for name in ("mel", "onsets")}
    monkeypatch.setattr(CLAIMS, "_entries", kept)
    made = Service(tmp_path)
    yield made
    made.close()


def finished(service, job):
    end = time.monotonic() + 60
    while not service.jobs.state(job["id"]).ended:
        assert time.monotonic() < end
        time.sleep(0.05)
    return service.jobs.state(job["id"])


def texts(component):
    """All text of a component, one after another."""
    if isinstance(component, (list, tuple)):
        return " ".join(texts(part) for part in component)
    if component is None or isinstance(component, (str, int, float)):
        return str(component or "")
    return texts(getattr(component, "children", None))


def test_nothing_is_tried_before_it_is_asked_for(service):
    values, problem, model = claims.view_from(service, f"?model={RAW}")
    assert (problem, model) == (None, RAW)
    assert claims.job_of(service, values, None, asked=False) is None
    assert claims.state_of(service, None, None)[3:] == (True, True, None)
    assert "Nothing has been tried" in texts(claims.detail_of(service, None, "", None))


@pytest.mark.slow
def test_claims_are_tried_and_shown_with_numbers_sounds_and_figure(service):
    values, _, _ = claims.view_from(service, f"?model={RAW}")
    job = claims.job_of(service, values, None, asked=True)
    assert isinstance(finished(service, job).result, Trial)
    share, said, table, off, no_cancel, done = claims.state_of(service, job, None)
    assert (share, said, off, no_cancel, done) == (100, "", True, True, job)
    assert "not tried" in texts(table)
    shown = claims.detail_of(service, done, "?claim=mel", "dark")
    assert "claimed above" in texts(shown)
    kinds = [type(part).__name__ for part in shown]
    assert "Div" in kinds
    shown = claims.detail_of(service, done, "?claim=onsets", None)
    assert "It needs a spectrogram" in texts(shown)
    again = claims.job_of(service, values, job, asked=True)
    assert again == job
    assert claims.job_of(service, values, None, asked=False) == job  # on the next visit


def test_an_unknown_claim_is_a_notice(service):
    values, problem, _ = claims.view_from(service, f"?model={RAW}&claim=kee")
    assert values is None
    assert "no claim named" in texts(problem)
    with pytest.raises(UnknownNameError):
        Trial(RAW, ()).result("kee")


@pytest.mark.parametrize("job", [None, "x", 3, {"id": 4}, {"id": "gone", "model": RAW}, []])
def test_what_a_request_says_of_a_job_is_not_trusted(service, job):
    answer = claims.state_of(service, job, None)
    assert answer[3] is True
    claims.detail_of(service, job, "?claim=mel", None)
    assert claims.job_of(service, job, job, asked=False) in (None, claims.no_update)
