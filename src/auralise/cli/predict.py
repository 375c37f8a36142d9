"""``auralise predict``: what a network says of a song."""

from typing import Annotated

import typer

from auralise.cli.defaults import DEFAULT_MODEL


def predict(
    song: Annotated[
        str, typer.Argument(help="Sound file: WAV, FLAC, OGG, Opus or MP3; or 'demo'.")
    ],
    model: Annotated[
        str, typer.Option(help="Name of a network, or a folder of one.")
    ] = DEFAULT_MODEL,
    start: Annotated[float, typer.Option(help="Where to begin, in seconds.")] = 0.0,
    seconds: Annotated[
        float | None, typer.Option(help="How much of the song; all of it if not given.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many labels to print.")] = 5,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Let a network judge a song, in windows with 50 % overlap that are averaged."""
    from auralise.audio.files import read_audio
    from auralise.cli.console import note, print_json, print_table, setup_torch
    from auralise.cli.songs import song_file
    from auralise.models import load_model
    from auralise.models import prediction as predicting

    setup_torch()
    network = load_model(model)
    with song_file(song) as path:
        sound = read_audio(path, start=start, seconds=seconds)
    for text in sound.notes:
        note(f"{song}: {text}")
    prediction = predicting.predict(network, sound.waveform)
    ranking = prediction.ranking()
    if json:
        print_json(
            {
                "model": model,
                "probabilities": dict(ranking),
                "windows": len(prediction.starts),
            }
        )
        return
    print_table(
        ("label", "probability"), [(label, f"{share:.3f}") for label, share in ranking[:top]]
    )
    typer.echo(f"mean of {len(prediction.starts)} windows of {network.card.seconds:g} s")
