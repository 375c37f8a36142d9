"""``auralise unit``: one unit's sound in one song, as a bundle."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auralise.cli import options
from auralise.cli.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from auralise.cli.songs import Request


def unit(
    song: Annotated[
        str | None,
        typer.Argument(help="Sound file: WAV, FLAC, OGG, Opus or MP3; or 'demo'."),
    ] = None,
    unit: Annotated[str | None, typer.Option(help="Layer and channel, as in conv3:17.")] = None,
    manifest: Annotated[
        Path | None, typer.Option("--from", help="Make the bundle of this manifest again.")
    ] = None,
    out: options.Out = Path("auralisation"),
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
    """Invert one unit's answer to a song and write its sound, figures, report and manifest."""
    from auralise.cli.songs import Request

    if manifest is not None:
        if song is not None or unit is not None:
            raise typer.BadParameter("a manifest names song and unit; give none with --from")
        request = Request.of_manifest(manifest, allow_truncated)
    else:
        if song is None or unit is None:
            raise typer.BadParameter("give a song and --unit, or --from with a manifest")
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
        request = Request(song, model, unit, start, seconds, settings, level, allow_truncated)
    run(request, out, force, json, audit)


def run(request: "Request", out: Path, force: bool, json: bool, audit: bool = True) -> None:
    """Make the bundle that was asked for and print what was found."""
    from auralise.audit import audit as ask
    from auralise.audit import quick_options
    from auralise.auralisation import auralise_unit
    from auralise.cli.console import print_json, progress_bar
    from auralise.inversion.progress import reporting
    from auralise.output.bundle import write_bundle
    from auralise.output.manifest import read_manifest

    network, excerpt = request.begin(out, force)
    with progress_bar() as bar, reporting(partial(bar, request.settings.method)):
        result = auralise_unit(
            network,
            excerpt.waveform,
            request.unit,
            settings=request.settings,
            report=lambda done, total: bar(f"searching for {request.unit}", done, total),
        )
        found = None
        if audit:
            found = ask(
                network,
                result,
                request.settings,
                quick_options(request.settings),
                report=lambda done, total: bar("auditing", done, total),
            )
    write_bundle(
        out,
        result,
        network,
        excerpt.song,
        settings=request.settings,
        level=request.level,
        force=force,
        audit=found,
    )
    written = read_manifest(out)
    if json:
        print_json({**written, "folder": str(out)})
        return
    show(written, out)


def show(manifest: dict[str, Any], out: Path) -> None:
    """Print the numbers of one unit and where its report is."""
    from auralise.cli.console import print_table
    from auralise.cli.tables import RESULT_HEAD, result_row

    levels, result = manifest["levels"]["auralised"], manifest["result"]
    row = result_row(manifest["unit"], result["flags"], manifest["scores"], levels)
    print_table(RESULT_HEAD, [row])
    place = result["place"]
    if place is not None:
        where = f"strongest from {place['start']:.2f} s to {place['end']:.2f} s"
        if place["low"] is not None:
            where += f", {place['low']:.0f} Hz to {place['high']:.0f} Hz"
        typer.echo(where)
    if manifest["audit"] is not None:
        typer.echo(manifest["audit"]["verdict"])
    if manifest["settings"]["method"] != "mask":
        typer.echo("to hear what sets the unit apart from its layer: --method mask")
    typer.echo(f"report: {out / 'report.html'}")
