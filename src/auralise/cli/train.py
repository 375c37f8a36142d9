"""``auralise train``: fit a network to a collection and write weights, manifest entry and card."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from auralise.training.options import FusionOptions, PretrainOptions
    from auralise.training.pipeline import Job, Trained
    from auralise.training.recipes import Recipe


def train(
    architecture: Annotated[
        str, typer.Argument(help="Name of an architecture; the recipe's if there is one.")
    ] = "",
    *,
    data: Annotated[
        str, typer.Option(help="Collection, written kind:folder, as in philharmonia:notes.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of networks to write into.")],
    recipe: Annotated[
        str, typer.Option(help="How a published system was trained, or a YAML file like that.")
    ] = "",
    name: Annotated[str, typer.Option(help="Name of the network that is made.")] = "",
    option: Annotated[
        list[str] | None, typer.Option(help="Of the architecture, as width=0.25; repeatable.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training clips.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Clips a step and a process.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Its peak, of a cycle.")] = None,
    weight_decay: Annotated[float | None, typer.Option()] = None,
    optimizer: Annotated[str | None, typer.Option(help="adamw or sgd.")] = None,
    momentum: Annotated[float | None, typer.Option(help="Of sgd.")] = None,
    schedule: Annotated[str | None, typer.Option(help="one-cycle or constant.")] = None,
    first_layer_rate: Annotated[
        float | None, typer.Option(help="Learning rate of the first module, if another.")
    ] = None,
    clip_norm: Annotated[float | None, typer.Option(help="Largest norm of gradients.")] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many epochs without a better score.")
    ] = None,
    epoch_fraction: Annotated[
        float | None, typer.Option(help="Share of the clips that an epoch takes.")
    ] = None,
    max_steps: Annotated[int | None, typer.Option(help="Stop after about so many.")] = None,
    balance: Annotated[
        bool | None, typer.Option("--balance/--no-balance", help="Weight rare labels more.")
    ] = None,
    lowest_gain_db: Annotated[
        float | None, typer.Option(help="Scale each clip at random from here to 0 dB.")
    ] = None,
    semitones: Annotated[
        float | None,
        typer.Option(help="Play each clip at random speed, up to so many semitones off."),
    ] = None,
    effects: Annotated[
        str | None, typer.Option(help="Of noise, filter, pitch, stretch; with commas.")
    ] = None,
    mask_time: Annotated[
        float | None, typer.Option(help="Widest mask over frames, as a share.")
    ] = None,
    mask_frequency: Annotated[
        float | None, typer.Option(help="Widest mask over bins, as a share.")
    ] = None,
    standardise: Annotated[
        bool | None,
        typer.Option(
            "--standardise/--no-standardise",
            help="Spectrograms; if not said, for networks without normalisation.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the split and of the training.")] = None,
    bfloat16: Annotated[
        bool | None, typer.Option("--bfloat16/--no-bfloat16", help="Multiply in bfloat16.")
    ] = None,
    compile: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="By torch; needs a compiler.")
    ] = None,
    pretrain: Annotated[
        bool | None,
        typer.Option("--pretrain/--no-pretrain", help="Learn layers without labels first."),
    ] = None,
    pretrain_option: Annotated[
        list[str] | None, typer.Option(help="Of the pretraining, as epochs=3; repeatable.")
    ] = None,
    fuse: Annotated[
        str | None,
        typer.Option(help="sum or product: with a machine on local binary patterns; none without."),
    ] = None,
    fusion_option: Annotated[
        list[str] | None, typer.Option(help="Of the fusion, as zones=4; repeatable.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="auto, given, artist, group, stratified or random.")
    ] = "auto",
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at a clip that cannot be read.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start again where a training was stopped.")
    ] = False,
    licence: Annotated[str, typer.Option(help="Of the weights, for their card.")] = "",
    note: Annotated[str, typer.Option(help="What else to know of it, for its card.")] = "",
    cache: Annotated[
        Path | None, typer.Option(help="Keep decoded clips on disk here, not in memory.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1.")] = "cpu",
    devices: Annotated[int, typer.Option(help="Processes on this machine.")] = 1,
    nodes: Annotated[int, typer.Option(help="Machines; start the command on each.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes that prepare batches.")] = 0,
    threads: Annotated[int, typer.Option(help="Of torch; 0 takes all cores.")] = 0,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write events beside the table.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Train a network on a collection with a split that keeps near-duplicates on one side."""
    given = dict(locals())
    from auralise.cli.console import note as tell
    from auralise.cli.console import open_collection, progress_bar, setup_torch
    from auralise.training.pipeline import train_network

    setup_torch(threads)
    job = _job(given)
    if os.environ.get("LOCAL_RANK", "0") != "0":  # one process of several does the talking
        train_network(job, open_collection(data), out=out, bar=lambda *_: None)
        return
    with progress_bar() as bar:
        result = train_network(job, open_collection(data), out=out, bar=bar, note=tell)
    if result is not None:
        show(result, json)


