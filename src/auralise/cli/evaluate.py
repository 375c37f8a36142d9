"""``auralise evaluate``: how good networks are on a collection, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auralise.cli import options

if TYPE_CHECKING:
    from auralise.models.base import MusicNetwork
    from auralise.output.evaluation_report import Evaluated
    from auralise.training.comparison import Comparison
    from auralise.training.protocol import Division, Protocol
    from auralise.training.voting import Answers

Known = tuple["MusicNetwork", Mapping[str, Any]]


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(help="Names of networks, or folders of one, or FOLDER/NAME."),
    ],
    data: Annotated[
        str, typer.Option(help="Collection, written kind:folder, as in philharmonia:notes.")
    ],
    out: options.Out = Path("evaluation"),
    part: Annotated[
        str, typer.Option("--split", help="Part of the split: test, valid, train or all.")
    ] = "test",
    seed: Annotated[
        int | None, typer.Option(help="Of the split; that of the training if not given.")
    ] = None,
    how: Annotated[
        str | None,
        typer.Option(
            help="Of the split: given, artist, group, stratified or random; that of the training "
            "if not given."
        ),
    ] = None,
    over: Annotated[
        str,
        typer.Option(help="What intervals are drawn over: auto, artist, group or clip."),
    ] = "auto",
    overlap: Annotated[
        float, typer.Option(min=0.0, max=0.95, help="Of neighbouring segments, as a share.")
    ] = 0.5,
    draws: Annotated[int, typer.Option(min=100, help="Bootstrap samples.")] = 2000,
    batch_size: Annotated[int, typer.Option(min=1, help="Segments at a time.")] = 32,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at a clip that cannot be read.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    force: options.Force = False,
    json: options.Json = False,
) -> None:
    """Test networks on one part of a collection, side by side, and write scores and a report."""
    from auralise.cli.console import note, open_collection, print_json, setup_torch
    from auralise.output.evaluation_bundle import evaluation_manifest, write_evaluation
    from auralise.output.evaluation_report import Evaluated
    from auralise.output.folders import check_folder
    from auralise.training.assessment import assess
    from auralise.training.protocol import check_labels, choose_clips

    setup_torch()
    check_folder(out, force=force)
    known = [_load(name) for name in models]
    dataset = open_collection(data)
    for network, _ in known:
        check_labels(network.card, dataset)
    protocol = choose_clips(dataset, part, _division(known, part, seed, how))
    answers, skipped = _answers(
        known, protocol, overlap=overlap, batch_size=batch_size, strict=strict, device=device
    )
    remarks = [_remarks(entry, protocol) for _, entry in known]
    entries = [
        Evaluated(
            network.card,
            assess(found, dataset.labels, multilabel=dataset.multilabel, over=over, draws=draws),
            remark,
        )
        for (network, _), found, remark in zip(known, answers, remarks, strict=True)
    ]
    comparisons = _compare(entries, answers, over, draws)
    described = protocol.plain(overlap, skipped)
    notes = [protocol.warning()] if protocol.leaky else []
    notes += [f"{name} could not be read and was left out: {why}" for name, why in skipped]
    write_evaluation(
        out,
        entries,
        comparisons,
        protocol=described,
        title=f"{', '.join(n.card.name for n, _ in known)} on {dataset.name}",
        facts={"Data": dataset.name, "Part": part, "Protocol": protocol.describe()},
        notes=notes,
        force=force,
    )
    for text in notes:
        note(text)
    if json:
        print_json({**evaluation_manifest(entries, comparisons, described), "folder": str(out)})
        return
    show(entries, comparisons, protocol)
    typer.echo(f"report: {out / 'report.html'}")


def _load(name: str) -> Known:
    """Load a network with its manifest's entry; ``FOLDER/NAME`` is one of several in a folder."""
    from auralise.models import load_model, read_manifest

    path = Path(name)
    if path.is_dir():
        entries = read_manifest(path)
        return load_model(name), entries[next(iter(entries))]
    if path.parent != Path() and path.parent.is_dir():
        return load_model(path.name, path.parent), read_manifest(path.parent)[path.name]
    return load_model(name), read_manifest()[name]


