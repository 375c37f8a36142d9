"""Making an atlas, for `auralise.cli.atlas`: build, add, merge; and what all commands need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from auralise.cli import options as shared
from auralise.cli.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from auralise.atlas import Atlas, Report
    from auralise.models.base import MusicNetwork

Place = Annotated[str, typer.Argument(metavar="ATLAS", help="Folder or URL of an atlas.")]
Root = Annotated[
    list[str] | None,
    typer.Option(help="Where the collection has moved to; of several, NAME=FOLDER. Repeatable."),
]
Layers = Annotated[
    list[str] | None,
    typer.Option("--layer", help="Layer to follow; may be repeated; 'all' for every module."),
]
Engine = Annotated[str, typer.Option(help="local or ray.")]
Workers = Annotated[
    int | None,
    typer.Option(min=0, help="Processes that decode, or Ray's actors; chosen if not given."),
]
Batch = Annotated[int, typer.Option(min=1, help="Windows in a forward pass.")]
Device = Annotated[str, typer.Option(help="Such as cpu or cuda; a GPU if there is one.")]


def build(
    collection: Annotated[str, typer.Argument(help="Folder, manifest, or kind:folder.")],
    out: Annotated[str, typer.Option(help="Folder or URL of the atlas; gone on with if there.")],
    model: shared.Model = DEFAULT_MODEL,
    layer: Layers = None,
    window: Annotated[
        float | None, typer.Option(help="Seconds a window, for networks that take any.")
    ] = None,
    name: Annotated[str, typer.Option(help="Of the collection, if not its folder's.")] = "",
    moved: Annotated[
        bool, typer.Option("--moved", help="The collection of this name has moved here.")
    ] = False,
    engine: Engine = "local",
    workers: Workers = None,
    batch: Batch = 8,
    device: Device = "",
    shard: Annotated[int, typer.Option(min=1, help="Clips in a part.")] = 32,
    retry: Annotated[bool, typer.Option("--retry", help="Try unreadable files again.")] = False,
    json: shared.Json = False,
) -> None:
    """Hear a collection and write its atlas; a call that was ended is called again."""
    from auralise.atlas import Options
    from auralise.atlas import build as make
    from auralise.cli.console import progress_bar
    from auralise.models import load_model

    workers = _setup(engine, workers)
    network = load_model(model)
    chosen = Options(engine, workers, batch, device, shard, retry)
    with progress_bar() as bar:
        report = make(
            collection,
            network,
            out,
            layers=layer,
            window=window,
            model=model,
            name=name,
            moved=moved,
            options=chosen,
            progress=bar,
        )
    _tell(report, out, json)


def add(
    atlas: Place,
    collection: Annotated[str | None, typer.Argument(help="To be heard too.")] = None,
    layer: Layers = None,
    model: Annotated[str, typer.Option(help="If it is not found as it was.")] = "",
    root: Root = None,
    engine: Engine = "local",
    workers: Workers = None,
    batch: Batch = 8,
    device: Device = "",
    json: shared.Json = False,
) -> None:
    """Add a collection to an atlas, or layers, or both."""
    from auralise.atlas import Atlas, Options, add_layers
    from auralise.atlas import build as make
    from auralise.cli.console import progress_bar
    from auralise.errors import InvalidValueError

    if collection is None and not layer:
        raise InvalidValueError("say what to add: a collection, or --layer NAME")
    workers = _setup(engine, workers)
    opened = Atlas.open(atlas, root=roots_of(root))
    network = network_of(opened, model)
    chosen = Options(engine, workers, batch, device)
    with progress_bar() as bar:
        if layer:
            report = add_layers(
                atlas, network, layer, roots=opened.roots, options=chosen, progress=bar
            )
        if collection is not None:
            report = make(collection, network, atlas, options=chosen, progress=bar)
    _tell(report, atlas, json)


def merge(
    atlases: Annotated[list[str], typer.Argument(help="Atlases of one network.")],
    out: Annotated[str, typer.Option(help="Folder or URL of the new atlas.")],
    json: shared.Json = False,
) -> None:
    """Merge atlases of one network; in any order the same comes out."""
    from auralise.atlas import merge as merge_atlases
    from auralise.cli.console import progress_bar

    with progress_bar() as bar:
        report = merge_atlases(atlases, out, progress=bar)
    _tell(report, out, json)


def network_of(atlas: Atlas, model: str) -> MusicNetwork:
    """Load the network that an atlas is of, and check that it is."""
    from auralise.atlas.plan import require_same
    from auralise.models import load_model

    described = atlas.manifest.model
    network = load_model(model or described["folder"] or described["name"])
    require_same(atlas.manifest, network)
    return network


def roots_of(given: list[str] | None) -> str | dict[str, str] | None:
    """Read what --root says."""
    if not given:
        return None
    named = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not equals:
            if len(given) == 1:
                return text
            from auralise.errors import InvalidValueError

            raise InvalidValueError(f"of several roots each is written NAME=FOLDER, got {text!r}")
        named[name] = folder
    return named


def _setup(engine: str, workers: int | None) -> int:
    """Share the cores out between decoding and the network; return how many decode."""
    from auralise.atlas.engines import ENGINES, cores
    from auralise.cli.console import setup_torch

    ENGINES[engine]
    have = cores()
    if workers is None:
        workers = have // 2
    setup_torch(max(1, have - workers))
    return workers


def _tell(report: Report, out: str, json: bool) -> None:
    """Print what was done."""
    from auralise.cli.console import note, print_json

    manifest = report.manifest
    for part in report.rebuilt:
        note(f"{part} was damaged and was made anew")
    if report.gone:
        note(f"{len(report.gone)} files are gone, the first is {report.gone[0]}")
    for name in report.lost:
        note(f"the list of files was damaged; collection {name!r} is out until it is built again")
    if json:
        print_json(
            {
                "atlas": str(out),
                "counts": dict(manifest.counts),
                "layers": [layer.name for layer in manifest.layers],
                "shards_heard": report.heard,
                "rebuilt": list(report.rebuilt),
                "gone": list(report.gone),
                "lost": list(report.lost),
            }
        )
        return
    counts = manifest.counts
    typer.echo(
        f"{counts['files']} files: {counts['clips']} clips, {counts['duplicates']} duplicates, "
        f"{counts['unreadable']} unreadable; {counts['silent']} of the clips are silent"
    )
    typer.echo(f"{counts['units']} units of {len(manifest.layers)} layers; atlas: {out}")
