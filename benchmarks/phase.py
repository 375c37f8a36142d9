"""Phase methods against librosa's Griffin-Lim: how near they come, and how long they take.

One clip per genre of GTZAN (its folder layout, ``genres/<genre>/<genre>.00000.wav``), analysed with
n_fft 1024 and hop 256 at 22,050 Hz. Every method gets the same float32 magnitudes, librosa also the
same padding. One thread, denormal numbers flushed; each time is the best processor time of
``--repeat`` runs.

    python benchmarks/phase.py --data DATA
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before the libraries that read them are imported

import librosa  # noqa: E402
import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import torch  # noqa: E402

from auralise.audio.waveform import Waveform  # noqa: E402
from auralise.phase import PHASE_METHODS, phase_method  # noqa: E402
from auralise.spectral.convergence import convergence_of  # noqa: E402
from auralise.spectral.spectrogram import Spectrogram, analyse  # noqa: E402
from auralise.spectral.stft import StftSpec  # noqa: E402

Method = Callable[[Spectrogram], Waveform]
REFERENCE = "librosa.griffinlim, 32 iterations, momentum 0.99"


def librosa_griffin_lim(target: Spectrogram, momentum: float) -> Waveform:
    """Give ``target`` a phase with librosa, from a random start."""
    samples = librosa.griffinlim(
        target.magnitude[0].numpy(),
        n_iter=32,
        hop_length=target.spec.hop,
        n_fft=target.spec.n_fft,
        length=target.n_samples,
        pad_mode="reflect",
        momentum=momentum,
        random_state=np.random.default_rng(0),
    )
    return Waveform(torch.from_numpy(samples)[None], target.spec.sample_rate)


def methods() -> dict[str, Method]:
    """Return what is compared, by the name in the table."""
    table: dict[str, Method] = {
        REFERENCE: partial(librosa_griffin_lim, momentum=0.99),
        "librosa.griffinlim, 32 iterations, momentum 0": partial(librosa_griffin_lim, momentum=0.0),
        "griffin-lim, 32 iterations": PHASE_METHODS["griffin-lim"],
        "fast-griffin-lim, 32 iterations": PHASE_METHODS["fast-griffin-lim"],
        "pghi": PHASE_METHODS["pghi"],
    }
    for n_iter in (2, 4, 8, 32):
        name = f"pghi-fast-griffin-lim, {n_iter} iterations"
        table[name] = phase_method("pghi-fast-griffin-lim", n_iter=n_iter)
    return table


def clips(data: Path, number: int, seconds: float) -> list[Spectrogram]:
    """Return the spectrogram of one clip per genre."""
    folders = sorted((data / "gtzan_mini" / "genres").iterdir())
    found = []
    for folder in folders:
        file = folder / f"{folder.name}.{number:05d}.wav"
        rate = soundfile.info(file).samplerate
        samples, rate = soundfile.read(file, dtype="float32", frames=round(seconds * rate))
        found.append(analyse(Waveform(torch.from_numpy(samples)[None], rate), StftSpec(rate)))
    return found


def measure(
    methods: dict[str, Method], target: Spectrogram, repeat: int
) -> dict[str, tuple[float, float]]:
    """Return spectral convergence in dB and seconds of every method, taken in turns."""
    seconds = {name: float("inf") for name in methods}
    convergence = {}
    for _ in range(repeat):
        for name, method in methods.items():
            start = time.process_time()
            waveform = method(target)
            seconds[name] = min(seconds[name], time.process_time() - start)
            convergence[name] = convergence_of(waveform, target)
    return {name: (convergence[name], seconds[name]) for name in methods}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("AURALISE_DATA")
    parser.add_argument(
        "--data",
        type=Path,
        default=default,
        required=default is None,
        help="folder that holds gtzan_mini/genres; AURALISE_DATA if that is set",
    )
    parser.add_argument("--number", type=int, default=0, help="which clip of each genre")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each clip")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each method")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)

    table = methods()
    targets = clips(options.data, options.number, options.seconds)
    for method in table.values():
        method(targets[0])  # compilation and first allocations are not timed
    rows = [measure(table, target, options.repeat) for target in targets]

    print(
        f"{len(targets)} clips of {options.seconds:g} s; median over clips (best and worst gain).\n"
    )
    print("| method | SC in dB | gain over librosa in dB | time in ms | librosa's time / time |")
    print("|---|---|---|---|---|")
    for name in table:
        level = median(row[name][0] for row in rows)
        gains = [row[REFERENCE][0] - row[name][0] for row in rows]
        milliseconds = 1000 * median(row[name][1] for row in rows)
        ratio = median(row[REFERENCE][1] / row[name][1] for row in rows)
        gain = f"{median(gains):.1f} ({max(gains):.1f}, {min(gains):.1f})"
        print(f"| {name} | {level:.1f} | {gain} | {milliseconds:.0f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