def _division(known: Sequence[Known], part: str, seed: int | None, how: str | None) -> Division:
    """Return the split asked for; what is not, is as in the training of all networks.

    Raises
    ------
    InvalidValueError
        If the networks were trained on different splits, and nothing is asked for.
    """
    from dataclasses import replace

    from auralise.errors import InvalidValueError
    from auralise.training.protocol import Division, division_of

    divisions = list(dict.fromkeys(division_of(entry) or Division() for _, entry in known))
    if len(divisions) > 1 and part != "all" and seed is None:
        said = "; ".join(division.describe() for division in divisions)
        raise InvalidValueError(
            f"the networks were trained on different splits ({said}): "
            "each has learned clips that another is tested on; say which with --seed"
        )
    first = divisions[0]
    return replace(first, seed=first.seed if seed is None else seed, how=how or first.how)


def _answers(
    known: Sequence[Known],
    protocol: Protocol,
    *,
    overlap: float,
    batch_size: int,
    strict: bool,
    device: str,
) -> tuple[list[Answers], list[tuple[str, str]]]:
    """Let each network answer; clips are read again for each, at its rate."""
    from auralise.cli.console import progress_bar
    from auralise.errors import InvalidValueError
    from auralise.training.protocol import Reader, reader_of
    from auralise.training.voting import segment_logits

    answers, skipped = [], []
    with progress_bar() as bar:
        for network, _ in known:
            card = network.card
            if card.seconds is None:
                raise InvalidValueError(f"network {card.name!r} does not say how long a segment is")
            failed: list[tuple[str, str]] = []
            rate = card.frontend.sample_rate
            reader = Reader(
                protocol.tracks, rate, strict, failed, reader_of(protocol.dataset, rate)
            )

            def counted(reader: Reader = reader, name: str = card.name) -> Any:  # noqa: ANN401
                for number, clip in enumerate(reader, 1):
                    yield clip
                    bar(name, number, len(reader.tracks))

            answers.append(
                segment_logits(
                    network.module, card.frontend, card.seconds, counted(),
                    overlap=overlap, batch_size=batch_size, device=device,
                )
            )  # fmt: skip
            skipped = failed
    return answers, skipped


def _remarks(entry: Mapping[str, Any], protocol: Protocol) -> tuple[str, ...]:
    """Say whether a network has met the clips before."""
    from auralise.training.protocol import met_before

    met = met_before(entry, protocol)
    if met is None:
        return (
            "Whether this network was trained on some of these clips cannot be said: its manifest "
            "names another collection, or no seed.",
        )
    if met:
        return (
            f"Trained on these clips: {met} of {len(protocol.tracks)} were in the training or "
            "validation part of this network. The scores say how well it remembers, not how well "
            "it judges new clips.",
        )
    return ()


def _compare(
    entries: Sequence[Evaluated], answers: Sequence[Answers], over: str, draws: int
) -> list[Comparison]:
    """Compare each pair of networks with labels."""
    from itertools import combinations

    from auralise.training.assessment import units_of
    from auralise.training.comparison import compare

    if entries[0].assessment.multilabel:
        return []
    units = units_of(answers[0].tracks, over)[1]
    return [
        compare(
            one.card.name,
            other.card.name,
            (one.assessment.right, other.assessment.right),
            units,
            draws=draws,
        )
        for one, other in combinations(entries, 2)
    ]


def show(
    entries: Sequence[Evaluated], comparisons: Sequence[Comparison], protocol: Protocol
) -> None:
    """Print a column for each network, then pairs, then what they were measured on."""
    from auralise.cli.console import note, print_table
    from auralise.output.evaluation_report import SCORE_NAMES, score_words

    first = entries[0].assessment
    rows = [
        [name, *(score_words(entry.assessment.scores[kind]) for entry in entries)]
        for kind, name in SCORE_NAMES.items()
        if kind in first.scores
    ]
    print_table(["", *(entry.card.name for entry in entries)], rows)
    for pair in comparisons:
        typer.echo(
            f"{pair.first} less {pair.second}: {score_words(pair.difference)}; only one right "
            f"{pair.only_first} to {pair.only_second}, McNemar p = {pair.p:.3g}"
        )
    if first.floor is not None:
        typer.echo(f"majority label: {first.floor:.3f}")
    typer.echo(f"{protocol.describe()} 95 % intervals over {first.n_drawn} {first.drawn}s.")
    for entry in entries:
        for text in entry.remarks:
            note(f"{entry.card.name}: {text}")
