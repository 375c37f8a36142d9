"""``auralise compare``: which filters of two networks' first layers are alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auralise.cli import options

if TYPE_CHECKING:
    from auralise.models import MusicNetwork

Seed = Annotated[
    int | None,
    typer.Option(min=0, help="That its training began with; from its manifest if not given."),
]


def compare(
    model_a: Annotated[
        str, typer.Argument(help="Name of a network, a folder of one, or of a training.")
    ],
    model_b: Annotated[str, typer.Argument(help="Another one, or another training of it.")],
    seed_a: Seed = None,
    seed_b: Seed = None,
    out: options.Out = Path("compare"),
    force: options.Force = False,
    json: options.Json = False,
) -> None:
    """Match the first layers of two networks and show how far they are from their beginning."""
    import json as codec

    from auralise.cli.console import print_json, progress_bar, setup_torch
    from auralise.output.compare_bundle import (
        compare_networks,
        comparison_manifest,
        write_comparison,
    )
    from auralise.output.folders import check_folder
    from auralise.output.manifest import to_json

    setup_torch()
    check_folder(out, force=force)
    (first, first_seed), (second, second_seed) = _load(model_a), _load(model_b)
    seeds = (
        first_seed if seed_a is None else seed_a,
        second_seed if seed_b is None else seed_b,
    )
    with progress_bar() as bar:
        found = compare_networks(
            first, second, seeds, lambda done, total: bar("untrained networks", done, total)
        )
    write_comparison(out, found, force=force)
    if json:
        plain = codec.loads(to_json(comparison_manifest(found)))
        print_json({**plain, "pairs": [dict(row) for row in found.pairs], "folder": str(out)})
        return
    typer.echo(found.sentence)
    typer.echo(f"figure: {out / 'figure.html'}")


def _load(name: str) -> tuple[MusicNetwork, int | None]:
    """Load a network, or the last state of a training, with the seed that it began with."""
    from auralise.models import load_model
    from auralise.models.weights import training_seed

    if (Path(name) / "last.safetensors").is_file():
        from auralise.training.restored import network_of_training

        return network_of_training(Path(name))
    return load_model(name), training_seed(name)
