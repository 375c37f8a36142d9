"""``auralise tuning``: which frequencies the units of a layer answer to."""

from pathlib import Path
from typing import Annotated, Any

import typer

from auralise.cli import options


def tuning(
    model: Annotated[str, typer.Argument(help="Name of a network, or a folder of one.")],
    layer: Annotated[str, typer.Option(help="Name of a layer, see 'auralise layers'.")],
    out: options.Out = Path("tuning"),
    stimulus: Annotated[
        str, typer.Option(help="What is played: tone, harmonic or noise.")
    ] = "tone",
    frequencies: Annotated[
        int, typer.Option(min=3, help="How many, at even steps on the log axis.")
    ] = 200,
    low: Annotated[float, typer.Option(help="Lowest frequency in Hz.")] = 27.5,
    high: Annotated[
        float | None,
        typer.Option(help="Highest in Hz; 0.95 of half the sample rate if not given."),
    ] = None,
    level: Annotated[
        list[float] | None,
        typer.Option(help="In dBFS, may be repeated; the highest is shown; -20 if not given."),
    ] = None,
    reduction: Annotated[
        str, typer.Option(help="Of a unit's map to one number: max or mean.")
    ] = "max",
    variants: Annotated[
        int | None,
        typer.Option(help="Starting phases, or seeds of noise; as the network needs if not given."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many units to print, sharpest first.")] = 16,
    ascent: Annotated[
        int,
        typer.Option(min=0, help="Also search for the sounds that so many units answer to most."),
    ] = 0,
    force: options.Force = False,
    json: options.Json = False,
) -> None:
    """Play tones to a layer and write what each unit answers to, as table, arrays and figure."""
    from auralise.cli.console import print_json, progress_bar, setup_torch
    from auralise.filters.ascent import ascend
    from auralise.filters.sweeps import frequency_grid
    from auralise.filters.tuning import tune
    from auralise.filters.tuning_curves import tuning_curves
    from auralise.models import load_model
    from auralise.output.folders import check_folder
    from auralise.output.tuning_bundle import tuning_manifest, tuning_rows, write_tuning

    setup_torch()
    check_folder(out, force=force)
    network = load_model(model)
    grid = frequency_grid(network.card.frontend.sample_rate, frequencies, low, high)
    with progress_bar() as bar:
        found = tune(
            network,
            layer,
            stimulus=stimulus,
            frequencies=grid,
            levels_db=sorted(set(level or [-20.0])),
            reduction=reduction,  # type: ignore[arg-type]
            variants=variants,
            progress=bar,
        )
        curves = tuning_curves(found)
        units = curves.sharpest()[:ascent]
        climbed = (
            ascend(network, layer, units, level_db=curves.level_db, progress=bar) if units else None
        )
    write_tuning(out, found, curves, network.card, ascent=climbed, force=force)
    rows = tuning_rows(found, curves, climbed)
    manifest = tuning_manifest(found, curves, network.card, climbed)
    if json:
        print_json({**manifest, "rows": rows, "folder": str(out)})
        return
    show([rows[unit] for unit in curves.sharpest()[:top]])
    typer.echo(
        f"{manifest['dead']} of {manifest['units']} units dead, "
        f"{manifest['untuned']} without a best frequency"
    )
    if climbed is not None:
        typer.echo(f"ascent: {int(climbed.moved.sum())} of {len(units)} searches left the noise")
        if (out / "ascent.html").exists():
            typer.echo(f"figure: {out / 'ascent.html'}")
    typer.echo(f"figure: {out / 'figure.html'}")


def show(rows: list[dict[str, Any]]) -> None:
    """Print a row per unit."""
    from auralise.cli.console import print_table

    columns = {
        "best_hz": "best (Hz)",
        "width_octaves": "width (oct)",
        "selectivity": "selectivity",
        "height": "height",
        "octave": "at 2x",
        "twelfth": "at 3x",
        "level_exponent": "exponent",
        "click": "click",
        "direction": "direction",
        **({"ascent_hz": "ascent (Hz)"} if rows and "ascent_hz" in rows[0] else {}),
    }
    table = []
    for row in rows:
        cells = {name: "-" if row[name] is None else f"{row[name]:.3g}" for name in columns}
        for name in ("best_hz", "ascent_hz"):
            if row.get(name) is not None:
                cells[name] = f"{row[name]:.1f}"
        if row["width_octaves"] is not None and not row["resolved"]:
            cells["width_octaves"] += " (grid)"
        table.append((row["unit"], *cells.values()))
    print_table(("unit", *columns.values()), table)
