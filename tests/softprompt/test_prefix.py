from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.softprompt.adapter import Adapter
from idiolect.softprompt.config import AdapterConfig, VectorInputs
from idiolect.softprompt.model import SoftPromptModel
from idiolect.softprompt.prefix import PrefixCache, supports_prefix
from idiolect.training.examples import Collator, Example

PAD, D_IN = 0, 4
COLLATE = Adapter(AdapterConfig(d_in=D_IN, hidden_size=16)).collate


def backbone(**settings):
    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = {"vocab_size": 40, "intermediate_size": 24, **small, "bos_token_id": None, **settings}
    return transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**config)).eval()


def example(length, target, tokens, seed):
    rng = np.random.default_rng(seed)
    tokens = min(tokens, length)
    return Example(
        prompt=rng.integers(1, 40, length).astype(np.int32),
        target=rng.integers(1, 40, target).astype(np.int32),
        virtual_token_positions=np.sort(rng.choice(length, tokens, replace=False)),
        inputs=VectorInputs(
            stream=rng.integers(0, 2, tokens),
            entry=rng.integers(0, 4, tokens),
            vectors=rng.normal(size=(tokens, D_IN)).astype(np.float32),
        ),
    )


def model(prefixes=None, net=None):
    adapter = Adapter(AdapterConfig(d_in=D_IN, hidden_size=16, d_sae=6), torch.Generator().manual_seed(1))
    return SoftPromptModel(net or backbone(), adapter, prefixes=prefixes)


def loss_and_gradients(of, batch):
    of.zero_grad()
    loss = of(**batch)["loss"]
    loss.backward()
    return float(loss.detach()), [one.grad.clone() for one in of.adapter.parameters() if one.grad is not None]


batches = st.lists(
    st.builds(example, st.integers(2, 12), st.integers(1, 5), st.integers(0, 4), st.integers(0, 99)),
    min_size=1,
    max_size=5,
).filter(lambda batch: any(len(one.inputs.stream) for one in batch))


@settings(max_examples=40, deadline=None)
@given(batches, st.sampled_from([0, 3_000, 10**9]))
def test_losses_and_gradients_are_those_of_the_whole_prompt(batch, max_bytes):
    net = backbone()
    whole_loss, whole = loss_and_gradients(model(net=net), Collator(PAD, COLLATE)(batch))
    split = model(PrefixCache(net, max_bytes), net=net)
    for _ in range(3):  # computed, then kept, as far as memory allows
        loss, gradients = loss_and_gradients(split, Collator(PAD, COLLATE, split_prefix=True)(batch))
        assert loss == pytest.approx(whole_loss, abs=1e-5)
        for ours, theirs in zip(gradients, whole, strict=True):
            torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-3)


def test_a_prefix_is_computed_once_and_only_what_fits_is_kept():
    net = backbone()
    calls = []
    net.base_model.register_forward_hook(lambda *_, **__: calls.append(1))
    batch = Collator(PAD, COLLATE, split_prefix=True)([example(9, 2, 1, 3), example(7, 2, 2, 4)])
    of = [batch[name] for name in ("prefix_ids", "prefix_mask", "prefix_name")]
    roomy, tight = PrefixCache(net, 10**9), PrefixCache(net, 100)
    first = roomy(*of)
    kept = roomy(*of)
    assert len(calls) == 1
    for ours, theirs in zip(kept.layers, first.layers, strict=True):
        real = of[1].bool()[:, None, :, None].expand_as(ours.keys)
        torch.testing.assert_close(ours.keys[real], theirs.keys[real])
        torch.testing.assert_close(ours.values[real], theirs.values[real])
    tight(*of)
    tight(*of)
    assert len(calls) == 3


def test_prefixes_are_kept_while_their_states_fit_to_the_byte():
    net = backbone()
    calls = []
    net.base_model.register_forward_hook(lambda *_, **__: calls.append(1))
    batch = Collator(PAD, COLLATE, split_prefix=True)([example(9, 2, 1, 3), example(9, 2, 1, 4)])
    of = [batch[name] for name in ("prefix_ids", "prefix_mask", "prefix_name")]
    lengths = of[1].sum(dim=1).tolist()
    assert min(lengths) > 0
    size = 2 * 2 * 2 * 4 * 4  # layers, keys and values, heads, width, bytes of a number

    def computed(prefixes, row):
        calls.clear()
        for _ in range(2):
            prefixes(*(part[row : row + 1] for part in of))
        return len(calls)

    tight, roomy, small = (PrefixCache(net, size * n) for n in (lengths[0], sum(lengths), lengths[0] - 1 / size))
    assert [computed(tight, row) for row in (0, 1)] == [1, 2]
    assert [computed(roomy, row) for row in (0, 1)] == [1, 1]
    assert computed(small, 0) == 2


def test_what_the_caller_adds_to_a_cache_is_not_kept():
    net = backbone()
    batch = Collator(PAD, COLLATE, split_prefix=True)([example(9, 2, 1, 3)])
    prefixes = PrefixCache(net, 10**9)
    of = [batch[name] for name in ("prefix_ids", "prefix_mask", "prefix_name")]
    prefixes(*of)
    once = prefixes(*of)
    length = once.get_seq_length()
    once.layers[0].update(torch.ones(1, 2, 1, 4), torch.ones(1, 2, 1, 4))
    assert prefixes(*of).get_seq_length() == length


def test_different_prefixes_have_different_names():
    rows = [example(9, 2, 1, seed) for seed in range(50)]
    names = Collator(PAD, COLLATE, split_prefix=True)(rows)["prefix_name"].tolist()
    prefixes = {row.prompt[: min(int(row.virtual_token_positions[0]), 8)].tobytes() for row in rows}
    assert len(set(names)) == len(prefixes)


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (lambda: backbone(), True),
        (lambda: backbone(use_sliding_window=True, sliding_window=4, max_window_layers=0), False),
        (lambda: torch.nn.Linear(2, 2), False),
    ],
)
def test_only_plain_caches_are_supported(net, expected):
    assert supports_prefix(net()) is expected


def test_a_model_without_a_cache_refuses_prefixes():
    with pytest.raises(ValueError, match="PrefixCache"):
        model()(**Collator(PAD, COLLATE, split_prefix=True)([example(9, 2, 1, 3)]))
