"""Likelihood by class of token."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.errors import ConfigError
from idiolect.evaluation.runner import run_evaluate
from idiolect.evaluation.token_classes import CLASSES, CONTENT, END, FUNCTION, MARKS, NAMES, TokenClasses, classify
from idiolect.llm.base import TokenNats
from idiolect.llm.registry import BackboneConfig
from idiolect.llm.transformers import TransformersLLM
from idiolect.pipeline.results import read_lines
from idiolect.types import Block, Item, Message, Prompt, Sample


def kinds(text: str, *tokens: str, names: tuple[str, ...] = ()) -> list[str]:
    """The classes of tokens that follow each other."""
    ends = np.cumsum([len(token) for token in tokens])
    spans = np.stack([np.r_[0, ends[:-1]], ends], axis=1)
    return [CLASSES[k] for k in classify(text, spans, set(names))]


def test_a_token_has_the_class_of_the_word_that_it_begins_in() -> None:
    text = "I don't like Chimay's 2nd — ok."
    tokens = ("I", " don", "'t", " li", "ke", " Chi", "may", "'s", " 2", "nd", " —", " ok", ".")
    expected = [FUNCTION, FUNCTION, FUNCTION, CONTENT, CONTENT, NAMES, NAMES, NAMES, MARKS, CONTENT, MARKS, CONTENT]
    assert kinds(text, *tokens, names=("chimay",)) == [*expected, MARKS]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.data())
def test_every_token_has_a_class_and_nothing_is_lost(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)) | {0, len(text)})
    spans = np.array([*pairwise(cuts), (len(text), len(text))], dtype=np.int64)
    sample = Sample(user="u", item="i", reference=text)
    found = TokenClasses([sample], {"i": Item(id="i", title="Some title")})
    nats = np.arange(1.0, len(spans) + 1)
    (row,) = found.sums([TokenNats(nats, spans)])
    if row is not None:  # else it is not in English
        assert sum(value for value, _ in row.values()) == pytest.approx(nats.sum())
        assert sum(count for _, count in row.values()) == len(spans)
        assert row[END] == [nats[-1], 1]


def test_texts_in_other_languages_and_without_places_are_left_out() -> None:
    german = Sample(user="u", item="i", reference="Das Bier war nicht gut, aber die Flasche ist schön und groß.")
    english = Sample(user="v", item="i", reference="The beer was not good, but it is cheap.")
    found = TokenClasses([german, english], {})
    spans = np.array([[0, 3], [3, 3]])
    assert found.sums([TokenNats(np.ones(2), spans), TokenNats(np.ones(2), None)]) == [None, None]


@pytest.mark.parametrize("text", ["The tea, so good!\n\nI'd buy it.", "été – 茶 🍵", "", "a  b <|endoftext|> c"])
def test_nats_of_tokens_add_up_to_the_likelihood_and_their_places_cover_the_text(job: Any, text: str) -> None:
    llm = TransformersLLM.load(BackboneConfig(model=str(job.backbone)))
    prompt = Prompt((Message("system", (Block(("Be brief.",)),)), Message("user", (Block(("Write.",)),))))
    texts = [text, "another text of another length, so that rows are padded"]
    found = llm.token_nats([prompt, prompt], texts)
    np.testing.assert_allclose([one.nats.sum() for one in found], llm.negative_log_likelihood([prompt, prompt], texts))
    if "endoftext" in text:
        assert found[0].spans is None
    else:
        assert len(found[0].spans) == len(found[0].nats)
        covered = {place for begin, end in found[0].spans for place in range(begin, end)}
        assert {place for place, letter in enumerate(text) if not letter.isspace()} <= covered


@pytest.mark.parametrize(("title", "classes"), [({"the"}, CLASSES), (set(), [c for c in CLASSES if c != NAMES])])
def test_an_evaluation_splits_the_likelihood_of_methods_and_controls(
    title: set[str], classes: list[str], job: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    """A class without any token, such as names of items that have no titles, is no column of zeros."""
    monkeypatch.setattr("idiolect.evaluation.token_classes._words", lambda _: title)
    changes = {**job.settings, "methods": [], "token_classes": True}
    found = run_evaluate(job.store, job.split, tmp_path, changes=changes, backbone=str(job.backbone))
    record = json.loads((tmp_path / "results.json").read_text())["token_classes"]
    assert list(record["tables"]) == ["methods", "controls of rag"]
    for row in record["tables"]["methods"]["methods"]:
        whole = read_lines(tmp_path / "samples" / f"{row['name']}.jsonl")
        assert list(row["scores"]) == list(classes)
        total = sum(score["value"] for score in row["scores"].values())
        assert total == pytest.approx(np.mean([one["nll"] for one in whole]), rel=1e-6)
    assert list(record["tokens"]) == list(classes)
    assert record["tokens"][END] == 1
    assert "## Likelihood by class of token" in found.report.read_text()


def test_a_model_without_token_likelihoods_is_refused_before_anything_is_written(job: Any, tmp_path: Path) -> None:
    changes = {**job.settings, "methods": [], "token_classes": True}
    with pytest.raises(ConfigError, match="token_classes needs the likelihood of every token"):
        run_evaluate(job.store, job.split, tmp_path / "out", changes=changes, backbone="fake")
    assert not list((tmp_path / "out").glob("samples/*"))
