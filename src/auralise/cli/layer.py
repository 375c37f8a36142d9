"""``auralise layer``: the most active units of one layer in one song."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auralise.cli import options
from auralise.cli.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from auralise.cli.songs import Request


def layer(
    song: Annotated[
        str, typer.Argument(help="Sound file: WAV, FLAC, OGG, Opus or MP3; or 'demo'.")
    ],
    layer: Annotated[str, typer.Option(help="Name of a layer, see 'auralise layers'.")],
    top: Annotated[int, typer.Option(min=1, help="How many units, the most active first.")] = 16,
    out: options.Out = Path("auralisations"),
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
    level: options.Level = "source-rms",
    start: options.Start = 0.0,
    seconds: options.Seconds = None,
    allow_truncated: options.AllowTruncated = False,
    audit: options.Audit = True,
    force: options.Force = False,
    json: options.Json = False,
) -> None:
    """Invert the most active units of a layer and write a folder for each, under one report.

    A run that was interrupted goes on where it stopped when the same command is given again.
    """
    from auralise.cli.songs import Request

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
    request = Request(song, model, "", start, seconds, settings, level, allow_truncated)
    run(request, layer, top, out, force, json, audit)


def run(
    request: "Request",
    layer: str,
    top: int,
    out: Path,
    force: bool,
    json: bool,
    audit: bool = True,
) -> None:
    """Make the collection that was asked for and print what was found."""
    from auralise.audit import audit as ask
    from auralise.audit import quick_options
    from auralise.auralisation import strongest_units
    from auralise.cli.console import note, print_json, progress_bar
    from auralise.masks import MASK
    from auralise.output.bundle import write_collection
    from auralise.resuming import Unfinished, resume_layer

    network, excerpt = request.begin(out, force)
    units = strongest_units(network, excerpt.waveform, layer, top)
    channels = [unit.channel for unit, _ in units]
    results = []
    way = network, excerpt.waveform, layer
    unfinished = Unfinished.of(out, *way, request.settings)
    if done := unfinished.done(channels):
        note(f"going on with an interrupted run: {done} of {len(channels)} units are finished")
    with progress_bar() as bar:
        for result in resume_layer(
            *way,
            channels,
            unfinished,
            settings=request.settings,
            report=lambda done, total: bar(f"searching in {layer}", done, total),
        ):
            results.append(result)
            if request.settings.method != MASK:
                bar(f"inverting {layer}", len(results), len(channels), str(result.inversion.unit))
        audits = {}
        quick = quick_options(request.settings, len(results))
        for result in results if audit else ():
            audits[result.inversion.unit] = ask(network, result, request.settings, quick)
            bar(f"auditing {layer}", len(audits), len(results), str(result.inversion.unit))
    write_collection(
        out,
        results,
        network,
        excerpt.song,
        settings=request.settings,
        level=request.level,
        force=force,
        audits=audits,
    )
    unfinished.clear()
    if json:
        from auralise.output.manifest import read_manifest

        print_json({**read_manifest(out), "folder": str(out)})
        return
    show(out, channels, layer)


def show(out: Path, channels: list[int], layer: str) -> None:
    """Print a row per unit and where the report is."""
    from auralise.activations import Unit
    from auralise.cli.console import print_table
    from auralise.cli.tables import RESULT_HEAD, result_row
    from auralise.output.bundle import folder_of
    from auralise.output.manifest import read_manifest

    rows = []
    for channel in channels:
        found: dict[str, Any] = read_manifest(out / folder_of(Unit(layer, channel)))
        level = found["levels"]["auralised"]
        rows.append(result_row(found["unit"], found["result"]["flags"], found["scores"], level))
    print_table(RESULT_HEAD, rows)
    typer.echo(f"report: {out / 'report.html'}")
