"""``auralise demo``: the whole way on the song and the network that come with the package."""

import sys
from pathlib import Path

import typer

from auralise.cli import options
from auralise.cli.defaults import DEFAULT_LAYER, DEFAULT_MODEL

UNITS = 3


def demo(
    out: options.Out = Path("auralise-demo"),
    force: options.Force = False,
    json: options.Json = False,
) -> None:
    """Let the three most active units of one layer be heard in ten seconds of real music."""
    from auralise.cli import layer
    from auralise.cli.songs import DEMO, Request

    settings = options.make_settings(at="whole", activations="raise", dead_windows="first")
    request = Request(DEMO, DEFAULT_MODEL, "", 0.0, 10.0, settings, "source-rms", False)
    layer.run(request, DEFAULT_LAYER, UNITS, out, force, json)
    if not json:
        typer.echo("music: Kevin MacLeod, Vibe Ace, CC BY 3.0; open the report in a browser")
        offer_dashboard()


def offer_dashboard() -> None:
    """Say where to go on; where somebody sits at the terminal, go there if they like."""
    from auralise.cli import dashboard

    typer.echo(
        f"every unit, and songs of your own: {sys.argv[0]} dashboard, "
        f"then http://127.0.0.1:{dashboard.PORT}/ in a browser"
    )
    if sys.stdin.isatty() and sys.stdout.isatty() and typer.confirm("start it now?", default=True):
        typer.echo("starting, some seconds ...")
        dashboard.run(port=dashboard.free_port(), show=True)
