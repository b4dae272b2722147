"""PPlug's adapter: the numbers of its authors' program, masks, empty histories, gradients, artifacts."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from idiolect.errors import ArtifactError
from idiolect.softprompt.config import PPlugConfig, UserInputs
from idiolect.softprompt.model import load_adapter
from idiolect.softprompt.pplug import PPlugAdapter, attention

D = 6


def adapter(**settings):
    """The same initial weights at every call."""
    usual = {"d_in": D, "hidden_size": 8, "input_encoder": "mlp", "query_instruction": "none"}
    config = PPlugConfig(**{**usual, **settings})
    return PPlugAdapter(config, torch.Generator().manual_seed(0))


def unit(rng, *shape):
    vectors = rng.normal(size=shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def user(n, seed=0):
    rng = np.random.default_rng([seed, n])
    return UserInputs(stream=np.array([1, 0]), history=unit(rng, n, D), query=unit(rng, D))


class TinyEncoder(nn.Module):
    """What a sentence-transformers model looks like from outside."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(128, D)
        nn.init.normal_(self.table.weight, generator=torch.Generator().manual_seed(1))
        self.dropout = nn.Dropout(0.9)

    def tokenize(self, texts):
        ids = [[ord(c) % 128 for c in text.ljust(max(map(len, texts)))] for text in texts]
        return {"input_ids": torch.tensor(ids), "modality": "text"}

    def forward(self, features):
        return {"sentence_embedding": self.dropout(self.table(features["input_ids"])).mean(dim=1)}


@pytest.fixture(scope="module")
def case(golden):
    folder = golden / "a7_pplug"
    return json.loads((folder / "expected.json").read_text()), dict(np.load(folder / "arrays.npz"))


class TestGolden:
    """Rows of an empty history are NaN in the authors' program; in ours they are the learned embedding."""

    def ours(self, arrays, *, masked=True):
        config = PPlugConfig(d_in=24, hidden_size=40, input_encoder="mlp", max_history=8, masked=masked)
        ours = PPlugAdapter(config, torch.Generator())
        names = {"projector": "align_mlp", "instruction_projector": "align_mlp_inst"}
        weights = {
            f"source.{layer}.{place}.{kind}": arrays[f"{its}_{number}_{kind}"]
            for layer, its in names.items()
            for place, number in (("inner", 0), ("outer", 2))
            for kind in ("weight", "bias")
        }
        weights |= {"source.instruction": arrays["inst_token"], "scale": np.array([539.9738, 539.9738 / 7], np.float32)}
        ours.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, strict=False)
        return ours

    def users(self, case, table):
        expected, arrays = case
        histories = [arrays[table][ids].reshape(-1, 24) for ids in expected["raw_histories_0based_table_rows"]]
        return [
            UserInputs(stream=np.array([1, 0]), history=history, query=x)
            for history, x in zip(histories, arrays["task_embs"], strict=True)
        ]

    def test_attention_and_pooling(self, case):
        _, arrays = case
        ours, known = self.ours(arrays), [0, 1, 2, 4, 5]
        found = ours.source(ours.collate(self.users(case, "dev_table")))
        np.testing.assert_allclose(found.weights.detach()[known], arrays["attention"][known], atol=1e-5)
        np.testing.assert_allclose(found.user.detach()[known], arrays["pooled"][known], atol=1e-5)
        found = ours.source(ours.collate(self.users(case, "train_table")))
        np.testing.assert_allclose(found.user.detach()[known], arrays["pooled_training_table"][known], atol=1e-5)

    def test_scaled_embeddings(self, case):
        _, arrays = case
        found = np.stack(self.ours(arrays).embeddings(self.users(case, "dev_table")))
        np.testing.assert_allclose(found[:, 0], np.tile(arrays["inst_scaled"], (6, 1)), atol=1e-3)
        known = [0, 1, 2, 4, 5]
        np.testing.assert_allclose(found[known, 1], arrays["pooled_scaled"][known], atol=1e-3)
        assert np.isfinite(found).all()

    def test_the_unmasked_fork(self, case):
        _, arrays = case
        ours = self.ours(arrays, masked=False)
        found = ours.source(ours.collate(self.users(case, "dev_table")))
        np.testing.assert_allclose(found.weights.detach(), arrays["attention_unmasked_fork"], atol=1e-5)
        np.testing.assert_allclose(found.user.detach(), arrays["pooled_unmasked_fork"], atol=1e-5)


