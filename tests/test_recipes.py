"""Every shipped recipe is one that the library accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from idiolect.config import load, recipes
from idiolect.experiments.tables.spec import Profile, TableSpec
from idiolect.pipeline.settings import Settings
from idiolect.training.config import PretrainConfig

RECIPES = sorted(recipes().rglob("*.yaml"))


def test_there_are_recipes() -> None:
    assert len(RECIPES) >= 30


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_recipe_is_valid(path: Path) -> None:
    if path.stem.startswith(("table-", "figure-")):
        load(TableSpec, path)
    elif path.stem.endswith("_table"):
        load(Profile, path, {"name": "sandbox", "source": "reviews.jsonl"})
    else:
        load(PretrainConfig if path.stem.endswith("_backbone") else Settings, path)
