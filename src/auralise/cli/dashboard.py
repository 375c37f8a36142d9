"""``auralise dashboard``: look at a network, click, listen, in a browser."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from auralise.cli.options import Force

app = typer.Typer(
    help="Serve the web dashboard until it is interrupted, or write one of its pages to a file.",
    invoke_without_command=True,
)

PORT = 8050

Models = Annotated[
    list[Path] | None,
    typer.Option(help="Folder of networks to offer beside the package's; may be repeated."),
]


@app.callback()
def dashboard(
    context: typer.Context,
    model: Models = None,
    atlas: Annotated[
        str | None, typer.Option(help="Folder or URL of an atlas; gives two pages more.")
    ] = None,
    root: Annotated[
        str | None, typer.Option(help="Where the atlas's collection has moved to.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 for any that is free.")] = PORT,
) -> None:
    """Serve the web dashboard until it is interrupted, or write one of its pages to a file."""
    if context.invoked_subcommand is not None:
        context.obj = model
        return
    run(model or (), host, port, atlas=atlas, root=root)


@app.command()
def export(
    context: typer.Context,
    address: Annotated[
        str,
        typer.Argument(help="As the browser shows it: /listen?layer=conv3&unit=17"),
    ],
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("page.html"),
    song: Annotated[
        Path | None, typer.Option(help="A song of your own in place of the address's.")
    ] = None,
    model: Models = None,
    force: Force = False,
) -> None:
    """Write one page's state as one HTML file, which plays its sounds without a server."""
    from auralise.cli.console import setup_torch
    from auralise.dashboards.export import export_page, write_page
    from auralise.dashboards.service import Service

    setup_torch()
    service = Service(models=[*(context.obj or ()), *(model or ())])
    try:
        content = export_page(service, address, song)
        write_page(out, content, force=force)
    finally:
        service.close()
    typer.echo(f"page: {out} ({len(content) / 1e6:.1f} MB)")


def free_port() -> int:
    """Return the port that the dashboard is known by, or 0 for any if another program has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            return 0
    return PORT


def _has_screen() -> bool:
    """Say whether a browser of the desktop can be opened, not one that takes the terminal."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def run(
    models: Sequence[Path] = (),
    host: str = "127.0.0.1",
    port: int = PORT,
    *,
    atlas: str | None = None,
    root: str | None = None,
    show: bool = False,
) -> None:
    """Serve the dashboard until it is interrupted; ``show`` opens it where there is a screen."""
    from auralise.cli.console import setup_torch
    from auralise.dashboards.app import create_app
    from auralise.dashboards.server import Address, serve
    from auralise.dashboards.service import Service

    def ready(address: Address) -> None:
        if address.warning:
            typer.echo(f"auralise: warning: {address.warning}", err=True)
        typer.echo(f"dashboard: {address.url}")
        typer.echo("open this address in a browser; Ctrl+C ends the dashboard")
        if show and _has_screen():
            typer.launch(address.url)

    setup_torch()
    opened = None
    if atlas is not None:
        from auralise.atlas import Atlas

        opened = Atlas.open(atlas, root=root)
    service = Service(models=models, atlas=opened)
    serve(create_app(service), service, host=host, port=port, ready=ready)
