"""The order of the house: who may import whom, read from the source without running it."""

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# In the order a signal meets them; each may import those before it, and of its own.
ORDER = (
    "errors",
    "registry",
    "units",
    "audio",
    "spectral",
    "phase",
    "perturbations",
    "frontends",
    "models",
    "datasets",
    "training",
    "activations",
    "inversion",
    "preparation",
    "masks",
    "positions",
    "settings",
    "way",
    "auralisation",
    "resuming",
    "filters",
    "audit",
    "atlas",
    "claims",
    "output",
    "cli",
    "dashboards",
    "__main__",
)

# These work on any nn.Module and know nothing of audio: all they may import.
NARROW = {
    "activations": {"errors", "registry", "units"},
    "inversion": {"errors", "registry", "units", "activations"},
}

# Any file may look up the version.
BELOW_ALL = {"__version__"}

# Imported at the moment of display only: a notebook shows an Auralisation as output draws it,
# while the way itself (auralisation.py) does not know what is drawn.
AGAINST_THE_ORDER = {("auralise.auralisation", "auralise.output.notebook")}

# Third-party packages that are at home in a few files; the prefix of a module's name.
AT_HOME = {
    "captum": ("auralise.inversion.captum_methods",),
    "dash": ("auralise.dashboards",),
    "dash_mantine_components": ("auralise.dashboards",),
    "duckdb": ("auralise.atlas.store",),
    "lightning": ("auralise.training",),
    "librosa": (
        "auralise.perturbations.moves",
        "auralise.perturbations.mutes",
        "auralise.spectral.mel",
    ),
    "matplotlib": (
        "auralise.output.charts_png",
        "auralise.output.evaluation_png",
        "auralise.output.png",
        "auralise.output.tuning_png",
    ),
    "fsspec": ("auralise.atlas.store",),
    "numba": ("auralise.phase.compiling",),
    "plotly": (
        "auralise.output.charts_interactive",
        "auralise.output.evaluation_interactive",
        "auralise.output.interactive",
        "auralise.output.tuning_interactive",
        "auralise.dashboards",
    ),
    "audiomentations": ("auralise.training.augment",),
    "diskcache": ("auralise.dashboards",),
    "filelock": ("auralise.datasets.appending", "auralise.datasets.cache"),
    "flask": ("auralise.dashboards",),
    "h5py": ("auralise.datasets.msd",),
    "pyarrow": ("auralise.datasets.manifest", "auralise.atlas", "auralise.output.parquet"),
    "scipy": (
        "auralise.atlas.statistics",
        "auralise.claims",
        "auralise.filters.compare",
        "auralise.phase.streamed",
    ),
    "skimage": ("auralise.spectral.texture", "auralise.spectral.binary_patterns"),
    "sklearn": ("auralise.training.fusion",),
    "torchmetrics": ("auralise.training",),
    "umap": ("auralise.atlas.maps",),
    "waitress": ("auralise.dashboards",),
    "webdataset": ("auralise.datasets.shards",),
    "yaml": ("auralise.training.recipes",),
    "ray": ("auralise.atlas.engines",),
    "safetensors": ("auralise.models.weights", "auralise.training.checkpoints"),
    "soundfile": (
        "auralise.audio.coding",
        "auralise.audio.decoding",
        "auralise.audio.files",
        "auralise.audio.writing",
    ),
    "soxr": ("auralise.audio.resampling",),
    "typer": ("auralise.cli",),
    "rich": ("auralise.cli",),
}


@dataclass(frozen=True)
class Import:
    """``module`` imports ``target``, written at ``line``."""

    module: str
    target: str
    line: int

    def __str__(self):
        return f"{self.module}:{self.line} imports {self.target}"


def module_name(path, root=ROOT):
    parts = path.relative_to(root).with_suffix("").parts
    parts = parts[1:] if parts[0] == "src" else ("auralise", *parts)
    return ".".join(parts).removesuffix(".__init__")


