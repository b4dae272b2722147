"""Where the soft prompts of DEP are."""

from __future__ import annotations

import numpy as np
import pytest

from idiolect.context import Context, Entry
from idiolect.errors import ConfigError
from idiolect.prompts.rendering import PromptConfig, render
from idiolect.types import Item, Review, Sample

VECTOR = np.zeros(3, dtype=np.float32)


def context(n_entries, *, without_peers=()):
    entries = tuple(
        Entry(
            review=Review(id=f"r{k}", user="u", item=f"i{k}", text=f"Past text {k}"),
            item=Item(id=f"i{k}"),
            e_his=VECTOR,
            e_diff=None if k in without_peers else VECTOR,
            n_peers=1,
        )
        for k in range(n_entries)
    )
    return Context(
        sample=Sample.of(Review(id="t", user="u", item="new", text="x")), item=Item(id="new"), entries=entries
    )


def flat(prompt):
    return [segment for message in prompt.messages for block in message.blocks for segment in block.segments]


def test_grouped_tokens_stand_after_all_texts_and_before_the_item():
    segments = flat(render("dep", context(3, without_peers={1}), PromptConfig(layout="grouped")))
    tokens = [k for k, segment in enumerate(segments) if not isinstance(segment, str)]
    assert tokens == list(range(tokens[0], tokens[0] + 5))
    before, after = "".join(segments[: tokens[0]]), "".join(segments[tokens[-1] + 1 :])
    assert all(f"Past text {k}" in before for k in range(3))
    assert "Item: new" in after
    assert "Item: new" not in before


def test_both_layouts_hold_the_same_tokens():
    grouped, interleaved = (
        render("dep", context(4, without_peers={2}), PromptConfig(layout=layout)).virtual_tokens
        for layout in ("grouped", "interleaved")
    )
    assert grouped == interleaved


def test_a_dropped_review_takes_its_tokens_along():
    prompt = render("dep", context(3), PromptConfig(layout="grouped"))
    for message in prompt.messages:
        for block in message.blocks:
            assert all(token.entry == block.entry for token in block.segments if not isinstance(token, str))


@pytest.mark.parametrize("streams", ["his", "diff"])
def test_one_stream_alone(streams):
    tokens = render("dep", context(2), PromptConfig(layout="grouped", streams=streams)).virtual_tokens
    assert [(token.stream, token.entry) for token in tokens] == [(streams, 0), (streams, 1)]


def test_without_history_there_is_no_group():
    text = "".join(flat(render("dep", context(0), PromptConfig(layout="grouped"))))
    assert "[" not in text


def test_a_template_cannot_name_an_entry_that_there_is_not(tmp_path):
    (tmp_path / "dep").mkdir()
    (tmp_path / "dep" / "tail.jinja").write_text('{{ virtual_token("his", 7) }}', encoding="utf-8")
    with pytest.raises(ConfigError, match="entry 7"):
        render("dep", context(2), PromptConfig(templates=tmp_path))


@pytest.mark.parametrize("template", ["dep", "rag"])
def test_past_reviews_beyond_the_limit_are_virtual_tokens_only(template):
    config = PromptConfig(layout="grouped", max_shown=1)
    prompt = render(template, context(3), config)
    text = "".join(segment for segment in flat(prompt) if isinstance(segment, str))
    assert "Past text 0" in text
    assert "Past text 1" not in text
    assert "Item: i1" not in text
    entries = [token.entry for token in prompt.virtual_tokens]
    assert entries == ([0, 0, 1, 1, 2, 2] if template == "dep" else [])


def test_next_to_each_token_the_item_stays_where_the_text_is_left_out():
    prompt = render("dep", context(3), PromptConfig(max_shown=1))
    text = "".join(segment for segment in flat(prompt) if isinstance(segment, str))
    assert "Item: i2" in text
    assert "Past text 2" not in text
    assert prompt.virtual_tokens == render("dep", context(3)).virtual_tokens
