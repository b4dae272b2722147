"""A prompt tokenized part by part is the prompt tokenized as a whole, as a server does that is sent its text."""

from __future__ import annotations

import pytest

from idiolect.evaluation.text_judge import text_prompt
from idiolect.prompts.rendering import TEMPLATES, render, render_comparison
from idiolect.prompts.tokenization import PromptTokenizer
from idiolect.types import VirtualToken

VALUES = {
    "judge": {"keys": {"Writing": ["length"]}, "reasons": ["vague"], "most": 3, "number": 1, "claim": "longer"},
    "summarize": {"compared": [{"differences": "longer sentences"}]},
    "primer_words": {"words": "long, plain"},
}
COMPARED = {
    "extract": {"dimensions": [{"name": "length", "definition": "words"}], "open": True, "structured": False},
    "validate": {"claims": ["longer sentences", "fewer commas"], "structured": False},
}
NAMES = sorted(path.name for path in TEMPLATES.iterdir() if path.is_dir() and path.name != "judge")


def shown(name, context):
    if name in COMPARED:
        own, *others = (entry.review for entry in context.entries)
        return render_comparison(name, context.item, own, others, **COMPARED[name])
    if name == "judge_text":
        return text_prompt(context.sample, context.item, ("The first text.", "The second."), task="review")
    values = {"profile": "Long sentences.", **VALUES.get(name, {})}
    if name == "summarize":
        values["compared"] = [{"item": context.item, "differences": "longer sentences"}]
    return render(name, context, **values)


def runs(blocks):
    """What stands between two virtual tokens, joined."""
    texts = [""]
    for segment in (segment for block in blocks for segment in block.segments):
        if isinstance(segment, VirtualToken):
            texts.append("")
        else:
            texts[-1] += segment
    return texts


@pytest.mark.parametrize("entries", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_no_token_lies_across_two_parts_of_a_shipped_template(tiny_tokenizer, make_context, name, entries):
    def ids(text):
        return tiny_tokenizer(text, add_special_tokens=False)["input_ids"]

    for message in shown(name, make_context(entries)).messages:
        parts = [s for block in message.blocks for s in block.segments if not isinstance(s, VirtualToken)]
        assert [i for part in parts for i in ids(part)] == [i for text in runs(message.blocks) for i in ids(text)]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("dep", "pplug") and "primer" not in name])
def test_a_prompts_ids_are_those_of_its_text_in_the_chat_template(tiny_tokenizer, make_context, name):
    prompt = shown(name, make_context(3))
    turns = [{"role": message.role, "content": message.text} for message in prompt.messages]
    text = tiny_tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    encoded = PromptTokenizer(tiny_tokenizer, max_tokens=4000).encode(prompt)
    assert encoded.ids.tolist() == tiny_tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("name", NAMES)
def test_turns_neither_begin_nor_end_with_a_break_and_have_no_gap(make_context, name):
    for message in shown(name, make_context(2)).messages:
        assert message.text == message.text.strip()
        assert "\n\n\n" not in message.text
