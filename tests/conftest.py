"""Fixtures shared by all tests."""

import os
from pathlib import Path

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