class TestAttention:
    def test_padding_has_no_weight_whatever_stands_there(self):
        x, history = torch.ones(1, 2), torch.tensor([[[1.0, 0.0], [0.0, 2.0], [50.0, 50.0]]])
        found = attention(x, history, torch.tensor([[True, True, False]]))
        assert found[0, 2] == 0
        torch.testing.assert_close(found[0, :2], torch.tensor([1.0, 2.0]).softmax(0))

    def test_without_a_mask_padding_takes_weight(self):
        found = attention(
            torch.ones(1, 2), torch.zeros(1, 4, 2), torch.tensor([[True] * 2 + [False] * 2]), masked=False
        )
        torch.testing.assert_close(found, torch.full((1, 4), 0.25))

    def test_an_empty_history_has_zero_weights_and_finite_gradients(self):
        x = torch.ones(2, 3, requires_grad=True)
        found = attention(x, torch.randn(2, 4, 3), torch.tensor([[False] * 4, [True] * 4]))
        found.square().sum().backward()
        assert (found[0] == 0).all()
        assert x.grad.isfinite().all()


class TestAdapter:
    def test_gives_two_embeddings_a_sample_in_the_order_of_the_text(self):
        ours = adapter()
        first, second = ours.embeddings(
            [user(3), UserInputs(stream=np.array([0]), history=user(3).history, query=user(3).query)]
        )
        assert first.shape == (2, 8)
        np.testing.assert_allclose(second[0], first[1], rtol=1e-5)

    def test_does_not_depend_on_the_order_of_the_history(self):
        one = user(7)
        turned = UserInputs(stream=one.stream, history=one.history[::-1].copy(), query=one.query)
        first, second = adapter().embeddings([one, turned])
        np.testing.assert_allclose(first, second, atol=1e-6)

    def test_does_not_depend_on_who_else_is_in_the_batch(self):
        ours, users = adapter(), [user(3), user(0), user(9)]
        together = ours.embeddings(users)
        for one, found in zip(users, together, strict=True):
            np.testing.assert_allclose(ours.embeddings([one])[0], found, atol=1e-6)

    def test_depends_on_the_input_and_on_the_history(self):
        ours, one, other = adapter(), user(5), user(5, seed=1)
        same, swapped, asked = ours.embeddings(
            [
                one,
                UserInputs(stream=one.stream, history=other.history, query=one.query),
                UserInputs(stream=one.stream, history=one.history, query=other.query),
            ]
        )
        assert not np.allclose(same[1], swapped[1])
        assert not np.allclose(same[1], asked[1])
        np.testing.assert_array_equal(same[0], swapped[0])  # the instruction is everybody's

    def test_an_empty_history_gets_the_learned_embedding(self):
        ours = adapter()
        found = ours.embeddings([user(0)])[0]
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found[1], ours.source.no_history.detach(), rtol=1e-6)

    def test_reads_the_latest_reviews_only(self):
        one = user(9)
        latest = UserInputs(stream=one.stream, history=one.history[-4:], query=one.query)
        first, second = adapter(max_history=4).embeddings([one, latest])
        np.testing.assert_array_equal(first, second)

    def test_gradient_reaches_every_weight(self):
        ours = adapter()
        ours(ours.collate([user(3), user(0), user(5)])).embeddings.square().sum().backward()
        # The network starts silent, so its inner layer moves from the second step on.
        still = {name for name, weight in ours.named_parameters() if weight.grad is None or not weight.grad.any()}
        assert still == {"source.input_encoder.mlp.inner.weight", "source.input_encoder.mlp.inner.bias"}

    def test_gradient_reaches_a_trained_text_encoder_which_is_a_copy_without_dropout(self):
        config = PPlugConfig(d_in=D, hidden_size=8, input_encoder="encoder", query_instruction="bge")
        model = TinyEncoder()
        ours = PPlugAdapter(config, torch.Generator().manual_seed(0), model=model)
        users = [UserInputs(stream=np.array([1, 0]), history=user(4).history, query=text) for text in ("tea", "a mug")]
        ours.train()
        batch = ours.collate(users)
        assert set(batch) == {"stream", "sample", "history", "history_mask", "query_input_ids"}
        rows = ours(batch).embeddings
        torch.testing.assert_close(rows, ours(batch).embeddings)
        rows.square().sum().backward()
        assert ours.source.input_encoder.model.table.weight.grad.any()
        assert model.table.weight.grad is None

    def test_scales_both_embeddings_to_the_norm_of_token_embeddings(self):
        ours, users = adapter(), [user(n, seed=n) for n in range(2, 22)]
        ours.fit_statistics(users, token_norm=3.0)
        norms = np.linalg.norm(np.stack(ours.embeddings(users)), axis=-1).mean(axis=0)
        np.testing.assert_allclose(norms, 3.0, rtol=1e-5)
        assert ours.source.sd.isfinite().all()

    def test_the_constant_is_the_same_for_everybody(self):
        ours = adapter(kind="pplug_constant")
        first, second = ours.embeddings([user(3), user(8, seed=2)])
        np.testing.assert_array_equal(first, second)
        assert {name for name, _ in ours.named_parameters()} == {"source.table"}

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"history": np.zeros((2, D + 1), np.float32)}, "histories need vectors"),
            ({"query": "a text"}, "the input needs a vector"),
            ({"stream": np.array([2])}, "no weights for streams"),
        ],
    )
    def test_refuses_what_it_has_no_weights_for(self, wrong, message):
        given = {"stream": np.array([1, 0]), "history": user(2).history, "query": user(2).query, **wrong}
        with pytest.raises(ValueError, match=message):
            adapter().embeddings([UserInputs(**given)])


