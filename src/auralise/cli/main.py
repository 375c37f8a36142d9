"""The ``auralise`` command: its sub-commands, and how errors become one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer
from typer.exceptions import Abort, Exit, TyperException

from auralise import __version__
from auralise.cli import (
    atlas,
    audit,
    claims,
    compare,
    dashboard,
    demo,
    evaluate,
    filters,
    layer,
    layers,
    methods,
    models,
    predict,
    shards,
    train,
    tuning,
    unit,
)
from auralise.errors import AuraliseError

app = typer.Typer(
    name="auralise",
    help="Hear what a neural network listens for.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


EXTRAS = {
    "audiomentations": "train",
    "h5py": "train",
    "lightning": "train",
    "pyarrow": "parquet",
    "torchmetrics": "train",
    "webdataset": "train",
    "yaml": "train",
    "captum": "captum",
    "duckdb": "atlas",
    "fsspec": "atlas",
    "ray": "ray",
    "dash": "dashboard",
    "dash_mantine_components": "dashboard",
    "diskcache": "dashboard",
    "flask": "dashboard",
    "waitress": "dashboard",
}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"auralise {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Hear what a neural network listens for."""


app.command()(demo.demo)
app.command()(models.models)
app.command()(layers.layers)
app.command()(methods.methods)
app.command()(predict.predict)
app.command()(unit.unit)
app.command()(layer.layer)
app.command()(audit.audit)
app.command()(filters.filters)
app.command()(compare.compare)
app.command()(tuning.tuning)
app.command()(claims.claims)
app.add_typer(atlas.app, name="atlas")
app.command()(train.train)
app.command()(shards.shards)
app.command()(evaluate.evaluate)
app.add_typer(dashboard.app, name="dashboard")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit status.

    0 is success, 1 an error in what was given (one line on stderr), 2 wrong usage, 130 an
    interrupt. Any other exception is a fault of auralise and keeps its traceback.

    Parameters
    ----------
    arguments : sequence of str, optional
        The process's own if not given.
    """
    try:
        status = app(
            args=list(sys.argv[1:] if arguments is None else arguments), standalone_mode=False
        )
    except TyperException as error:
        message = error.format_message().rstrip(".")
        if message:  # empty where the help has been printed in its place
            typer.echo(f"auralise: {message}; see auralise --help", err=True)
        sys.exit(error.exit_code)
    except (Abort, KeyboardInterrupt):
        typer.echo("auralise: interrupted", err=True)
        sys.exit(130)
    except Exit as done:
        sys.exit(done.exit_code)
    except AuraliseError as error:
        notes = "".join(f" ({text})" for text in getattr(error, "__notes__", ()))
        typer.echo(f"auralise: {error}{notes}", err=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in EXTRAS:
            raise
        extra = f"pip install 'auralise[{EXTRAS[package]}]'"
        typer.echo(f"auralise: this needs {package}, which is not installed; {extra}", err=True)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)
