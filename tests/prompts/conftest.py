"""Tokenizers of several habits, made from one small vocabulary."""

from __future__ import annotations

import copy

import pytest

REFUSES_SYSTEM = """{% for message in messages %}{% if message['role'] == 'system' %}\
{{ raise_exception('System role not supported') }}{% endif %}\
<|im_start|>{{ message['role'] }}\n{{ message['content'] | trim }}<|im_end|>\n{% endfor %}\
{% if add_generation_prompt %}<|im_start|>model\n{% endif %}"""
OMITS_SYSTEM = REFUSES_SYSTEM.replace("{{ raise_exception('System role not supported') }}", "{% continue %}")
LLAMA = """<s>{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n\
{{ message['content'] | trim }}<|im_end|>{% endfor %}\
{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"""
OTHER_END = """{% for message in messages %}<|user|>{{ message['content'] }}<|end|>\n{% endfor %}"""
REPEATS = "{% for message in messages %}{{ message['content'] }}{{ message['content'] }}{% endfor %}"
TEMPLATES = {
    "plain": None,
    "refuses_system": REFUSES_SYSTEM,
    "omits_system": OMITS_SYSTEM,
    "llama": LLAMA,
    "other_end": OTHER_END,
    "repeats": REPEATS,
}


@pytest.fixture(scope="session")
def make_tokenizer(tiny_tokenizer):
    """``make_tokenizer("llama")``: the tiny tokenizer with the chat template of that name; ``chat`` is its own."""

    def make(habit="chat"):
        if habit == "chat":
            return tiny_tokenizer
        tokenizer = copy.deepcopy(tiny_tokenizer)
        tokenizer.chat_template = TEMPLATES[habit]
        tokenizer.add_special_tokens(
            {"bos_token": "<s>", "additional_special_tokens": ["<|start_header_id|>", "<|end_header_id|>"]}
        )
        # Not marked special, as in Qwen's and Phi's vocabularies.
        tokenizer.add_tokens(["<|user|>", "<|end|>", "<tool_call>"])
        return tokenizer

    return make