def _job(given: dict[str, Any]) -> "Job":
    """Return what the command's options ask for, on top of the recipe's."""
    from dataclasses import fields

    from auralise.errors import InvalidValueError
    from auralise.training.fit import FitOptions, Machine
    from auralise.training.pipeline import Job
    from auralise.training.recipes import load_recipe, options_of, parse_option

    recipe = load_recipe(given["recipe"]) if given["recipe"] else None
    architecture = given["architecture"] or (recipe.architecture if recipe else "")
    if not architecture:
        raise InvalidValueError("name an architecture, or a recipe with --recipe")
    if recipe and architecture != recipe.architecture:
        raise InvalidValueError(
            f"recipe {recipe.name!r} is of {recipe.architecture!r}, not of {architecture!r}"
        )
    changed = {
        item.name: given[item.name] for item in fields(FitOptions) if given[item.name] is not None
    }
    if "effects" in changed:
        changed["effects"] = tuple(word for word in changed["effects"].split(",") if word)
    model = dict(parse_option(text) for text in given["option"] or ())
    return Job(
        architecture,
        options_of(changed, "the command", recipe.training if recipe else None),
        model={**(recipe.model if recipe else {}), **model},
        name=given["name"],
        recipe=recipe,
        how=given["split"],
        strict=given["strict"],
        resume=not given["fresh"],
        licence=given["licence"],
        note=given["note"],
        cache=given["cache"],
        machine=Machine(
            given["device"],
            given["devices"],
            given["nodes"],
            given["workers"],
            given["tensorboard"],
        ),
        pretraining=_pretraining(given, recipe),
        fusion=_fusion(given, recipe),
    )


def _pretraining(given: dict[str, Any], recipe: "Recipe | None") -> "PretrainOptions | None":
    """Return how to pretrain, if the command or the recipe asks for it."""
    from auralise.training.options import PretrainOptions
    from auralise.training.recipes import changed, parse_option

    words = dict(parse_option(text) for text in given["pretrain_option"] or ())
    base = recipe.pretraining if recipe else None
    if given["pretrain"] is False or not (given["pretrain"] or words or base):
        _refuse_words(words, "--pretrain-option", "--no-pretrain")
        return None
    return changed(base or PretrainOptions(), words, "--pretrain-option")


def _fusion(given: dict[str, Any], recipe: "Recipe | None") -> "FusionOptions | None":
    """Return how to fuse, if the command or the recipe asks for it."""
    from auralise.training.options import FusionOptions
    from auralise.training.recipes import changed, parse_option

    words = dict(parse_option(text) for text in given["fusion_option"] or ())
    base = recipe.fusion if recipe else None
    if given["fuse"] == "none" or not (given["fuse"] or words or base):
        _refuse_words(words, "--fusion-option", "--fuse none")
        return None
    rule = {} if given["fuse"] is None else {"rule": given["fuse"]}
    return changed(base or FusionOptions(), {**words, **rule}, "--fusion-option")


def _refuse_words(words: dict[str, Any], option: str, other: str) -> None:
    from auralise.errors import InvalidValueError

    if words:
        raise InvalidValueError(f"{option} and {other} contradict each other")


def show(result: "Trained", as_json: bool) -> None:
    """Print what was reached, and what was not read."""
    from auralise.cli.console import note, print_json
    from auralise.training.pipeline import unread

    if result.skipped:
        note(f"{len(result.skipped)} clips could not be read:\n{unread(result.skipped)}")
    if as_json:
        print_json(
            {
                "name": result.name,
                "weights": str(result.weights),
                "scores": result.scores,
                "skipped": [list(pair) for pair in result.skipped],
                "leaky": result.leaky,
                "ended": result.why,
            }
        )
        return
    scores = result.scores
    key, words = ("accuracy", "accuracy") if "accuracy" in scores else ("roc_auc", "ROC-AUC")
    low, high = scores[f"{key}_interval"]
    rest = f"; majority class {scores['majority_floor']:.3f}" if key == "accuracy" else ""
    leaky = "; artists or recordings may be on both sides of the split" if result.leaky else ""
    typer.echo(
        f"{result.name}: {words} {scores[key]:.3f} (95 % interval {low:.3f} to {high:.3f}) "
        f"on {scores['test_clips']} held-out clips{rest}{leaky}"
    )
    typer.echo(f"training ended: {result.why}; weights: {result.weights}")
