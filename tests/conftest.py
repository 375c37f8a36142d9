"""Fixtures shared by all tests."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch; processes that tests start get it too

import pytest
import torch

torch.set_flush_denormal(True)


@pytest.fixture(scope="session")
def data_root():
    """Folder with real audio; tests that want it are skipped where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    root = Path(os.environ.get("AURALISE_DATA", default))
    if not root.is_dir():
        pytest.skip(f"no real audio at {root}; set AURALISE_DATA to a folder that has it")
    return root


@pytest.fixture(scope="session")
def hand_made():
    """Make auralisations without a network: ``hand_made("linear" | "mel" | "raw", channel, ...)``.

    The source is a second of a 1 kHz tone at 8 kHz that begins at 0.25 s; the map keeps one band
    of it, stronger for higher channels.
    """
    from auralise.activations.layers import Unit
    from auralise.audio.waveform import Waveform
    from auralise.auralisation import Auralisation
    from auralise.frontends import RawFrontend, SpectrogramFrontend
    from auralise.inversion.base import Inversion
    from auralise.spectral.stft import StftSpec

    def make(
        kind="linear", channel=17, *, flags=(), model="by-hand", layer="conv3", relevance=None
    ):
        time = torch.arange(8000) / 8000
        tone = 0.5 * torch.sin(2 * torch.pi * 1000 * time) * (time >= 0.25)
        source = Waveform(tone[None], 8000)
        if kind == "raw":
            frontend = RawFrontend(8000)
        else:
            n_mels = 40 if kind == "mel" else None
            frontend = SpectrogramFrontend(StftSpec(8000, 256, 64), n_mels=n_mels)
        features = frontend.analyse(source)
        if relevance is None:
            relevance = features.values * (1 + channel) * 0.1
            relevance[..., : relevance.shape[-1] // 2] *= -1
        return Auralisation(
            waveform=Waveform(0.1 * source.samples.flip(1), 8000),
            source=source,
            round_trip=source,
            inversion=Inversion(relevance, Unit(layer, channel), "guided", 3.25, (2, 5), flags),
            features=features,
            frontend=frontend,
            model=model,
            sonification="waveform" if kind == "raw" else "mask",
            phase="none" if kind == "raw" else "source",
            scores={
                "spectral_convergence_db": -21.5,
                "round_trip_convergence_db": float("-inf"),
                "activation_source": 3.25,
                "activation_round_trip": 3.25,
                "activation_auralised": 2.75,
            },
        )

    return make
