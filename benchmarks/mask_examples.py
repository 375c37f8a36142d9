"""Sounds of masks for the documentation: the strongest unit of three layers in four songs.

python benchmarks/mask_examples.py --data FOLDER --out docs/audio --report docs/audit.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

import soundfile
import torch
from listening_runs import put, table
from recognition import load

from auralise.audio.files import read_audio
from auralise.audio.levels import apply_level
from auralise.auralisation import auralise_unit, strongest_units
from auralise.masks import MaskOptions
from auralise.preparation import prepare
from auralise.settings import Settings

SONGS = (
    ("vibe-ace.ogg", 20.0, "Kevin MacLeod, Vibe Ace", "CC BY 3.0"),
    ("hungarian-dance-5.ogg", 10.0, "Brahms, Hungarian Dance 5, US Army Strings", "public domain"),
    ("drum-loop-amen.flac", 0.0, "loop_amen_full, sample pack of Sonic Pi", "CC0"),
    ("solo-trumpet.ogg", 0.0, "Mihai Sorohan, Jazz Trumpet Loops Pack in F 90 bpm", "CC BY 3.0"),
)  # fmt: skip
UNITS = (
    ("choi2016-instruments", "conv3"),
    ("choi2016-instruments", "conv5"),
    ("dieleman2014-raw-instruments", "conv2"),
)


def main() -> None:
    """Write the sounds and the table of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the songs")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    arguments.out.mkdir(exist_ok=True)
    settings = Settings(method="mask", mask=MaskOptions())
    rows = []
    for file, start, title, licence in SONGS:
        for model, layer in UNITS:
            network = load(model)
            sound = read_audio(arguments.data / file, start=start, seconds=network.card.seconds)
            source, _ = prepare(network, sound.waveform)
            unit = strongest_units(network, source, layer, 1)[0][0]
            found = auralise_unit(network, source, unit, settings=settings)
            stem = f"{Path(file).stem}-{model.split('-')[0]}"
            names = f"{stem}-source.ogg", f"{stem}-{layer}-{unit.channel}.ogg"
            for name, waveform in zip(names, (found.source, found.waveform), strict=True):
                level = apply_level(waveform, found.source, "source-rms").waveform
                samples = level.samples[0].numpy()
                soundfile.write(arguments.out / name, samples, level.sample_rate)
            source_link, link = (f"[listen]({arguments.out.name}/{name})" for name in names)
            credit = f"{title}; {licence}"
            kept = found.scores["activation_auralised"] / found.scores["activation_source"]
            rows.append([credit, model, str(unit), source_link, link, f"{kept:.2f}"])
            print(*rows[-1], flush=True)
    head = ["music", "network", "unit", "source", "mask", "unit on it, of its value"]
    put(arguments.report, "mask examples", table(head, rows))


if __name__ == "__main__":
    main()
