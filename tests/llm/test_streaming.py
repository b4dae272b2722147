"""Replies that are read while they are generated, and ended."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from idiolect.errors import ConfigError
from idiolect.llm.base import SamplingParams
from idiolect.llm.fake import FakeLLM
from idiolect.llm.registry import BACKENDS, STREAMING
from idiolect.llm.streaming import Listened, TokenListener
from idiolect.methods.roles import Role
from idiolect.pipeline.models import Models
from idiolect.pipeline.settings import DifferenceConfig, RoleConfig
from idiolect.prompts.rendering import render, with_soft


def filled(prompt):
    rows = np.random.default_rng(0).normal(size=(len(prompt.virtual_tokens), 32))
    return with_soft(prompt, rows.astype(np.float32))


@pytest.mark.parametrize("temperature", [0, 0.9])
@pytest.mark.parametrize("template", ["rag", "dep"])
def test_a_streamed_reply_is_the_one_that_is_generated_at_once(tiny_llm, make_context, template, temperature):
    llm, seen = tiny_llm("qwen2"), []
    prompt = render(template, make_context(2))
    prompt = filled(prompt) if prompt.virtual_tokens else prompt
    params = SamplingParams(temperature=temperature, max_new_tokens=40, seed=3)
    wanted = llm.generate([prompt], params)[0]
    found = llm.stream_text(prompt, params, lambda text: seen.append(text) or True)
    assert (found.text, found.completion_tokens, found.truncated) == (
        wanted.text,
        wanted.completion_tokens,
        wanted.truncated,
    )
    assert found.kept_entries == wanted.kept_entries
    assert len(set(seen)) > 5
    assert all(later.startswith(earlier) for earlier, later in zip(seen, [*seen[1:], found.text], strict=True))


@pytest.mark.parametrize("template", ["rag", "dep"])
def test_a_listener_ends_the_generation(tiny_llm, make_context, template):
    llm, seen = tiny_llm("qwen2"), []
    prompt = render(template, make_context(2))
    prompt = filled(prompt) if prompt.virtual_tokens else prompt
    params = SamplingParams(temperature=0, max_new_tokens=400)
    found = llm.stream_text(prompt, params, lambda text: seen.append(text) or len(seen) < 5)
    assert len(seen) == 5
    assert found.completion_tokens < 20
    assert found.text.startswith(seen[-1])


def test_long_replies_are_decoded_less_often_and_divided_characters_wait():
    decoded, heard = [], []

    def decode(ids):
        decoded.append(len(ids))
        return "é".encode()[: len(ids)].decode(errors="replace") + "a" * (len(ids) - 2)

    listener = TokenListener(None, decode, lambda text: heard.append(text) or True)
    assert all(listener([0] * size) for size in range(1, 2001))
    assert len(decoded) < 700
    assert heard[:3] == ["", "é", "éa"]
    assert heard[-1] == "é" + "a" * 1998
    spaced = TokenListener(type("T", (), {"clean_up_tokenization_spaces": True}), lambda ids: "do n", heard.append)
    spaced([1])
    assert heard[-1] == "do"  # it may become don't


def test_only_the_writer_is_heard_and_a_model_that_cannot_stream_is_heard_at_its_end(make_context):
    prompt, heard = render("rag", make_context(1)), []
    with Models(
        FakeLLM(lambda _: "a b c"), SamplingParams(), listener=lambda text: heard.append(text) or True
    ) as models:
        roles = models.roles(DifferenceConfig(summarizer=RoleConfig()))
        assert roles.summarizer is not None
        roles.summarizer.ask([prompt])
        assert heard == []
        assert Role(llm=models.own).each([prompt])[0].text == "a b c"
        assert heard == ["a", "a b", "a b c"]
        with pytest.raises(ConfigError, match="one reply"):
            models.own.generate([prompt, prompt], SamplingParams())

    class Whole:
        name, supports = "whole", frozenset()
        generate = FakeLLM(lambda _: "a b").generate

    assert Listened(Whole(), heard.append).generate([prompt], SamplingParams())[0].text == "a b"
    assert heard[-1] == "a b"


def test_the_backends_that_are_said_to_stream_do():
    for name in BACKENDS:
        assert hasattr(BACKENDS.get(name), "stream_text") == (name in STREAMING)
