"""Fixtures every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data and golden numbers beside the checkout; tests that need it skip without it."""
    folder = Path(os.environ.get("IDIOLECT_SHARED", Path(__file__).parents[1].parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"reference data not present: {folder} (set IDIOLECT_SHARED)")
    return folder


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    """Numbers that the papers' authors' programs produce."""
    return shared / "golden"


@pytest.fixture(scope="session")
def tiny_backbone() -> Callable[..., Any]:
    """Makes a causal language model of 2 layers, hidden size 32, vocabulary 64: ``tiny_backbone("qwen2")``.

    Families: qwen2, llama, gpt2. The weights are random and the same at every call.
    """
    import torch
    import transformers as tf

    modern = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_key_value_heads": 2}
    # Wide enough for the input to show in the output.
    spread = {"vocab_size": 64, "initializer_range": 0.3}
    modern |= {"num_attention_heads": 4, "max_position_embeddings": 128}
    families = {
        "qwen2": lambda: tf.Qwen2ForCausalLM(tf.Qwen2Config(**spread, **modern)),
        "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**spread, **modern)),
        "gpt2": lambda: tf.GPT2LMHeadModel(
            tf.GPT2Config(
                **spread, bos_token_id=None, eos_token_id=None, n_embd=32, n_layer=2, n_head=4, n_positions=128
            )
        ),
    }

    def make(family: str = "qwen2") -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return families[family]().eval()

    return make
