"""``auralise layers``: what a network consists of, and how far each layer sees."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from auralise.models.base import MusicNetwork


def layers(
    model: Annotated[str, typer.Argument(help="Name of a network, or a folder of one.")],
    every: Annotated[bool, typer.Option("--all", help="Also the parts of each layer.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List a network's layers with channels, shape and receptive field in seconds and Hz."""
    from auralise.cli.console import print_json, print_table, setup_torch
    from auralise.models import load_model

    setup_torch()
    rows = layer_table(load_model(model), every)
    if json:
        print_json(rows)
        return
    print_table(
        ("layer", "kind", "channels", "shape", "sees (s)", "step (s)", "sees (Hz)"),
        [
            (
                row["name"],
                row["kind"],
                str(row["channels"]),
                " x ".join(map(str, row["shape"][1:])) or "-",
                f"{row['seconds']:.4g}",
                f"{row['step_seconds']:.4g}" if row["step_seconds"] else "-",
                f"{row['hertz']:.0f}" if row["hertz"] is not None else "-",
            )
            for row in rows
        ],
    )


def layer_table(network: "MusicNetwork", every: bool) -> list[dict[str, Any]]:
    """Return one plain row per layer; ``every`` includes the parts of layers."""
    import torch

    from auralise.activations import list_layers, receptive_field
    from auralise.frontends.given import GivenFrontend

    frontend = network.card.frontend
    length = round((network.card.seconds or 4.0) * frontend.sample_rate)
    channels = (frontend.channels,) if isinstance(frontend, GivenFrontend) else ()
    features = frontend.module(torch.zeros(1, *channels, length))[0]
    rows = []
    for info in list_layers(network.module, features):
        if "." in info.name and not every:
            continue
        field = receptive_field(network.module, features, info.name, shape=info.shape)
        moves = field.axes[-1] is not None
        hertz = None
        if len(field.size) > 1:
            middle = max(0, (features.shape[1] - field.size[0]) // 2)
            low, high = frontend.hertz_of(middle), frontend.hertz_of(middle + field.size[0])
            hertz = None if low is None or high is None else high - low
        rows.append(
            {
                "name": info.name,
                "kind": info.kind,
                "channels": info.channels,
                "shape": list(info.shape),
                "seconds": frontend.seconds_of(field.size[-1]),
                "step_seconds": frontend.seconds_of(field.stride[-1]) if moves else None,
                "hertz": hertz,
                "parameters": info.parameters,
            }
        )
    return rows
