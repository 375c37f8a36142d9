"""``auralise methods``: what one may choose on the way from a unit to its sound."""

from typing import Annotated, Any

import typer


def methods(
    describe: Annotated[
        str | None, typer.Option(metavar="NAME", help="Print what one of them does.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List inversion methods, sonifications, phase methods and level policies."""
    from auralise.audio.levels import LEVELS
    from auralise.cli.console import print_json, print_table
    from auralise.errors import UnknownNameError
    from auralise.frontends.sonification import SONIFICATIONS
    from auralise.inversion import INVERTERS
    from auralise.masks import MASK, find_masks
    from auralise.phase import PHASE_METHODS

    tables: dict[str, Any] = {
        "inversion": INVERTERS,
        "search": {MASK: find_masks},
        "sonification": SONIFICATIONS,
        "phase": PHASE_METHODS,
        "level": LEVELS,
    }
    rows = [
        (kind, name, first_line(entry))
        for kind, table in tables.items()
        for name, entry in sorted(table.items())
    ]
    if describe is not None:
        found = [row for row in rows if row[1] == describe]
        if not found:
            raise UnknownNameError("method", describe, [row[1] for row in rows])
        rows = found
    if json:
        print_json([dict(zip(("kind", "name", "summary"), row, strict=True)) for row in rows])
    else:
        print_table(("kind", "name", "what it does"), rows)


def first_line(entry: object) -> str:
    """Return the first line of something's docstring."""
    return (entry.__doc__ or "").strip().splitlines()[0]
