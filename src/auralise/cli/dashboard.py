"""``auralise dashboard``: look at a network, click, listen, in a browser."""

from __future__ import annotations

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


def run(
    models: Sequence[Path] = (),
    host: str = "127.0.0.1",
    port: int = PORT,
    *,
    atlas: str | None = None,
    root: str | None = None,
) -> None:
    """Serve the dashboard until it is interrupted."""
    from auralise.cli.console import setup_torch
    from auralise.dashboards.app import create_app
    from auralise.dashboards.server import Address, serve
    from auralise.dashboards.service import Service

    def ready(address: Address) -> None:
        if address.warning:
            typer.echo(f"auralise: warning: {address.warning}", err=True)
        typer.echo(f"dashboard: {address.url}")

    setup_torch()
    opened = None
    if atlas is not None:
        from auralise.atlas import Atlas

        opened = Atlas.open(atlas, root=root)
    service = Service(models=models, atlas=opened)
    serve(create_app(service), service, host=host, port=port, ready=ready)
