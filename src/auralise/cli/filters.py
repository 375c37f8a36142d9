"""``auralise filters``: what the filters of a network's first layer are tuned to."""

from pathlib import Path
from typing import Annotated, Any

import typer

from auralise.cli import options


def filters(
    model: Annotated[str, typer.Argument(help="Name of a network, or a folder of one.")],
    out: options.Out = Path("filters"),
    force: options.Force = False,
    json: options.Json = False,
) -> None:
    """Analyse a first layer beside untrained ones and write its numbers and figures."""
    from auralise.cli.console import print_json, setup_torch
    from auralise.models import load_model
    from auralise.output.filter_bundle import filter_manifest, study_filters, write_filters
    from auralise.output.folders import check_folder
    from auralise.output.parquet import LEFT_OUT

    setup_torch()
    check_folder(out, force=force)
    study = study_filters(load_model(model))
    write_filters(out, study, force=force)
    if json:
        rows = [dict(row) for row in study.rows]
        print_json({**_finite(filter_manifest(study)), "rows": rows, "folder": str(out)})
        return
    show([dict(row) for row in study.summary])
    typer.echo(study.sentence)
    for note in study.notes:
        typer.echo(f"note: {note}")
    if not (out / "filters.parquet").exists():
        typer.echo(f"note: {LEFT_OUT}")
    if study.page:
        typer.echo(f"to play: {out / 'report.html'}")
    typer.echo(f"figure: {out / 'figure.html'}")


def show(rows: list[dict[str, Any]]) -> None:
    """Print the summary: counts, frequencies in Hz, shares in percent."""
    from auralise.cli.console import print_table

    heads = {"median_hz": "median (Hz)", "below_2_khz": "below 2 kHz", "low": "from", "high": "to"}
    table = []
    for row in rows:
        cells = dict(row)
        for name, value in row.items():
            if name in ("below_2_khz", "share", "low", "high", "untrained"):
                cells[name] = f"{value:.1%}"
            elif name == "median_hz":
                cells[name] = "-" if value is None else f"{value:.0f}"
        table.append([str(cell) for cell in cells.values()])
    print_table([heads.get(name, name) for name in rows[0]], table)


def _finite(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest as its file has it: null where a number is infinite."""
    import json

    from auralise.output.manifest import to_json

    plain: dict[str, Any] = json.loads(to_json(manifest))
    return plain
