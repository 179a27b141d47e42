"""The documentation is complete and its examples run (cf. simonw/datasette: tests/test_docs.py)."""

from __future__ import annotations

import ast
import dataclasses
import os
import pkgutil
import re
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import lineal
from lineal import errors
from lineal.cli.app import app, execute
from lineal.client import session
from lineal.config import Settings, environment_variables
from tests import seed_world

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SOURCES = ROOT / "src" / "lineal"
PAGES = sorted(DOCS.rglob("*.md"))


def text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


PYTHON = text("reference/python.md")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_setting_is_described(setting):
    rows = [line for line in text("reference/settings.md").splitlines() if line.startswith("| `")]
    row = next((line for line in rows if line.startswith(f"| `{setting.name}` ")), None)
    assert row is not None, f"docs/reference/settings.md lacks a row for `{setting.name}`"
    for variable in environment_variables(setting.name):
        assert f"`{variable}`" in row
    assert _default(setting.default) in row
    meaning = re.sub(r" \([A-Z]{3}-\d+\)", "", setting.metadata["meaning"])
    assert row.rstrip(" |").endswith(meaning)


def _default(value: Any) -> str:
    if value is None or value == ():
        return "| - |"
    return f"| `{str(value).lower() if isinstance(value, bool) else value}` |"


def test_no_setting_is_described_that_does_not_exist():
    described = re.findall(r"^\| `([a-z_]+)` \|", text("reference/settings.md"), re.MULTILINE)
    assert set(described) == {field.name for field in dataclasses.fields(Settings)}


# --- commands -----------------------------------------------------------------------------------


def commands(command: Any = None, path: str = "lineal") -> Iterator[tuple[str, Any]]:
    command = command or typer.main.get_command(app)
    children = getattr(command, "commands", {})
    if not children:
        yield path, command
    for name, child in children.items():
        yield from commands(child, f"{path} {name}")


COMMANDS = dict(commands())


def section(page: str, heading: str) -> str:
    found = re.search(
        rf"^### `{re.escape(heading)}`\n(.*?)(?=^##|\Z)", text(page), re.MULTILINE | re.DOTALL
    )
    assert found, f"docs/{page} lacks a section for `{heading}`"
    return found[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_described_with_all_its_options(name):
    command = COMMANDS[name]
    described = section("reference/cli.md", name)
    for parameter in command.params:
        if parameter.name == "help":
            continue
        if parameter.param_type_name == "argument":
            spelling = parameter.metavar or parameter.name.upper()
            assert spelling.strip("[].") in described
        for option in parameter.opts if parameter.param_type_name == "option" else ():
            assert re.search(rf"`{option}[ `]", described), f"`{option}` of `{name}`"


@pytest.mark.parametrize("name", COMMANDS)
def test_what_an_option_takes_is_called_the_same_in_help_and_reference(name):
    described = section("reference/cli.md", name)
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option" and not parameter.is_flag:
            assert f"`{parameter.opts[0]} {parameter.metavar}`" in described


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_is_described_that_does_not_exist(name):
    existing = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    listed = re.findall(r"^- (.*?):", section("reference/cli.md", name), re.MULTILINE)
    options = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", " ".join(listed)))
    assert options <= existing


def test_no_command_is_described_that_does_not_exist():
    described = re.findall(r"^### `(lineal [^`]+)`$", text("reference/cli.md"), re.MULTILINE)
    assert set(described) == set(COMMANDS)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=name_of)
def test_commands_in_examples_exist(page):
    shown = re.findall(r"(?:^\$ |`)(lineal [a-z][^\n`]*)", page.read_text("utf-8"), re.MULTILINE)
    for line in shown:
        words = line.split()
        groups = {"lineal artifact", "lineal run", "lineal project", "lineal retention"}
        groups |= {"lineal sweep", "lineal ref", "lineal artifact cache"}
        if " ".join(words[:3]) in groups:
            name = " ".join(words[:4])
        else:
            name = " ".join(words[:3] if " ".join(words[:2]) in groups else words[:2])
        if words[1] == "sweep" and name not in COMMANDS:
            name = "lineal sweep create"  # which a file or a flag instead of a verb means
        assert name in COMMANDS.keys() | groups, line


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_each_option_does(name):
    assert COMMANDS[name].help
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option":
            assert parameter.help, f"`{name}` {parameter.opts}"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_and_reference_have_the_same_examples(name):
    in_help = re.findall(r"^  (lineal .*)$", COMMANDS[name].help, re.MULTILINE)
    described = section("reference/cli.md", name)
    assert in_help == re.findall(r"^\$ (lineal .*)$", described, re.MULTILINE)


def test_help_of_a_group_cuts_no_command_short(capsys):
    groups = {name.rpartition(" ")[0].removeprefix("lineal").strip() for name in COMMANDS}
    for group in groups:
        execute([*group.split(), "--help"])
        told = " ".join(capsys.readouterr().out.split())
        for name in COMMANDS:
            if name.rpartition(" ")[0] == f"lineal {group}".strip():
                first_paragraph = " ".join(COMMANDS[name].help.partition("\n\n")[0].split())
                assert first_paragraph.removesuffix(".") in told


# --- errors -------------------------------------------------------------------------------------


