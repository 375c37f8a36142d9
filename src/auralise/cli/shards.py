"""``auralise shards``: decode a collection into tar files, to be read from front to back."""

from pathlib import Path
from typing import Annotated

import typer


def shards(
    data: Annotated[
        str, typer.Option(help="Collection, written kind:folder, as in philharmonia:notes.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write; must be empty or not there.")],
    rate: Annotated[
        int, typer.Option(min=1, help="Of the clips, in Hz; the one that the network takes.")
    ] = 16000,
    megabytes: Annotated[int, typer.Option(min=1, help="A shard ends when it has so many.")] = 1000,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at a clip that cannot be read.")
    ] = False,
) -> None:
    """Decode a collection that is too big for a cache into shards; train with --data shards:OUT."""
    from collections.abc import Iterator

    from auralise.cli.console import note, open_collection, progress_bar, setup_torch
    from auralise.datasets.clips import Clip
    from auralise.datasets.shards import write_shards
    from auralise.training.pipeline import unread
    from auralise.training.protocol import Reader, reader_of

    setup_torch()
    dataset = open_collection(data)
    skipped: list[tuple[str, str]] = []
    reader = Reader(dataset.tracks, rate, strict, skipped, reader_of(dataset, rate))
    about = {
        "name": dataset.name,
        "licence": dataset.licence,
        "grouping": dataset.grouping,
        "tags": list(dataset.tags),
    }
    with progress_bar() as bar:

        def counted() -> Iterator[Clip]:
            for number, clip in enumerate(reader, 1):
                yield clip
                bar("writing", number, len(dataset.tracks))

        table = write_shards(counted(), rate, out, shard_bytes=megabytes * 10**6, about=about)
    if skipped:
        note(f"{len(skipped)} clips could not be read:\n{unread(skipped)}")
    written = len(dataset.tracks) - len(skipped)
    typer.echo(f"{written} clips at {rate} Hz: {table.parent}; auralise train --data shards:{out}")
