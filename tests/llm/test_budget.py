from __future__ import annotations

import json

import pytest

from idiolect.errors import ArtifactError
from idiolect.llm.base import Budget, budget, pretrained_task
from idiolect.llm.registry import SANDBOX_BACKBONE


def test_what_is_asked_for_is_given_whatever_the_model(tmp_path):
    assert budget(3000, SANDBOX_BACKBONE, 1024) == Budget(3000, 3000)
    assert budget(100, tmp_path, None) == Budget(100, 100)


@pytest.mark.parametrize(("positions", "prompt"), [(None, 2048), (32_768, 2048), (2048, 1792), (1024, 768), (200, 100)])
def test_a_models_context_is_shared_with_its_answer(positions, prompt, tmp_path):
    assert budget(None, tmp_path, positions) == Budget(prompt, prompt)


def test_history_reaches_only_as_far_as_the_documents_a_model_learnt_from():
    recipe = json.loads((SANDBOX_BACKBONE / "pretrain.json").read_text())["recipe"]
    found = budget(None, SANDBOX_BACKBONE, 4096)
    assert found == Budget(2048, recipe["max_tokens"] - recipe["reference_tokens"])
    assert found.history < found.prompt


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"recipe": {"max_tokens": "many"}}'])
def test_a_damaged_record_is_named(text, tmp_path):
    (tmp_path / "pretrain.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"pretrain\.json"):
        budget(None, tmp_path, None)


def test_the_task_of_a_pretrained_model_is_read_from_its_recipe(tmp_path):
    assert pretrained_task(SANDBOX_BACKBONE) == "review"  # of a time when there was no other
    assert pretrained_task(tmp_path) is None
    (tmp_path / "pretrain.json").write_text('{"recipe": {"documents": {"task": "reply"}}}')
    assert pretrained_task(tmp_path) == "reply"
    (tmp_path / "pretrain.json").write_text('{"recipe": {"documents": []}}')
    with pytest.raises(ArtifactError, match=r"pretrain\.json"):
        pretrained_task(tmp_path)
