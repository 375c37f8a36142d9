"""What pip installs: every folder listed, nothing left out of the wheel, works from anywhere."""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
SOURCES = {"src/auralise": "auralise", **{f: f"auralise.{f}" for f in ("dashboards", "pretrained")}}
KINDS = "css html ico js json md ogg safetensors svg txt woff2 yaml"
DATA = (*(f"*.{kind}" for kind in KINDS.split()), "py.typed")


def shipped_files():
    """Pairs of a file that must be installed and the package it belongs to.

    Data may stand in a folder that is no package; it belongs to the next package above.
    """
    for folder, package in SOURCES.items():
        for path in sorted((ROOT / folder).rglob("*")):
            code = path.suffix == ".py"
            if path.is_file() and (code or any(fnmatch(path.name, p) for p in DATA)):
                names = [package, *path.parent.relative_to(ROOT / folder).parts]
                while not code and ".".join(names) not in SETUPTOOLS["packages"]:
                    names.pop()
                yield path, ".".join(names)


def installed_name(path):
    """Where a file of the sources stands in the wheel."""
    for folder, package in SOURCES.items():
        if path.is_relative_to(ROOT / folder):
            return f"{package.replace('.', '/')}/{path.relative_to(ROOT / folder).as_posix()}"
    raise AssertionError(path)


def listed_patterns(package):
    return SETUPTOOLS["package-data"].get(package, [])


def test_every_folder_is_a_listed_package():
    """A folder that is not listed works in an editable install and is missing from the wheel."""
    assert {package for _, package in shipped_files()} == set(SETUPTOOLS["packages"])


def test_every_data_file_is_covered_by_package_data():
    left_out = [
        str(path.relative_to(ROOT))
        for path, package in shipped_files()
        if path.suffix != ".py"
        and not any(
            fnmatch(installed_name(path), f"{package.replace('.', '/')}/{pattern}")
            for pattern in listed_patterns(package)
        )
    ]
    assert left_out == []


def test_every_package_with_modules_has_an_init():
    """Without it the editable install cannot import a folder that the wheel can."""
    folders = {path.parent for path, _ in shipped_files() if path.suffix == ".py"}
    assert [str(f) for f in sorted(folders) if not (f / "__init__.py").is_file()] == []


def constraints():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return [line.split(";")[0].strip() for line in lines if not line.startswith("#")]


def test_constraints_are_exact_sorted_and_without_local_suffix():
    lines = constraints()
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in lines)
    names = [line.partition("==")[0] for line in lines]
    assert names == sorted(set(names))


def test_every_requirement_has_an_exact_version():
    optional = PROJECT["project"]["optional-dependencies"]
    wanted = PROJECT["project"]["dependencies"] + [r for rs in optional.values() for r in rs]
    names = {re.match(r"[A-Za-z0-9_.-]+", r)[0].lower() for r in wanted} - {"auralise"}
    assert names <= {line.partition("==")[0] for line in constraints()}


def imported_packages(folder):
    """Top names of what a folder's modules import from elsewhere, with a file that does."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names = [name.name for name in node.names]
            else:
                names = [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            for top in {name.split(".")[0] for name in names} - {"auralise"}:
                if top not in sys.stdlib_module_names:
                    yield top, str(path.relative_to(ROOT))


def test_what_the_package_imports_is_a_dependency_of_its_own():
    """A package that another one brings along today may be gone with its next version."""
    providers = packages_distributions()
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [*PROJECT["project"]["dependencies"]]
    wanted += [r for name in ("train", "dashboard", "atlas", "ray", "captum") for r in extras[name]]
    declared = {re.match(r"[A-Za-z0-9_.-]+", r)[0].lower() for r in wanted}
    declared |= {
        "mirdata",
        "umap-learn",
        "umap",
    }  # asked for only where they are used, with a message
    borrowed = [
        f"{path} imports {top}"
        for folder in ("src/auralise", "dashboards")
        for top, path in imported_packages(folder)
        if not declared & {name.lower().replace("_", "-") for name in providers.get(top, [top])}
    ]
    assert borrowed == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy so that no build folder of before adds modules to it."""
    if importlib.util.find_spec("build") is None or importlib.util.find_spec("setuptools") is None:
        pytest.skip("needs build and setuptools, as in auralise[dev]")
    tree, dist = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for folder in SOURCES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tree / folder, ignore=ignore)
    command = ["-m", "build", "--wheel", "--no-isolation", "--outdir", dist, tree]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = dist.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_data_file(wheel):
    expected = {installed_name(path) for path, _ in shipped_files()}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == expected


@pytest.mark.slow
def test_the_wheel_runs_from_another_folder(wheel, tmp_path):
    """Installed beside nothing of the source tree: version, models and weights are its own."""
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site]
    subprocess.run([sys.executable, *install, wheel], check=True, capture_output=True)
    where = run_from(elsewhere, site, "-c", "import auralise; print(auralise.__file__)")
    assert Path(where.strip()).is_relative_to(site)
    version = run_from(elsewhere, site, "-m", "auralise", "--version")
    assert version.split()[-1] == "0.1.0"
    listed = run_from(elsewhere, site, "-m", "auralise", "models")
    assert "choi2016" in listed


def run_from(folder, site, *arguments):
    """Run Python in ``folder`` with the packages in ``site`` before the environment's own."""
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
