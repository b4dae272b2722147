from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from idiolect.llm.base import SamplingParams
from idiolect.llm.cache import cache_keys
from idiolect.types import Block, Message, Prompt, VirtualToken

PARAMS = SamplingParams()
SOFT = np.arange(8, dtype=np.float32).reshape(2, 4)


def prompt(text="hi", *, role="user", entry=None, soft=None, sources=()):
    return Prompt((Message(role, (Block((text,), entry),)),), soft, sources)


def cache_key(identity, prompt, params, schema=None):
    (key,) = cache_keys(identity, [prompt], params, schema)
    return key


def test_whatever_an_answer_depends_on_is_in_the_key():
    token = Prompt((Message("user", (Block(("hi", VirtualToken("his", 0))),)),))
    two = Prompt((Message("user", (Block(("h",)), Block(("i",)))),))
    schema = {"properties": {"a": {}, "b": {}}}
    keys = [
        cache_key("m", prompt(), PARAMS),
        cache_key("other", prompt(), PARAMS),
        cache_key("m", prompt("ho"), PARAMS),
        cache_key("m", prompt(role="system"), PARAMS),
        cache_key("m", prompt(entry=0), PARAMS),
        cache_key("m", token, PARAMS),
        cache_key("m", two, PARAMS),
        cache_key("m", prompt(soft=SOFT), PARAMS),
        cache_key("m", prompt(soft=SOFT + 1), PARAMS),
        cache_key("m", prompt(soft=SOFT.reshape(4, 2)), PARAMS),
        cache_key("m", prompt(), PARAMS.model_copy(update={"temperature": 0.0})),
        cache_key("m", prompt(), PARAMS.replicate(1)),
        cache_key("m", prompt(), PARAMS.replicate(2)),
        cache_key("m", prompt(), PARAMS, schema),
        cache_key("m", prompt(), PARAMS, {"properties": {"b": {}, "a": {}}}),
    ]
    assert len(set(keys)) == len(keys)


def test_what_a_prompt_was_made_from_is_not_in_the_key():
    assert cache_key("m", prompt(sources=("r1",)), PARAMS) == cache_key("m", prompt(), PARAMS.replicate(0))


@given(st.text(), st.text())
def test_keys_are_equal_where_texts_are(first, second):
    assert (cache_key("m", prompt(first), PARAMS) == cache_key("m", prompt(second), PARAMS)) == (first == second)


def test_what_was_recorded_in_this_format_is_found_until_the_format_changes(monkeypatch):
    """Format 1 recorded broken-off texts as answers: these are asked again."""
    assert cache_key("m", prompt(), PARAMS) == "4edbbe1986bdbf3f8dcb2953c606e0e450dc0d2c2966d934be15a3473fc1a9ff"
    monkeypatch.setattr("idiolect.llm.cache.FORMAT", 1)
    assert cache_key("m", prompt(), PARAMS) == "5402e52c201748773977e63f5c1ec752a8420c8d2ac62d7c3d39786115b71393"
