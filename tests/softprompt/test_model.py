from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from idiolect.softprompt.adapter import Adapter
from idiolect.softprompt.config import AdapterConfig, VectorInputs
from idiolect.softprompt.model import SoftPromptModel
from idiolect.softprompt.sae import VirtualTokenBatch, mean_token_norm
from idiolect.training.examples import Collator, Example

FAMILIES = ("qwen2", "llama", "gpt2")


def example(rng, length, target, virtual_tokens):
    return Example(
        prompt=rng.integers(1, 64, length).astype(np.int32),
        target=rng.integers(1, 64, target).astype(np.int32),
        virtual_token_positions=np.sort(rng.choice(length, virtual_tokens, replace=False)),
        inputs=VectorInputs(
            stream=np.arange(virtual_tokens) % 2,
            entry=np.arange(virtual_tokens) // 2,
            vectors=rng.normal(size=(virtual_tokens, 12)).astype(np.float32),
        ),
    )


@pytest.fixture
def examples():
    rng = np.random.default_rng(0)
    return [example(rng, *shape) for shape in ((9, 4, 3), (20, 7, 6), (5, 2, 0), (14, 1, 2))]


@pytest.fixture
def model(tiny_backbone):
    def make(family="qwen2"):
        adapter = Adapter(AdapterConfig(d_in=12, hidden_size=32), torch.Generator().manual_seed(0))
        return SoftPromptModel(tiny_backbone(family), adapter)

    return make


def naive_generation_loss(ours, examples):
    """One sample at a time, unpadded, logits everywhere, row by row."""
    embed, nats, tokens = ours.backbone.get_input_embeddings(), 0.0, 0
    for item in examples:
        ids = torch.from_numpy(np.concatenate([item.prompt, item.target])).long()
        embeds = embed(ids).clone()
        rows = ours.adapter.soft_prompt_embeddings(item.inputs.vectors, item.inputs.stream, item.inputs.entry)
        for place, row in zip(item.virtual_token_positions, rows, strict=True):
            embeds[place] = torch.from_numpy(row)
        logits = ours.backbone(inputs_embeds=embeds[None]).logits[0]
        start = len(item.prompt)
        nats += F.cross_entropy(logits[start - 1 : -1], ids[start:], reduction="sum").item()
        tokens += len(item.target)
    return nats / tokens


def sae_terms(ours, examples):
    flat = [np.concatenate([getattr(e.inputs, name) for e in examples]) for name in ("vectors", "stream", "entry")]
    sample = torch.tensor([row for row, e in enumerate(examples) for _ in e.inputs.stream])
    return ours.adapter(VirtualTokenBatch(*map(torch.from_numpy, flat), sample, len(examples))).losses


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_loss_is_that_of_unpadded_prompts_with_logits_everywhere(model, examples, family):
    ours = model(family)
    output = ours(**Collator(0, ours.adapter.collate)(examples))
    expected = naive_generation_loss(ours, examples)
    assert output["generation"].item() == pytest.approx(expected, rel=1e-5)
    whole = expected + sum(term.item() for term in sae_terms(ours, examples).values())
    assert output["loss"].item() == pytest.approx(whole, rel=1e-5)


@torch.no_grad()
def test_what_stands_at_virtual_tokens_and_padding_does_not_matter(model, examples):
    ours = model()
    batch = Collator(0, ours.adapter.collate)(examples)
    loss = ours(**batch)["loss"]
    hidden = batch["virtual_token_mask"] | (batch["attention_mask"] == 0)
    batch["input_ids"] = torch.where(hidden, 63, batch["input_ids"])
    assert torch.equal(ours(**batch)["loss"], loss)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_reach_the_adapter_only(model, examples, family):
    ours = model(family)
    ours(**Collator(0, ours.adapter.collate)(examples))["loss"].backward()
    assert all(p.grad is None and not p.requires_grad for p in ours.backbone.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in ours.adapter.parameters())


def test_training_has_no_dropout_in_the_backbone(model, examples):
    ours = model("gpt2")
    batch = Collator(0, ours.adapter.collate)(examples)
    assert ours.training
    assert torch.equal(ours(**batch)["loss"], ours(**batch)["loss"])


def test_checkpointing_changes_no_gradient(model, examples):
    batch, gradients = Collator(0, model().adapter.collate)(examples), []
    for checkpointed in (False, True):
        ours = model()
        if checkpointed:
            ours.activation_checkpointing_enable()
            assert ours.backbone.training
        ours(**batch)["loss"].backward()
        gradients.append([p.grad.clone() for p in ours.adapter.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_a_batch_without_virtual_tokens_trains_nothing_but_runs(model, examples):
    ours = model()
    ours(**Collator(0, ours.adapter.collate)(examples[2:3]))["loss"].backward()
    assert all(p.grad.eq(0).all() for p in ours.adapter.parameters())


def test_hidden_sizes_must_agree(tiny_backbone):
    with pytest.raises(ValueError, match="width 8, the backbone's 32"):
        SoftPromptModel(tiny_backbone(), Adapter(AdapterConfig(d_in=12, hidden_size=8)))


def test_mean_token_norm_is_that_of_the_table(tiny_backbone):
    embedding = tiny_backbone().get_input_embeddings()
    expected = embedding.weight.norm(dim=1).mean().item()
    assert mean_token_norm(embedding, 64) == pytest.approx(expected, rel=1e-5)


@torch.no_grad()
def test_a_bfloat16_backbone_takes_the_rows(model, examples):
    ours = model()
    ours.backbone.to(torch.bfloat16)
    batch = Collator(0, ours.adapter.collate)(examples)
    assert ours(**batch)["loss"].item() == pytest.approx(model()(**batch)["loss"].item(), rel=0.02)
