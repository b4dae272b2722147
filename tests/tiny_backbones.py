"""Backbones small enough to train in a test."""

from __future__ import annotations

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
GPT2_SIZES = {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}
FAMILIES = ("qwen2", "llama", "gpt2")


def backbone(family="qwen2"):
    """Random weights, the same at every call."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if family == "gpt2":
            return GPT2LMHeadModel(GPT2Config(**GPT2_SIZES)).eval()
        if family == "llama":
            return LlamaForCausalLM(LlamaConfig(**SIZES)).eval()
        return Qwen2ForCausalLM(Qwen2Config(**SIZES)).eval()
