"""The names at the top of the package."""

import pytest

import auralise


@pytest.mark.parametrize("name", sorted(set(auralise.__all__) - {"__version__"}))
def test_a_public_name_is_what_its_module_calls_so(name):
    """Catches a name in the table that its module does not have, or a type checker's other home."""
    value = getattr(auralise, name)
    assert value.__name__ == name
    assert value.__module__.startswith("auralise.")


def test_the_public_names_are_listed():
    assert set(auralise.__all__) <= set(dir(auralise))


def test_a_name_that_is_not_there_is_refused():
    with pytest.raises(AttributeError, match="module 'auralise' has no attribute 'wrapp'"):
        _ = auralise.wrapp