def imports_in(source, module, is_package):
    """Every import in a file, at any depth, with relative ones made absolute."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(module, name.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            origin = ".".join(part for part in (base, node.module) if part)
            for name in node.names:
                yield Import(module, f"{origin}.{name.name}", node.lineno)


def all_imports(root=ROOT):
    for folder in ("src/auralise", "dashboards"):
        for path in sorted((root / folder).rglob("*.py")):
            yield from imports_in(
                path.read_text("utf-8"), module_name(path, root), path.name == "__init__.py"
            )


def place(name):
    """The folder, or single module, under auralise that a dotted name is in; None for others."""
    parts = name.split(".")
    return parts[1] if parts[0] == "auralise" and len(parts) > 1 else None


def within(name, prefixes):
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def faults(found):
    """Say what is wrong with each import that the order forbids."""
    for item in found:
        yield from (f"{item}{why}" for why in (stray(item), disorder(item)) if why)


def stray(item):
    """Say so where a package is imported outside the files it is at home in."""
    top = item.target.split(".")[0]
    if top == "dashboards":
        return "; from outside it is auralise.dashboards, from inside a relative import"
    if not within(item.module, AT_HOME.get(top, (item.module,))):
        return f", which is at home in {', '.join(AT_HOME[top])}"
    return None


def disorder(item):
    """Say so where a part of auralise imports one that it must not know."""
    here, there = place(item.module), place(item.target)
    if here in (None, there) or there in {None, *BELOW_ALL}:
        return None
    if any(item.module == m and within(item.target, (t,)) for m, t in AGAINST_THE_ORDER):
        return None
    if there not in ORDER:
        return "; import it from the module that defines it"
    if there == "dashboards":
        return None if item.module == "auralise.cli.dashboard" else "; only cli.dashboard may"
    if ORDER.index(there) > ORDER.index(here):
        return ", which comes later"
    if there not in NARROW.get(here, {there}):
        return f"; {here} may import only {', '.join(sorted(NARROW[here]))}"
    return None


def test_every_import_follows_the_order_of_the_house():
    assert list(faults(all_imports())) == []


def test_every_folder_has_a_place_in_the_order():
    folders = {module_name(path).split(".")[1] for path in (ROOT / "src/auralise").glob("*/*.py")}
    modules = {path.stem for path in (ROOT / "src/auralise").glob("*.py")}
    assert (folders | modules) - {"__init__"} <= set(ORDER)


def test_the_dashboard_imports_its_own_modules_relatively():
    """Else, run from the repository, each of them would exist twice under two names."""
    absolute = [
        str(item)
        for item in all_imports()
        if place(item.module) == "dashboards"
        and within(item.target, ("auralise.dashboards", "dashboards"))
        and f"import {item.target.rpartition('.')[2]}" in line_of(item)
        and "from ." not in line_of(item)
    ]
    assert absolute == []


def line_of(item):
    parts = item.module.split(".")[1:]
    path = ROOT.joinpath(*parts)
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path.read_text("utf-8").splitlines()[item.line - 1]


@pytest.mark.parametrize(
    ("module", "line", "fault"),
    [
        ("audio.files", "from auralise.models.base import wrap", "which comes later"),
        ("audio.files", "from auralise import models", "which comes later"),
        ("audio.files", "def f():\n    import auralise.cli", "which comes later"),
        ("audio.files", "from ..spectral import stft", "which comes later"),
        ("inversion.backprop", "from auralise.audio.waveform import Waveform", "may import only"),
        ("activations.layers", "from auralise.spectral import stft", "may import only"),
        ("auralisation", "from auralise.output.figures import overview", "which comes later"),
        ("models.base", "import plotly.graph_objects as go", "at home in auralise.output"),
        ("inversion.backprop", "from captum.attr import Saliency", "captum_methods"),
        (
            "output.report",
            "from auralise.dashboards.app import create_app",
            "only cli.dashboard",
        ),
        ("cli.demo", "import auralise.dashboards", "only cli.dashboard"),
        ("cli.unit", "from auralise import auralise_unit", "module that defines it"),
        ("dashboards.app", "from dashboards import ids", "from inside a relative import"),
    ],
)
def test_a_planted_import_against_the_order_is_found(module, line, fault):
    found = list(faults(imports_in(line, f"auralise.{module}", is_package=False)))
    assert len(found) == 1
    assert fault in found[0]


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("cli.dashboard", "from auralise.dashboards.app import create_app"),
        ("auralisation", "from auralise.output.notebook import to_html"),
        ("inversion.backprop", "from auralise.activations.layers import Unit"),
        ("cli", "from auralise import __version__"),
        ("dashboards.pages.listen", "from .. import ids"),
        ("phase.compiling", "from numba import njit"),
    ],
)
def test_an_import_with_the_order_is_let_through(module, line):
    assert list(faults(imports_in(line, f"auralise.{module}", is_package=False))) == []


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )


def test_help_does_not_import_torch():
    """Torch alone would make every command wait a second or more before its first word."""
    done = run_python(
        "import sys\n"
        "sys.argv = ['auralise', '--help']\n"
        "from auralise.cli import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'torch', 'numpy', 'librosa', 'plotly', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)\n"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage" in done.stdout


def test_importing_the_package_does_not_import_torch():
    done = run_python("import sys, auralise; sys.exit('torch' in sys.modules)")
    assert done.returncode == 0
