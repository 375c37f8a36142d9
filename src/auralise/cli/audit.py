"""``auralise audit``: whether what is heard of a unit can be believed."""

from typing import Annotated

import typer

from auralise.cli import options
from auralise.cli.defaults import DEFAULT_MODEL


def audit(
    song: Annotated[
        str, typer.Argument(help="Sound file: WAV, FLAC, OGG, Opus or MP3; or 'demo'.")
    ],
    unit: Annotated[str, typer.Option(help="Layer and channel, as in conv3:17.")],
    model: options.Model = DEFAULT_MODEL,
    method: options.Method = "guided",
    at: options.At = "peak",
    sonification: options.Sonification = None,
    part: options.Part = None,
    phase: options.Phase = None,
    iterations: options.Iterations = None,
    seed: options.Seed = None,
    activations: options.Activations = "raise",
    dead_windows: options.DeadWindows = "first",
    start: options.Start = 0.0,
    seconds: options.Seconds = None,
    allow_truncated: options.AllowTruncated = False,
    json: options.Json = False,
) -> None:
    """Ask what a unit's map and sound allow one to say, and compare with what chance reaches."""
    from dataclasses import asdict

    from auralise.audit import audit as ask
    from auralise.audit import verdict
    from auralise.auralisation import auralise_unit
    from auralise.cli.console import note, print_json, print_table, progress_bar, setup_torch
    from auralise.cli.songs import Request, read_excerpt
    from auralise.output.audit_rows import AUDIT_HEAD, audit_rows

    settings = options.make_settings(
        method=method,
        at=at,
        sonification=sonification,
        part=part,
        phase=phase,
        iterations=iterations,
        seed=seed,
        activations=activations,
        dead_windows=dead_windows,
    )
    request = Request(song, model, unit, start, seconds, settings, "source-rms", allow_truncated)
    setup_torch()
    network = request.network()
    excerpt = read_excerpt(network, request)
    for text in excerpt.song.notes:
        note(f"{song}: {text}")
    with progress_bar() as bar:
        result = auralise_unit(
            network,
            excerpt.waveform,
            unit,
            settings=settings,
            report=lambda done, total: bar(f"searching for {unit}", done, total),
        )
        found = ask(
            network,
            result,
            settings,
            report=lambda done, total: bar(f"auditing {unit}", done, total),
        )
    if json:
        print_json({**asdict(found), "unit": unit, "song": song, "verdict": verdict(found)})
        return
    rows = [row.cells for row in audit_rows(found)]
    if rows:
        print_table(AUDIT_HEAD, rows)
    typer.echo(verdict(found))
