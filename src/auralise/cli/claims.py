"""``auralise claims``: what the literature says, put to the test on a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auralise.cli import options

if TYPE_CHECKING:
    from auralise.claims.collection import LabelledClips
    from auralise.claims.run import Result
    from auralise.models.base import ModelCard


def claims(
    model: Annotated[str, typer.Argument(help="Name of a network, or a folder of one.")],
    data: Annotated[str | None, typer.Option(help="A collection with labels, kind:folder.")] = None,
    part: Annotated[
        str, typer.Option(help="Of the collection: test, valid, train or all.")
    ] = "test",
    clips: Annotated[
        int, typer.Option(min=2, help="How many clips at most, as many of each label.")
    ] = 240,
    only: Annotated[
        list[str] | None, typer.Option(help="Name of a claim; may be repeated. All if not given.")
    ] = None,
    twins: Annotated[
        int, typer.Option(min=2, help="How many untrained networks serve as controls.")
    ] = 8,
    results: Annotated[
        Path | None, typer.Option(help="Folder with the results of trainings, as JSON.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    out: Annotated[
        Path, typer.Option(help="Folder to write; results that are there are kept.")
    ] = Path("claims"),
    json: options.Json = False,
) -> None:
    """Try what the literature says of networks on one network, and write a report."""
    from auralise.claims import CLAIMS, Context
    from auralise.claims.run import try_claims
    from auralise.cli.console import note, print_json, progress_bar, setup_torch
    from auralise.errors import InvalidValueError
    from auralise.models import load_model
    from auralise.output.claim_bundle import (
        CACHE,
        RESULTS,
        check_claims_folder,
        claims_manifest,
        write_claims,
    )

    setup_torch()
    check_claims_folder(out)
    for name in only or []:
        CLAIMS[name]
    if results is not None and not results.is_dir():
        raise InvalidValueError(f"no folder {str(results)!r} with results")
    network = load_model(model)
    with progress_bar() as bar:
        collection = None if data is None else _collect(network.card, model, data, part, clips, bar)
        context = Context(
            network,
            twins,
            collection,
            results,
            cache=out / CACHE,
            seed=seed,
            progress=bar,
        )
        found = try_claims(
            context,
            only or (),
            folder=out / RESULTS,
            told=lambda name, stored: note(f"{name}: {'taken from before' if stored else 'tried'}"),
        )
    facts = {
        "Network": network.card.name,
        "Data": "none" if collection is None else collection.name,
        "Controls": f"{twins} untrained networks of the same architecture",
    }
    notes = () if collection is None else collection.notes
    report = write_claims(out, found, network.card, facts=facts, notes=notes)
    for text in notes:
        note(text)
    if json:
        print_json({**claims_manifest(found, network.card, facts, notes), "folder": str(out)})
        return
    show(found)
    typer.echo(f"report: {report}")


def show(results: list[Result]) -> None:
    """Print the verdicts, then each claim's numbers."""
    from auralise.cli.console import print_table
    from auralise.output.claim_report import part_words, verdict_of

    print_table(
        ("claim", "verdict", "p"),
        [
            (
                result.claim.name,
                verdict_of(result),
                "" if result.judgement is None else f"{result.judgement.p:.2g}",
            )
            for result in results
        ],
    )
    for result in results:
        typer.echo(f"\n{result.claim.name}: {result.claim.sentence}")
        reason = result.why if result.judgement is None else result.judgement.reason
        typer.echo(f"  {verdict_of(result)}: {reason}")
        for part in () if result.evidence is None else result.evidence.parts:
            typer.echo(f"  {part.name}: {part_words(part)}")


def _collect(
    card: ModelCard,
    model: str,
    data: str,
    part: str,
    most: int,
    bar: Any,  # noqa: ANN401
) -> LabelledClips:
    """Read the clips that claims are tried on; the network's own split if it says which."""
    from auralise.claims.collection import LabelledClips, balanced
    from auralise.datasets import open_dataset
    from auralise.models import read_manifest
    from auralise.training.protocol import (
        Division,
        Reader,
        choose_clips,
        division_of,
        met_before,
    )

    dataset = open_dataset(data)
    folder = Path(model)
    entries = read_manifest(folder) if folder.is_dir() else read_manifest()
    entry = entries.get(card.name, {})
    protocol = choose_clips(dataset, part, division_of(entry) or Division())
    tracks = balanced(protocol.tracks, most)
    skipped: list[tuple[str, str]] = []
    reader = Reader(tracks, card.frontend.sample_rate, False, skipped)
    clips = []
    for clip in reader:
        clips.append(clip)
        bar("reading sounds", len(clips) + len(skipped), len(tracks))
    met = met_before(entry, protocol)
    notes = [protocol.warning()] if protocol.leaky else []
    notes += [f"{name} could not be read and was left out: {why}" for name, why in skipped]
    if met:
        notes.append(
            f"The network was trained on {met} of the {len(protocol.tracks)} clips that these are "
            "taken from: what it answers may be memory."
        )
    elif met is None:
        notes.append("Whether the network was trained on some of these clips cannot be said.")
    name = f"{len(clips)} of {protocol.describe()}"
    return LabelledClips(name, tuple(clips), met == 0, tuple(notes))
