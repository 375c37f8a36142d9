"""Names that users pick from: methods, phases, models, data sets."""

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from auralise.errors import UnknownNameError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A read-mostly mapping from name to entry that refuses duplicates.

    Parameters
    ----------
    kind : str
        What the entries are, in the singular; used in error messages.

    Examples
    --------
    >>> METHODS: Registry[Callable[[float], float]] = Registry("method")
    >>> @METHODS.register("halve")
    ... def halve(x: float) -> float:
    ...     return x / 2
    >>> METHODS["halve"](4.0)
    2.0
    >>> METHODS["have"]
    Traceback (most recent call last):
    ...
    auralise.errors.UnknownNameError: no method named 'have'; did you mean 'halve'?
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that files its argument under ``name`` and hands it back.

        Raises
        ------
        ValueError
            If the name is taken.
        """

        def file(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"a {self._kind} named {name!r} is already registered")
            self._entries[name] = entry
            return entry

        return file

    def __getitem__(self, name: str) -> T:
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownNameError(self._kind, name, self._entries) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
