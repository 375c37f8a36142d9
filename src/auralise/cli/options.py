"""Options that ``unit`` and ``layer`` share, and the settings they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from auralise.settings import Settings

Model = Annotated[str, typer.Option(help="Name of a network, or a folder of one.")]
Method = Annotated[str, typer.Option(help="Inversion: see 'auralise methods'.")]
At = Annotated[
    str,
    typer.Option(help="Place: peak, whole, SECONDS of the excerpt, or SECONDS,HERTZ."),
]
Sonification = Annotated[
    str | None,
    typer.Option(help="mask, magnitude or input; see 'auralise methods'."),
]
Part = Annotated[str | None, typer.Option(help="Of the signed map: positive, negative, absolute.")]
Phase = Annotated[str | None, typer.Option(help="Phase method: see 'auralise methods'.")]
Iterations = Annotated[int | None, typer.Option(help="Of the phase method, if it iterates.")]
Seed = Annotated[int | None, typer.Option(help="Of the phase method, if it is random.")]
Activations = Annotated[
    str, typer.Option(help="Activations that are no ReLU: raise, gradient or rectify.")
]
DeadWindows = Annotated[str, typer.Option(help="Max-pooling windows of equals: first or block.")]
Level = Annotated[str, typer.Option(help="Level of the unit's sound: source-rms, peak or none.")]
Start = Annotated[float, typer.Option(help="Where the excerpt begins, in seconds.")]
Seconds = Annotated[float | None, typer.Option(help="Its length; the network's own if not given.")]
AllowTruncated = Annotated[
    bool, typer.Option("--allow-truncated", help="Take what is there of a file cut short.")
]
Out = Annotated[Path, typer.Option(help="Folder to write; it must not exist.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an older result in that folder.")]
Audit = Annotated[
    bool, typer.Option("--audit/--no-audit", help="Ask what can be believed, for the report.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def make_settings(
    *,
    at: str,
    activations: str,
    dead_windows: str,
    **named: Any,  # noqa: ANN401
) -> Settings:
    """Return the settings that options stand for.

    Raises
    ------
    InvalidValueError
        If a word is not one of those that an option takes.
    """
    from auralise.errors import InvalidValueError
    from auralise.inversion import InversionOptions
    from auralise.masks import MaskOptions, native_bfloat16
    from auralise.positions import parse_at
    from auralise.settings import Settings

    for name, value, known in (
        ("--activations", activations, ("raise", "gradient", "rectify")),
        ("--dead-windows", dead_windows, ("first", "block")),
    ):
        if value not in known:
            raise InvalidValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    options = InversionOptions(activations, dead_windows)  # type: ignore[arg-type]
    mask = MaskOptions(bfloat16=native_bfloat16())
    return Settings(at=parse_at(at), options=options, mask=mask, **named)
