"""Every recipe in the repository is one that the library accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from idiolect.config import load
from idiolect.pipeline.settings import Settings
from idiolect.training.config import PretrainConfig

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_is_valid(path: Path) -> None:
    load(PretrainConfig if path.stem.endswith("_backbone") else Settings, path)