class TestArtifact:
    def test_comes_back_as_it_was(self, tmp_path):
        for kind in ("pplug", "pplug_constant"):
            ours = adapter(kind=kind, past_texts=2)
            ours.fit_statistics([user(n) for n in range(1, 9)], token_norm=2.0)
            ours.save_pretrained(tmp_path / kind)
            again = load_adapter(tmp_path / kind)
            assert again.config == ours.config
            np.testing.assert_array_equal(again.embeddings([user(4)])[0], ours.embeddings([user(4)])[0])
            assert json.loads((tmp_path / kind / "config.json").read_text())["kind"] == kind

    def test_brings_a_trained_text_encoder_and_is_refused_without_one(self, tmp_path):
        config = PPlugConfig(d_in=D, hidden_size=8, input_encoder="encoder", query_instruction="none")
        ours = PPlugAdapter(config, torch.Generator(), model=TinyEncoder())
        with torch.no_grad():
            ours.source.input_encoder.model.table.weight.add_(torch.linspace(0, 1, D))
        ours.save_pretrained(tmp_path)
        one = UserInputs(stream=np.array([1, 0]), history=user(4).history, query="tea")
        again = load_adapter(tmp_path, model=TinyEncoder())
        np.testing.assert_array_equal(again.embeddings([one])[0], ours.eval().embeddings([one])[0])
        with pytest.raises(ArtifactError, match="a trained text encoder, and the encoder in use is no model"):
            load_adapter(tmp_path)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"kind": "pickle"}, "unknown kind 'pickle'"),
            ({"kind": ["pplug"]}, "does not describe an adapter"),
            ({"kind": "dep"}, "does not describe an adapter"),
            ({"d_in": 10**9}, "smaller than the adapter"),
            ({"hidden_size": 10**9}, "smaller than the adapter"),
            ({"max_history": 10**9}, "does not describe an adapter"),
            ({"input_encoder": "auto"}, "leaves its input encoder open"),
            ({"input_encoder": "encoder"}, "a trained text encoder"),
            ({"kind": "pplug_constant"}, "does not fit its configuration"),
        ],
    )
    def test_a_hostile_one_is_refused(self, tmp_path, change, message):
        adapter().save_pretrained(tmp_path)
        path = tmp_path / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
        with pytest.raises(ArtifactError, match=message):
            load_adapter(tmp_path)


def test_a_projector_of_a_weighted_mean_is_the_weighted_mean_of_projections():
    """Whatever the weights sum to."""
    projector, rng = adapter().source.projector, np.random.default_rng(4)
    nn.init.normal_(projector.outer.bias, generator=torch.Generator().manual_seed(2))
    x = torch.from_numpy(rng.normal(size=(3, 5, D)).astype(np.float32))
    weights = torch.from_numpy(rng.uniform(0, 1, (3, 5)).astype(np.float32))
    each = torch.stack([projector(one) for one in x])
    torch.testing.assert_close(projector.pooled(x, weights), (weights[..., None] * each).sum(dim=1))


@pytest.mark.parametrize("n", [1, 4])
def test_the_projector_reads_centred_and_scaled_vectors_and_attention_raw_ones(n):
    ours, one = adapter(), user(n)
    ours.fit_statistics([one], token_norm=1.0)
    source = ours.source
    centre, spread = (one.history.mean(axis=0), one.history.std(axis=0)) if n > 1 else (np.zeros(D), np.ones(D))
    np.testing.assert_allclose(source.mean.numpy(), centre, atol=1e-6)
    np.testing.assert_allclose(source.sd.numpy(), spread, rtol=1e-5)
    batch = ours.collate([one])
    weights = attention(source.input_encoder(batch), batch["history"], batch["history_mask"])
    scaled = torch.from_numpy(((one.history - centre) / spread).astype(np.float32))[None]
    torch.testing.assert_close(source(batch).user, source.projector.pooled(scaled, weights))
