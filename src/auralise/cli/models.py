"""``auralise models``: the networks that come with the package."""

from typing import Annotated

import typer


def models(
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """List the networks that come with the package, and the architectures one can train."""
    from auralise.cli.console import print_json, print_table
    from auralise.models import MODELS, read_manifest

    entries = read_manifest()
    if json:
        papers = {name: entry.source for name, entry in MODELS.items()}
        print_json({"networks": entries, "architectures": papers})
        return
    rows = []
    for name, entry in sorted(entries.items()):
        scores = entry["scores"]
        low, high = scores["accuracy_interval"]
        rows.append(
            (
                name,
                f"{entry['frontend']['kind']}, {entry['seconds']:g} s",
                str(len(entry["labels"])),
                f"{scores['accuracy']:.3f} ({low:.3f} to {high:.3f})",
                f"{scores['majority_floor']:.3f}",
                entry["licence"],
            )
        )
    head = ("network", "input", "labels", "accuracy (95 %)", "majority", "licence")
    print_table(head, rows)
    typer.echo("")
    print_table(("architecture", "paper"), [(k, v.source) for k, v in sorted(MODELS.items())])