def error_classes() -> list[type[errors.LinealError]]:
    found = [errors.LinealError]
    for each in found:
        found.extend(child for child in each.__subclasses__() if child not in found)
    return [each for each in found if each.__module__ == "lineal.errors"]


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.code)
def test_error_is_described(error):
    row = f"| `{error.code}` | `{error.__name__}` | {error.exit_code} | {error.status} | "
    assert row in text("reference/errors.md")


def test_error_codes_are_unique():
    codes = [error.code for error in error_classes()]
    assert len(codes) == len(set(codes))


# --- python -------------------------------------------------------------------------------------


def test_public_names_are_on_the_page_of_python():
    """A class or function itself; what is done with the active run as a method of `Run`."""
    shown = {
        pkgutil.resolve_name(name) for name in re.findall(r"^::: (\S+)$", PYTHON, re.MULTILINE)
    }
    ignored = {"ensure_configured", "login", "setup", "require", "teardown"}  # they do nothing here
    missing = [
        name
        for name in lineal.__all__
        if callable(found := getattr(lineal, name))
        and found not in shown
        and not (isinstance(found, type) and issubclass(found, Exception))
        and not hasattr(lineal.Run, name)
        and name not in ignored
    ]
    assert missing == []


# --- examples -----------------------------------------------------------------------------------


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the examples talk about, in a home and a folder of their own."""
    monkeypatch.setenv("LINEAL_DISABLE_GIT", "true")
    seed_world.make_files()
    yield
    lineal.finish()
    session.close()


def python_blocks(page: Path) -> list[tuple[int, str]]:
    """Return line number and source of every fenced Python block."""
    found = re.finditer(
        r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return [(page.read_text("utf-8")[: match.start(1)].count("\n"), match[1]) for match in found]


def run_blocks(page: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for line, block in python_blocks(page):
        source = "\n" * line + textwrap.dedent(block)
        exec(compile(source, name_of(page), "exec"), namespace)


EXAMPLE_PAGES = [page for page in PAGES if python_blocks(page) and "faq" not in page.name]


@pytest.mark.parametrize("page", EXAMPLE_PAGES, ids=name_of)
def test_examples_run(page, world):
    run_blocks(page)


@pytest.mark.parametrize("page", ["guides/faq.md", "guides/faq.es.md"])
def test_examples_of_the_questions_run(page, world):
    seed_world.make_existing_run()
    seed_world.make_graph()
    seed_world.make_graph(entity="entity")
    seed_world.make_trained_runs(entity="entity")
    seed_world.make_my_table()
    run_blocks(DOCS / page)


def test_both_languages_have_the_same_questions():
    english, spanish = text("guides/faq.md"), text("guides/faq.es.md")
    for pattern in (r"^#+ ", r"^```python$"):
        count = len(re.findall(pattern, english, re.MULTILINE))
        assert count == len(re.findall(pattern, spanish, re.MULTILINE))


def test_readme_example_runs_and_prints_the_lineage(world, capsys):
    run_blocks(ROOT / "README.md")
    printed = capsys.readouterr().out
    assert "numbers:v0" in printed
    assert "train" in printed
    run_blocks(ROOT / "README.md")  # twice, as it suggests: still one version
    assert len(lineal.Api().artifacts(name="first-steps/numbers")) == 1


# --- the whole ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "news" / "README.md", *PAGES], ids=name_of
)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{name_of(page)}: {target}"


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in PAGES:
        assert f": {page.relative_to(DOCS)}\n" in navigation, page


@pytest.mark.parametrize("page", sorted((DOCS / "design").iterdir()), ids=name_of)
def test_design_page_names_modules_and_what_is_in_them(page):
    for module, name in re.findall(r"`([\w/]+/\w+\.py)(?:::(\w+))?`", page.read_text("utf-8")):
        found = [*SOURCES.rglob(module), *ROOT.glob(module)]
        assert found, f"{name_of(page)}: {module}"
        defined = ast.parse(found[0].read_text("utf-8")).body
        names = [each.name for each in defined if isinstance(each, ast.FunctionDef | ast.ClassDef)]
        assert name in ("", *names), f"{name_of(page)}: {module} has no {name}"


def test_everything_in_a_home_is_on_the_page_for_operators(world, home):
    page = text("guides/operating.md")
    with lineal.init(project="p") as run:
        artifact = lineal.Artifact("data", "dataset")
        artifact.add_bytes(b"1", "data.txt")
        run.log_artifact(artifact)
    found = os.listdir(home)
    assert "gc.last" in found
    assert [name for name in found if f"{name}`" not in page and f"{name}/`" not in page] == []


def test_every_extra_is_on_the_page_that_says_how_to_install():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for extra in project["optional-dependencies"].keys() - {"dev", "docs", "postgres"}:
        assert f"`{extra}`" in text("guides/getting-started.md")


def test_news_fragments_have_a_known_kind():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    kinds = "|".join(kind["directory"] for kind in project["tool"]["towncrier"]["type"])
    for path in (ROOT / "news").iterdir():
        if path.name != "README.md":
            assert re.fullmatch(rf"\d+\.({kinds})(\.\d+)?\.md", path.name), path.name
            assert not path.read_text("utf-8").rstrip().endswith("."), path.name
