"""Whether a request to the callbacks is one that a page of the app could have sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from auralise.errors import AuraliseError


class BadCallbackError(AuraliseError, ValueError):
    """A request does not fit any callback of the app."""


def check_callback(body: object, known: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a request that no page of the app sends.

    Values are not looked at: what a callback is given may still be of any type.

    Parameters
    ----------
    body : object
        From JSON.
    known : mapping
        The app's ``callback_map``.

    Raises
    ------
    BadCallbackError
        If the callback does not exist, or its inputs, state or outputs are others.

    Examples
    --------
    >>> check_callback({"output": "a.b"}, {})
    Traceback (most recent call last):
    ...
    auralise.dashboards.callbacks.BadCallbackError: this page has no such part; load it again
    """
    if not isinstance(body, dict) or not isinstance(body.get("output"), str):
        raise BadCallbackError("a request names its output")
    if body["output"] not in known:
        raise BadCallbackError("this page has no such part; load it again")
    entry = known[body["output"]]
    for name in ("inputs", "state"):
        _check_parts(body.get(name, []), entry.get(name, []))
    _check_outputs(body.get("outputs"), body["output"])
    changed = body.get("changedPropIds", [])
    if not (isinstance(changed, list) and all(isinstance(part, str) for part in changed)):
        raise BadCallbackError("changedPropIds are names of properties")


def _check_parts(given: object, declared: list[Mapping[str, Any]]) -> None:
    """Compare what was sent with what the callback was registered with."""
    if not isinstance(given, list) or len(given) != len(declared):
        raise BadCallbackError("a request has the inputs and the state of its callback")
    for part, expected in zip(given, declared, strict=True):
        wildcard = str(expected["id"]).startswith("{")
        for entry in part if wildcard and isinstance(part, list) else [part]:
            if not _matches(entry, expected, wildcard):
                raise BadCallbackError("a request has the inputs and the state of its callback")


def _matches(entry: object, expected: Mapping[str, Any], wildcard: bool) -> bool:
    if not isinstance(entry, dict) or entry.get("property") != expected["property"]:
        return False
    if not wildcard:
        return bool(entry.get("id") == expected["id"])
    return _fits(entry.get("id"), json.loads(str(expected["id"])))


def _fits(given: object, pattern: Mapping[str, Any]) -> bool:
    """Say whether an id of several parts has the parts of a pattern, all of them plain."""
    return (
        isinstance(given, dict)
        and given.keys() == pattern.keys()
        and all(isinstance(value, (str, int, float, bool)) for value in given.values())
        and all(isinstance(p, list) or given[key] == p for key, p in pattern.items())
    )


def _check_outputs(outputs: object, output: str) -> None:
    """See that every output has an id and a property, and that there are as many as are named."""
    several = output.startswith("..")
    names = output.removeprefix("..").removesuffix("..").split("...") if several else [output]
    listed = outputs if several else [outputs]
    if not isinstance(listed, list) or len(listed) != len(names):
        raise BadCallbackError("a request has the outputs of its callback")
    for part, name in zip(listed, names, strict=True):
        pattern = name.startswith("{")
        if isinstance(part, list) and not pattern:
            raise BadCallbackError("a request has the outputs of its callback")
        for entry in part if isinstance(part, list) else [part]:
            if not (
                isinstance(entry, dict)
                and isinstance(entry.get("property"), str)
                and isinstance(entry.get("id"), (str, dict))
            ):
                raise BadCallbackError("every output has an id and a property")
            if not pattern and f"{entry['id']}.{entry['property']}" != name:
                raise BadCallbackError("a request has the outputs of its callback")
