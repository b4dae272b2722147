"""The library stays light to import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import idiolect

PACKAGE = Path(idiolect.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"torch", "transformers", "sentence_transformers", "nltk", "sacrebleu", "rouge_score", "bert_score", "datasets"}
HEAVY |= {"regex"}  # of tests only


def name_of(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def imported(code: str) -> set[str]:
    """Top-level packages in ``sys.modules`` after ``code`` ran in a fresh interpreter."""
    report = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "idiolect", "idiolect.config", "idiolect.metrics.registry", "idiolect.evaluation.report",
        "idiolect.cli.screens", "idiolect.experiments.demo", "idiolect.experiments.study.report",
    ],
)  # fmt: skip
def test_importing_loads_no_heavy_package(module: str) -> None:
    assert not imported(f"import {module}") & HEAVY


def test_a_server_starts_without_the_packages_of_other_extras() -> None:
    pytest.importorskip("prometheus_client")
    assert not imported("import idiolect.server.app, idiolect.cli.server") & HEAVY


def test_importing_the_root_loads_none_of_its_packages_but_the_words() -> None:
    report = "import sys, idiolect; print(*(n for n in sys.modules if n.startswith('idiolect.')))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"idiolect.types", "idiolect.version"}


@pytest.mark.parametrize("file", [file for file in FILES if file != PACKAGE / "__init__.py"], ids=name_of)
def test_no_file_imports_the_package_root(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert all(alias.name != "idiolect" for alias in node.names), f"line {node.lineno}"
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            assert node.module != "idiolect", f"line {node.lineno}"
