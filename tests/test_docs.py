"""What the documents say is run: the README's Python, every command line, the examples."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shlex
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import yaml

import idiolect
from idiolect.cli.main import COMMANDS, build_app
from idiolect.config import build
from idiolect.experiments import reference
from idiolect.llm.registry import SANDBOX_BACKBONE
from idiolect.pipeline.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
if not PAGES[0].is_file():
    pytest.skip("the documents are not beside the tests", allow_module_level=True)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def commands() -> list[str]:
    lines = [
        line for page in PAGES for block in blocks(page, "bash") for line in re.sub(r"\\\n\s*", "", block).splitlines()
    ]
    return [line.split("  #")[0].split(" > ")[0].strip() for line in lines if line.startswith("idiolect ")]


TINY = {
    "fit": {"max_steps": 1, "metric": "nll"},
    "controls": [],
    "context": {"k": 1},
    "targets": {"max_test": 2, "max_validation": 2},
    "backbone": {"max_prompt_tokens": 256},
    "sampling": {"max_new_tokens": 8},
}
REPLACED = {
    "README.md": {'"Qwen/Qwen2.5-7B-Instruct"': '"sandbox", settings=TINY', '"BAAI/bge-m3"': '"hash"'},
    "tutorial.md": {'model = "sandbox"': 'model = "fake"'},
}
"""Small models in the place of large ones; the rest of a page runs as it is printed."""


def reviews() -> pd.DataFrame:
    """The DataFrame of the README: a dozen users on the same ten items."""
    users = ["ann", *(f"u{n}" for n in range(11))]
    return pd.DataFrame(
        {"reviewerID": user, "asin": f"B{item}", "reviewText": f"{user} on B{item}: {'fine ' * (3 + place)}thing."}
        for item in range(10)
        for place, user in enumerate(users)
    )


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=page.name) for page in PAGES if re.search(r"^```python", page.read_text(), re.M)]
)
def test_the_python_of_the_documents_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page's blocks run in order, in one folder; a block that begins with ``# NAME.py`` is written to that file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, object] = {"TINY": TINY, **({"df": reviews()} if page.name == "README.md" else {})}
    for code in blocks(page, "python"):
        if file := re.match(r"# (\w+\.py)\n", code):
            (tmp_path / file[1]).write_text(code, encoding="utf-8")
            continue
        for printed, small in REPLACED.get(page.name, {}).items():
            code = code.replace(printed, small)
        exec(compile(code, page.name, "exec"), names)


@pytest.mark.parametrize("text", [text for page in PAGES for text in blocks(page, "yaml")])
def test_settings_in_the_documents_are_taken(text: str) -> None:
    build(Settings, yaml.safe_load(text))


@pytest.mark.parametrize("line", commands())
def test_every_command_line_in_the_documents_is_one_that_exists(line: str) -> None:
    tokens = shlex.split(line)[1:]
    build_app().parse_args([token for token in tokens if token != "COMMAND"], exit_on_error=False, print_error=False)


def test_there_are_command_lines_to_check() -> None:
    assert len(commands()) >= 7


def test_every_command_has_its_call_in_python() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?`) \| `idiolect\.", page, re.MULTILINE)
    named = {name.split()[0] for row in rows for name in re.findall(r"`(.*?)`", row)}
    assert named == set(COMMANDS)


def test_the_page_of_settings_is_what_the_code_says() -> None:
    on_disk = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert not reference.unlisted()
    assert on_disk == reference.page(), "python -m idiolect.experiments.reference > docs/settings.md"


def test_links_between_documents_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith(("http:", "https:")):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def named_parts() -> list[str]:
    """Every ``idiolect.module.Name`` that a page names in backticks, or takes from its docstring."""
    found = {
        name
        for page in PAGES
        for name in re.findall(r"(?:`|:: )(idiolect(?:\.\w+)+)", page.read_text(encoding="utf-8"))
    }
    return sorted(found)


@pytest.mark.parametrize("name", named_parts())
def test_what_the_documents_name_exists(name: str) -> None:
    found, path = idiolect, "idiolect"
    for part in name.split(".")[1:]:
        path = f"{path}.{part}"
        if isinstance(found, ModuleType) and hasattr(found, "__path__") and importlib.util.find_spec(path):
            found = importlib.import_module(path)
        else:
            assert hasattr(found, part) or part in found.__annotations__, name
            found = getattr(found, part, None)


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_examples_run(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    if not (SANDBOX_BACKBONE / "model.safetensors").is_file():
        pytest.skip("the sandbox backbone is not in this checkout")
    monkeypatch.setattr("sys.argv", [script.name, str(tmp_path)])
    runpy.run_path(str(script), run_name="__main__")
    assert "dep" in capsys.readouterr().out
