"""``auralise train``: fit a network to a collection and write weights, manifest entry and card."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from auralise.training.pipeline import Trained


def train(
    architecture: Annotated[str, typer.Argument(help="Name of an architecture: choi2016, ...")],
    data: Annotated[
        str, typer.Option(help="Collection, written kind:folder, as in philharmonia:notes.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of networks to write into.")],
    name: Annotated[str | None, typer.Option(help="Name of the network that is made.")] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 10,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    learning_rate: Annotated[float, typer.Option()] = 2e-3,
    semitones: Annotated[
        float, typer.Option(help="Play each clip at random speed, up to so many semitones off.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the split and of the training.")] = 0,
    bfloat16: Annotated[bool, typer.Option(help="Multiply in bfloat16.")] = False,
    licence: Annotated[str, typer.Option(help="Of the weights, for their card.")] = "",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Train a network on a collection with a split that keeps near-duplicates on one side."""
    from auralise.cli.console import progress_bar, setup_torch
    from auralise.datasets import open_dataset
    from auralise.training.fit import FitOptions
    from auralise.training.pipeline import train_network

    setup_torch()
    options = FitOptions(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        semitones=semitones,
        seed=seed,
        bfloat16=bfloat16,
    )
    with progress_bar() as bar:
        result = train_network(
            architecture,
            open_dataset(data),
            options,
            out=out,
            name=name,
            licence=licence,
            device=device,
            bar=bar,
        )
    show(result, json)


def show(result: "Trained", as_json: bool) -> None:
    """Print what was reached."""
    from auralise.cli.console import print_json

    if as_json:
        print_json({"name": result.name, "weights": str(result.weights), "scores": result.scores})
        return
    scores = result.scores
    low, high = scores["accuracy_interval"]
    typer.echo(
        f"{result.name}: accuracy {scores['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}) "
        f"on {scores['test_clips']} held-out clips; majority class {scores['majority_floor']:.3f}"
    )
    typer.echo(f"weights: {result.weights}")
