"""How the published systems were trained, as far as it is known: one YAML file each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import yaml

from auralise.errors import InvalidValueError, UnknownNameError
from auralise.models.base import Option
from auralise.training.options import FitOptions, FusionOptions, PretrainOptions

T = TypeVar("T", FitOptions, PretrainOptions, FusionOptions)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A network with all that is needed to train it, but for the data.

    Attributes
    ----------
    name : str
    source : str
        Where it was published.
    architecture : str
        Name in `MODELS`.
    model : mapping of str to number, str or bool
        Options of the architecture.
    training : FitOptions
    published : tuple of str
        Fields of ``training`` whose value was published.
    from_memory : tuple of str
        Fields whose value was remembered of the paper and not read there. What stands in neither
        is a choice made here.
    pretraining : PretrainOptions or None
        How its layers are learned without labels first; None if they are not.
    fusion : FusionOptions or None
        How a support vector machine is fitted and fused with it afterwards; None if none is.
    """

    name: str
    source: str
    architecture: str
    model: Mapping[str, Option]
    training: FitOptions
    published: tuple[str, ...] = ()
    from_memory: tuple[str, ...] = ()
    pretraining: PretrainOptions | None = None
    fusion: FusionOptions | None = None


_STAGES = ("pretraining", "fusion")
_KEYS = ("source", "architecture", "model", "training", *_STAGES, "published", "from_memory")


def recipe_names() -> tuple[str, ...]:
    """Return the recipes in the package."""
    folder = files("auralise.training") / "recipe_files"
    names = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


def load_recipe(name: str) -> Recipe:
    """Return a recipe of the package, or of a YAML file of one's own.

    Parameters
    ----------
    name : str
        As `recipe_names` has it, or a path that ends in ``.yaml``.

    Raises
    ------
    UnknownNameError
        If there is no such recipe.
    InvalidValueError
        If the file is not YAML, has a key that means nothing, lacks one, or has a value that
        cannot be.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        if not path.is_file():
            raise InvalidValueError(f"there is no recipe {name}")
        return read_recipe(path.stem, path.read_text(encoding="utf-8"))
    if name not in recipe_names():
        raise UnknownNameError("recipe", name, recipe_names())
    file = files("auralise.training") / "recipe_files" / f"{name}.yaml"
    return read_recipe(name, file.read_text(encoding="utf-8"))


def read_recipe(name: str, text: str) -> Recipe:
    """Return the recipe that a YAML text holds; see `load_recipe` for errors."""
    try:
        plain = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidValueError(f"recipe {name!r} is not YAML: {error}") from error
    if not isinstance(plain, dict):
        raise InvalidValueError(f"recipe {name!r} must map keys to values")
    _check_keys(f"recipe {name!r}", plain, _KEYS)
    missing = [key for key in ("source", "architecture", "training") if key not in plain]
    if missing:
        raise InvalidValueError(f"recipe {name!r} lacks {', '.join(missing)}")
    training = plain["training"] or {}
    options = options_of(training, f"training of recipe {name!r}")
    marks = {key: tuple(plain.get(key) or ()) for key in ("published", "from_memory")}
    for key, marked in marks.items():
        _check_keys(f"{key} of recipe {name!r}", dict.fromkeys(marked), tuple(training))
    stages = {key: f"{key} of recipe {name!r}" for key in _STAGES if key in plain}
    return Recipe(
        name,
        str(plain["source"]),
        str(plain["architecture"]),
        dict(plain.get("model") or {}),
        options,
        marks["published"],
        marks["from_memory"],
        _stage("pretraining", plain, stages, PretrainOptions()),
        _stage("fusion", plain, stages, FusionOptions()),
    )


def _stage(key: str, plain: Mapping[str, Any], stages: Mapping[str, str], base: T) -> T | None:
    return changed(base, plain[key] or {}, stages[key]) if key in stages else None


def options_of(plain: Mapping[str, Any], what: str, base: FitOptions | None = None) -> FitOptions:
    """Return options with some fields changed, each checked against the field's kind.

    Parameters
    ----------
    plain : mapping
        Values by field of `FitOptions`.
    what : str
        For messages.
    base : FitOptions, optional
        What the other fields are taken from.

    Raises
    ------
    InvalidValueError
        If there is no such field, or its value is of another kind.
    """
    return changed(base or FitOptions(), plain, what)


def changed(base: T, plain: Mapping[str, Any], what: str) -> T:
    """Return options with some fields changed; see `options_of`, which is this for `FitOptions`."""
    _check_keys(what, plain, tuple(field.name for field in fields(base)))
    changes = {key: _as(key, value, getattr(base, key), what) for key, value in plain.items()}
    return replace(base, **changes)


def parse_option(text: str) -> tuple[str, Option]:
    """Return name and value of an option written ``name=value``.

    The value is a whole number, a number, true or false where it can be read as one.

    Raises
    ------
    InvalidValueError
        If it is not of that form.

    Examples
    --------
    >>> parse_option("width=0.25"), parse_option("norm=false"), parse_option("pooling=max")
    (('width', 0.25), ('norm', False), ('pooling', 'max'))
    """
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise InvalidValueError(f"an option is written name=value, as in width=0.25; got {text!r}")
    if value.lower() in ("true", "false"):
        return name, value.lower() == "true"
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value


def _as(key: str, value: Any, like: Any, what: str) -> Any:  # noqa: ANN401
    """Return ``value`` as the kind that ``like`` is, if nothing is lost by that."""
    if isinstance(like, tuple) and isinstance(value, list | tuple):
        return tuple(str(item) for item in value)
    if isinstance(like, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if key == "standardise" and (value is None or isinstance(value, bool)):
        return value
    if type(value) is not type(like):
        raise InvalidValueError(
            f"{what}: {key} must be a {type(like).__name__}, got {value!r} ({type(value).__name__})"
        )
    return value


def _check_keys(what: str, plain: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(str(key) for key in plain if key not in known)
    if unknown:
        raise InvalidValueError(
            f"{what} has {unknown[0]!r}, which means nothing; known are {', '.join(known)}"
        )
