"""The papers' recipes without their weights: prompts fit, and a step, an accumulation and a text with few layers.

The 7B model's shapes and the share that is trained are in ``tests/test_planning.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from idiolect.config import load, read_yaml, recipes
from idiolect.methods.base import METHODS, requirements
from idiolect.pipeline.commands import run_fit
from idiolect.pipeline.settings import Settings
from idiolect.pipeline.write import write_review
from idiolect.prompts.rendering import render
from idiolect.prompts.tokenization import PromptTokenizer
from idiolect.types import VirtualToken

RECIPES = recipes()
WORDS = 400
"""Of each of the eight past reviews: in tokens of the test's tokenizer, more than any budget has room for."""


@pytest.mark.parametrize("recipe", ["dep/dep", "dep/budget_2048", "dep/language", "drp/dpl", "drp/drp"])
def test_prompts_of_long_histories_fit_the_budget(recipe: str, make_context: Any, tiny_tokenizer: Any) -> None:
    settings = load(Settings, RECIPES / f"{recipe}.yaml")
    budget = settings.backbone.max_prompt_tokens
    assert budget is not None
    prompts = PromptTokenizer(tiny_tokenizer, max_tokens=budget)
    context = make_context(settings.context.k, words=WORDS * budget // 1000)
    soft = settings.backbone.backend != "vllm"
    prompt = render("dep" if soft else "rag", context, settings.prompt)
    encoded = prompts.encode(prompt)
    assert budget / 2 < len(encoded.ids) <= budget
    # The oldest past reviews are dropped first, and with a text its virtual tokens.
    assert encoded.kept_entries == tuple(range(len(encoded.kept_entries)))
    assert 0 < len(encoded.kept_entries) < settings.context.k
    tokens = [token for token in encoded.virtual_tokens if isinstance(token, VirtualToken)]
    assert {token.entry for token in tokens} == (set(encoded.kept_entries) if soft else set())


@pytest.mark.parametrize("recipe", ["dep/dep", "dep/budget_2048", "dep/pplug"])
def test_a_recipe_takes_a_step_an_accumulation_and_writes(recipe: str, job: Any, tmp_path: Path) -> None:
    """The recipe as it stands, but for the encoder, the size of the backbone, and lengths."""
    config = RECIPES / f"{recipe}.yaml"
    stated = read_yaml(config)
    changes = {
        "encoder": "hash:48",
        "backbone": {"model": str(job.backbone), "max_prompt_tokens": 512},
        "fit": {"max_steps": 1, "metric": "nll", "max_target_tokens": 48},
        "targets": {"train_per_user": "all", "max_validation": 2},
        "sampling": {"max_new_tokens": 4},
    }
    (report,) = run_fit(job.store, job.split, tmp_path / "adapter", config=config, changes=changes).values()
    assert report.steps == 1
    assert report.trainable_parameters > 0
    settings = Settings.model_validate(json.loads((tmp_path / "adapter" / "settings.json").read_text())["settings"])
    assert settings.fit.accumulation == stated["fit"]["accumulation"] > 1
    assert settings.adapter_preset == stated["adapter_preset"]
    written = write_review(
        job.store, user="s3-u00000", item="s3-i00000", adapter=tmp_path / "adapter", backbone=str(job.backbone)
    )
    assert written.method == settings.adapter_method
    assert 0 < written.completion_tokens <= 4
    assert written.prompt_tokens <= 512


FULL = sorted(path for path in RECIPES.glob("d*/*.yaml") if not path.stem.startswith(("table-", "figure-")))


@pytest.mark.parametrize("path", FULL, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_role_of_a_full_recipe_is_a_model(path: Path) -> None:
    settings = load(Settings, path)
    for name in settings.methods:
        needs = requirements(name)
        assert name in METHODS
        assert needs.analysis_roles <= settings.differences.roles.keys(), name
    assert not settings.negative_controls
    assert settings.prompt.description_chars >= 100_000
