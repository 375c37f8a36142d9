"""``auralise atlas``: which clips make each unit fire, over a whole collection."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from auralise.cli import options as shared
from auralise.cli.atlas_making import Place, Root, add, build, merge, network_of, roots_of

app = typer.Typer(
    help="Which clips make each unit of a network fire, over a whole collection.",
    no_args_is_help=True,
)
for command in (build, add, merge):
    app.command()(command)

Limit = Annotated[int, typer.Option(min=1, help="Rows at most.")]


@app.command()
def top(
    atlas: Place,
    unit: Annotated[str, typer.Argument(help="Such as conv3:17.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=50)] = 9,
    quantiles: Annotated[
        bool, typer.Option("--quantiles", help="Five clips of each tenth, not only the top.")
    ] = False,
    json: shared.Json = False,
) -> None:
    """Show what makes a unit fire: its strongest clips, its name with evidence, its labels."""
    from dataclasses import asdict

    from auralise.atlas import Atlas
    from auralise.cli.console import print_json, print_table

    asked = Atlas.open(atlas).unit(unit)
    examples = asked.quantiles() if quantiles else asked.top(count)
    about, labels, evidence = asked.summary(), asked.labels(), asked.evidence()
    if json:
        print_json(
            {
                "unit": about,
                "examples": [asdict(example) for example in examples],
                "labels": labels,
                "evidence": evidence,
                "nearest": asked.nearest(),
            }
        )
        return
    _about(about, labels, evidence)
    print_table(
        ("tenth" if quantiles else "rank", "value", "time", "frequency", "labels", "clip"),
        [
            (
                str(one.rank + 1 if one.quantile is None else one.quantile + 1),
                f"{one.value:.4g}",
                f"{one.start:.2f}-{one.end:.2f} s",
                "-" if one.low is None else f"{one.low:.0f}-{one.high:.0f} Hz",
                ", ".join(one.labels) or "-",
                one.path,
            )
            for one in examples
        ],
    )


def _about(about: dict[str, Any], labels: list[Any], evidence: list[Any]) -> None:
    """Print a unit's suggested name, what it rests on, and what it prefers."""
    state = f", {about['state']}" if about["state"] else ""
    typer.echo(f"{about['unit']}: {about['name'] or 'no name suggested'}{state}")
    strong = [f"{one['descriptor']} {one['rho']:+.2f}" for one in evidence[:5] if one["rho"]]
    typer.echo(f"goes with: {', '.join(strong) or '-'} (rank correlation)")
    liked = [row for row in labels if row["auc"] is not None][:3]
    texts = [f"{row['label']} (AUC {row['auc']:.2f}, q {row['q']:.2g})" for row in liked]
    typer.echo(f"prefers: {', '.join(texts) or '-'}")
    typer.echo(
        f"fires in {about['firing_clips']:.0%} of the clips, at {about['firing_places']:.1%} of "
        "the places"
    )
    typer.echo("")


@app.command()
def units(
    atlas: Place,
    like: Annotated[str, typer.Option(help="In the suggested name.")] = "",
    label: Annotated[str, typer.Option(help="Units that prefer this label.")] = "",
    layer: Annotated[str, typer.Option(help="Units of this layer only.")] = "",
    state: Annotated[str, typer.Option(help="'dead' or 'always on'.")] = "",
    sort: Annotated[
        str, typer.Option(help="selectivity, maximum, sparsity or unit.")
    ] = "selectivity",
    rate: Annotated[
        float, typer.Option(min=0, max=1, help="False discovery rate for --label.")
    ] = 0.05,
    limit: Limit = 50,
    json: shared.Json = False,
) -> None:
    """Search the units: by suggested name, by label, by layer."""
    from auralise.atlas import Atlas
    from auralise.cli.console import note, print_json, print_table

    rows = Atlas.open(atlas).units(
        like=like, label=label, layer=layer, state=state, sort=sort, rate=rate, limit=limit
    )
    if json:
        print_json(rows)
        return
    if not rows:
        note("no unit is like that")
        return
    print_table(
        ("unit", "suggested name", "label", "AUC", "q", "highest", "fires in", "state"),
        [
            (
                row["unit"],
                row["name"] or "-",
                row["label"] or "-",
                "-" if row["auc"] is None else f"{row['auc']:.2f}",
                "-" if row["q"] is None else f"{row['q']:.2g}",
                f"{row['maximum']:.4g}",
                f"{row['firing_clips']:.0%}",
                row["state"] or "-",
            )
            for row in rows
        ],
    )


@app.command()
def clip(
    atlas: Place,
    song: Annotated[str, typer.Argument(help="A path, the end of one, or a checksum's begin.")],
    root: Root = None,
    limit: Limit = 20,
    json: shared.Json = False,
) -> None:
    """Show which units a clip stands out in."""
    from auralise.atlas import Atlas
    from auralise.cli.console import print_json, print_table

    opened = Atlas.open(atlas, root=roots_of(root))
    found = opened.find_clip(song)
    rows = opened.clip_values(found["clip"])[:limit]
    if json:
        print_json({**found, "units": rows})
        return
    typer.echo(f"{found['path']}: {', '.join(found['labels']) or 'no label'}")
    print_table(
        ("unit", "value", "above the mean of the clips", "suggested name"),
        [
            (row["unit"], f"{row['value']:.4g}", f"{row['z']:+.1f} deviations", row["name"] or "-")
            for row in rows
        ],
    )


@app.command()
def similar(
    atlas: Place,
    song: Annotated[str, typer.Argument(help="A path, the end of one, or a checksum's begin.")],
    layer: Annotated[str, typer.Option(help="The last but one if not given.")] = "",
    root: Root = None,
    limit: Limit = 10,
    json: shared.Json = False,
) -> None:
    """Show the clips that are nearest to one for the network."""
    from auralise.atlas import Atlas
    from auralise.cli.console import print_json, print_table

    rows = Atlas.open(atlas, root=roots_of(root)).similar(song, layer=layer, limit=limit)
    if json:
        print_json(rows)
        return
    print_table(
        ("likeness", "labels", "clip"),
        [
            (f"{row['similarity']:.3f}", ", ".join(row["labels"]) or "-", row["path"])
            for row in rows
        ],
    )


@app.command()
def export(
    atlas: Place,
    unit: Annotated[str, typer.Argument(help="Such as conv3:17.")],
    out: shared.Out = Path("examples"),
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=50)] = 9,
    quantiles: Annotated[
        bool, typer.Option("--quantiles", help="Clips of each tenth, not only the top.")
    ] = False,
    method: shared.Method = "guided",
    model: Annotated[str, typer.Option(help="If it is not found as it was.")] = "",
    level: shared.Level = "source-rms",
    root: Root = None,
    force: shared.Force = False,
    json: shared.Json = False,
) -> None:
    """Write a unit's excerpts, cut from the originals, with their auralisations and a report."""
    from auralise.atlas import Atlas
    from auralise.cli.console import print_json, setup_torch
    from auralise.output.atlas_bundle import write_examples
    from auralise.output.folders import check_folder
    from auralise.output.manifest import read_manifest
    from auralise.settings import Settings

    setup_torch()
    check_folder(out, force=force)
    opened = Atlas.open(atlas, root=roots_of(root))
    asked = opened.unit(unit)
    examples = asked.quantiles() if quantiles else asked.top(count)
    network = network_of(opened, model)
    settings = Settings(method=method)
    write_examples(out, opened, network, examples[:50], settings=settings, level=level, force=force)
    if json:
        print_json({**read_manifest(out), "folder": str(out)})
        return
    typer.echo(f"report: {out / 'report.html'}")
