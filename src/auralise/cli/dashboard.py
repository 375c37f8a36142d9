"""``auralise dashboard``: look at a network, click, listen, in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def dashboard(
    model: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of networks to offer beside the package's; may be repeated."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 for any that is free.")] = 8050,
) -> None:
    """Serve the web dashboard until it is interrupted."""
    from auralise.cli.console import setup_torch
    from auralise.dashboards.app import create_app
    from auralise.dashboards.server import Address, serve
    from auralise.dashboards.service import Service

    def ready(address: Address) -> None:
        if address.warning:
            typer.echo(f"auralise: warning: {address.warning}", err=True)
        typer.echo(f"dashboard: {address.url}")

    setup_torch()
    service = Service(models=model or ())
    serve(create_app(service), service, host=host, port=port, ready=ready)
