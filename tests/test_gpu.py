"""The comparison of a GPU with the CPU: its way, without a GPU, and on one where there is one."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from auralise.inversion import INVERTERS
from auralise.phase import PHASE_METHODS

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"


def run(*arguments):
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)


@pytest.mark.slow
def test_the_way_is_gone_without_a_gpu():
    pytest.importorskip("captum")
    done = run("--device", "cpu", "--dry")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OVER" not in done.stdout
    for kind in ("functional", "in place", "residual", "between devices"):
        rows = [row for row in done.stdout.splitlines() if row.startswith(f"| {kind} |")]
        assert {row.split("|")[2].strip() for row in rows} == set(INVERTERS)
    for name in PHASE_METHODS:
        assert f"| {name} | 0e+00 | 0.00 |" in done.stdout
    assert "refused" in done.stdout  # captum's DeepLIFT where ReLUs are functions
    assert "real-time factor" in done.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so():
    done = run()
    assert done.returncode == 1
    assert "there is no GPU here" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_maps_and_waveforms_of_a_gpu_are_the_cpu_s():
    done = run("--dry")
    assert done.returncode == 0, done.stdout + done.stderr
