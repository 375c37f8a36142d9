"""What the documentation says still holds: examples run, commands exist, pages are complete."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXAMPLES = sorted((DOCS / "examples").glob("*.py"))
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
FENCE = re.compile(r"^```([^\n]+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def page_name(page):
    return str(page.relative_to(ROOT))


def blocks(page, language):
    """The code blocks of a page in one language."""
    text = page.read_text("utf-8")
    return [code for name, code in FENCE.findall(text) if name == language]


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_in_an_empty_folder(example, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    state = torch.get_rng_state()
    runpy.run_path(str(example), run_name="__main__")
    torch.set_rng_state(state)
    assert "nan" not in capsys.readouterr().out


def test_python_on_the_pages_is_code_that_the_tests_run():
    """Blocks on pages are copies of an example, or, in the tutorial, pieces included from one."""
    tested = [example.read_text("utf-8") for example in EXAMPLES]
    untested = [
        f"{page_name(page)}: {code}"
        for page in PAGES
        for code in blocks(page, "python")
        if not any(code.strip() in example for example in tested)
    ]
    assert untested == []


def commands_on(page):
    """Every ``auralise ...`` line in the shell blocks of a page."""
    for code in blocks(page, "console") + blocks(page, "sh"):
        joined = code.replace("\\\n", " ")
        for line in joined.splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[:1] == ["auralise"]:
                yield words[1:]


COMMANDS = [(page_name(page), words) for page in PAGES for words in commands_on(page)]


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=lambda value: str(value)[:60])
def test_a_command_on_a_page_exists_with_its_options(page, words):
    from typer.main import get_command

    from auralise.cli.main import app

    command = get_command(app)
    if words[0].startswith("-"):
        options = command.params
    else:
        assert words[0] in command.commands
        while words and words[0] in getattr(command, "commands", {}):
            command, words = command.commands[words[0]], words[1:]
        options = command.params
    known = {name for option in options for name in (*option.opts, *option.secondary_opts)}
    assert {word.split("=")[0] for word in words if word.startswith("-")} <= known | {"--help"}


def test_pages_show_commands():
    """Else the test above would pass on nothing."""
    shown = {words[0] for _, words in COMMANDS}
    wanted = {"demo", "models", "layers", "methods", "predict", "unit", "layer", "train"}
    assert wanted <= shown


def test_the_reference_lists_every_public_module():
    text = "".join(page.read_text("utf-8") for page in (DOCS / "reference").glob("*.md"))
    listed = set(re.findall(r"automodule:: ([\w.]+)", text))
    package = ROOT / "src" / "auralise"
    modules = {
        "auralise." + ".".join(path.relative_to(package).with_suffix("").parts)
        for path in package.rglob("*.py")
        if not path.stem.startswith("_") and "cli" not in path.relative_to(package).parts
    }
    assert listed == modules


def test_every_command_and_option_is_in_the_reference():
    from typer.main import get_command

    from auralise.cli.main import app

    text = (DOCS / "reference" / "command-line.md").read_text("utf-8")
    sections = {part.split("\n")[0]: part for part in text.split("\n## ")[1:]}
    commands = get_command(app).commands
    assert set(sections) == {f"auralise {name}" for name in commands}
    for name, command in commands.items():
        options = {o for p in command.params for o in p.opts if o.startswith("--")}
        described = set(re.findall(r"^\| `(--[\w-]+)", sections[f"auralise {name}"], re.MULTILINE))
        assert described == options, name


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_to_files_lead_somewhere(page):
    text = FENCE.sub("", page.read_text("utf-8"))
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []
