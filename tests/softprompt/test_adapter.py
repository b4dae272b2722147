from __future__ import annotations

import json
import random
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.softprompt.adapter import Adapter
from idiolect.softprompt.config import AdapterConfig, stream_ids
from idiolect.softprompt.sae import VirtualTokenBatch
from idiolect.types import VirtualToken

SMALL = {"d_in": 12, "d_sae": 24, "hidden_size": 16}


def adapter(**settings):
    return Adapter(AdapterConfig(**{**SMALL, **settings}), torch.Generator().manual_seed(1))


def some_tokens(n=9, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0.3, 0.1, (n, 12)).astype(np.float32), np.arange(n) % 2, np.arange(n) // 2


def batch(n=9):
    vectors, stream, entry = map(torch.from_numpy, some_tokens(n))
    return VirtualTokenBatch(vectors, stream, entry, torch.arange(n) // 4, n_samples=n // 4 + 1)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"refine": "ae"},
        {"refine": "none"},
        {"kind": "constant"},
        {"standardise": False, "match_norm": False},
        {"activation": "topk", "k": 2, "d_sae": 5},
        {"activation": "sigmoid", "decoder_activation": "gelu", "pooling": "streams"},
    ],
)
def test_saved_and_loaded_adapters_write_the_same_rows(tmp_path, settings):
    ours = adapter(**settings)
    ours.set_statistics(*some_tokens(40, seed=2)[:2], token_norm=2.5)
    ours.save_pretrained(tmp_path, provenance={"backbone": "tiny, revision 3"})
    loaded = Adapter.from_pretrained(tmp_path)
    rows = ours.soft_prompt_embeddings(*some_tokens())
    assert rows.shape == (9, 16)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(loaded.soft_prompt_embeddings(*some_tokens()), rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "adapter.safetensors", "config.json"]
    assert "tiny, revision 3" in (tmp_path / "README.md").read_text()


def test_rows_have_the_norm_of_tokens_times_the_gain_of_their_stream():
    ours = adapter()
    ours.set_statistics(*some_tokens()[:2], token_norm=3.0)
    ours.norm_match.gain.data = torch.tensor([1.0, 2.0])
    norms = np.linalg.norm(ours.soft_prompt_embeddings(*some_tokens()), axis=1)
    np.testing.assert_allclose(norms, np.where(some_tokens()[1] == 0, 3.0, 6.0), rtol=5e-3)


def test_what_a_row_norm_is_made_of_is_reported():
    ours = adapter()
    ours.set_statistics(*some_tokens()[:2], token_norm=3.0)
    ours.norm_match.gain.data = torch.tensor([1.0, 2.0])
    stats = {name: value.item() for name, value in ours(batch(10)).stats.items()}
    assert (stats["token_norm"], stats["gain_his"], stats["gain_diff"]) == (3.0, 1.0, 2.0)
    assert stats["soft_norm"] == pytest.approx(3.0 * 1.5, rel=5e-3)
    assert ours(batch(1)).stats["soft_norm"].item() == pytest.approx(3.0, rel=5e-3)


def test_a_row_of_nothing_stays_nothing_with_a_bounded_gradient():
    rows = torch.zeros(1, 16, requires_grad=True)
    out = adapter().norm_match(rows, torch.tensor([0]))
    out.sum().backward()
    assert out.eq(0).all()
    assert rows.grad.norm() < 200


def test_standardised_streams_have_mean_zero_and_deviation_one():
    ours = adapter()
    vectors, stream, _ = some_tokens(400)
    ours.set_statistics(vectors, stream, token_norm=1.0)
    x = ours.source.standardiser(torch.from_numpy(vectors), torch.from_numpy(stream)).numpy()
    for code in (0, 1):
        np.testing.assert_allclose(x[stream == code].mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(x[stream == code].std(axis=0), 1, atol=1e-4)


def test_components_constant_in_training_do_not_explode_in_use():
    ours = adapter()
    vectors, stream, _ = some_tokens(50)
    vectors[:, 3] = 0.7
    ours.set_statistics(vectors, stream, token_norm=1.0)
    vectors[:, 3] = 0.8
    x = ours.source.standardiser(torch.from_numpy(vectors), torch.from_numpy(stream))
    assert x[:, 3].abs().max() < 200


def test_statistics_of_a_stream_without_rows_are_the_identity():
    ours = adapter()
    vectors, _, _ = some_tokens()
    ours.set_statistics(vectors, np.zeros(9, np.int64), token_norm=1.0)
    assert ours.source.standardiser.sd[1].eq(1).all()
    assert ours.source.standardiser.mean[1].eq(0).all()


def test_scaling_no_units_does_nothing_to_any_kind():
    for settings in ({}, {"kind": "constant"}, {"refine": "none"}):
        made = adapter(**settings)
        made.scale_units({})
        if settings:
            with pytest.raises(ConfigError, match="no autoencoder"):
                made.scale_units({0: 2.0})


def test_one_row_or_equal_rows_scale_nothing():
    ours = adapter()
    vectors, _, _ = some_tokens()
    vectors[1:] = vectors[1]
    ours.set_statistics(vectors, np.array([1, *[0] * 8]), token_norm=1.0)
    standardiser = ours.source.standardiser
    assert standardiser.sd.eq(1).all()
    assert standardiser.mean[1].eq(0).all()
    np.testing.assert_allclose(standardiser.mean[0].numpy(), vectors[1], rtol=1e-6)


def test_topk_keeps_k_units():
    code = adapter(activation="topk", k=2, d_sae=8).source.sae.feature_acts(torch.randn(20, 12))
    assert ((code > 0).sum(dim=1) <= 2).all()
    assert (code > 0).any()


def test_losses_are_weighted_as_in_eq_11():
    light, heavy = adapter(recon_weight=0.2), adapter(recon_weight=2.0)
    for name in ("reconstruction", "sparsity"):
        assert heavy(batch()).losses[name].item() == pytest.approx(10 * light(batch()).losses[name].item(), rel=1e-5)
    assert set(adapter(refine="ae")(batch()).losses) == {"reconstruction"}
    assert adapter(refine="none")(batch()).losses == {}
    assert adapter(kind="constant")(batch()).losses == {}


def test_the_constant_does_not_see_vectors():
    control = adapter(kind="constant")
    vectors, stream, entry = some_tokens()
    np.testing.assert_array_equal(
        control.soft_prompt_embeddings(vectors, stream, entry),
        control.soft_prompt_embeddings(vectors * 0, stream, entry),
    )


def test_the_constant_turns_within_a_short_fit():
    control, wanted = (
        adapter(kind="constant", hidden_size=192),
        torch.randn(192, generator=torch.Generator().manual_seed(4)),
    )
    optimiser = torch.optim.Adam(control.parameters(), lr=5e-3)
    for _ in range(40):
        loss = -torch.cosine_similarity(control(batch()).embeddings, wanted[None]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < -0.9


def test_every_parameter_takes_part_in_a_batch_without_virtual_tokens():
    for settings in ({}, {"kind": "constant"}, {"refine": "none"}):
        ours = adapter(**settings)
        output = ours(batch(0))
        (output.embeddings.sum() + sum(output.losses.values())).backward()
        assert all(p.grad is not None and p.grad.eq(0).all() for p in ours.parameters())


def test_one_stream_has_one_projector_and_refuses_the_other():
    ours = adapter(streams="his")
    vectors, stream, entry = some_tokens()
    assert list(ours.source.projectors) == ["his"]
    assert ours.soft_prompt_embeddings(vectors, stream * 0, entry).shape == (9, 16)
    with pytest.raises(ValueError, match="no weights for streams other than"):
        ours.soft_prompt_embeddings(vectors, stream, entry)


def test_virtual_tokens_that_fit_no_weights_are_refused():
    vectors, stream, entry = some_tokens()
    with pytest.raises(ValueError, match="past the adapter's 2"):
        adapter(kind="constant", max_entries=2).soft_prompt_embeddings(vectors, stream, entry)
    for last, taken in ((1, True), (2, False)):
        with nullcontext() if taken else pytest.raises(ValueError, match="entry 2 is past the adapter's 2"):
            adapter(kind="constant", max_entries=2).soft_prompt_embeddings(vectors[:1], stream[:1], np.array([last]))
    wide, long = np.concatenate([vectors, vectors], axis=1), np.concatenate([vectors, vectors])
    for wrong in (vectors[:, :5], wide, vectors[:-1], long):
        with pytest.raises(ValueError, match="need vectors"):
            adapter().soft_prompt_embeddings(wrong, stream, entry)
    for places in (entry[:-1], np.append(entry, 0)):
        with pytest.raises(ValueError, match="need vectors"):
            adapter().soft_prompt_embeddings(vectors, stream, places)


def test_the_constant_has_32_entries_per_stream_unless_said_otherwise():
    assert adapter(kind="constant").source.table.shape == (2, 32, 16)
    assert adapter(kind="constant", max_entries=3).source.table.shape == (2, 3, 16)


def test_adapter_computes_in_float32_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = adapter()(batch())
    assert output.embeddings.dtype == torch.float32
    assert torch.equal(output.embeddings, adapter()(batch()).embeddings)


def test_initial_weights_come_from_the_generator_alone():
    before = torch.get_rng_state(), random.getstate()
    first, second = adapter(), adapter()
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def saved(tmp_path):
    adapter().save_pretrained(tmp_path)
    return tmp_path / "adapter.safetensors"


def test_missing_unexpected_and_misshapen_tensors_are_named(tmp_path):
    path = saved(tmp_path)
    whole = load_file(path)
    save_file({name: t for name, t in whole.items() if name != "source.sae.b_enc"}, path)
    with pytest.raises(ArtifactError, match=r"missing: source\.sae\.b_enc"):
        Adapter.from_pretrained(tmp_path)
    save_file({**whole, "extra": torch.zeros(1)}, path)
    with pytest.raises(ArtifactError, match="unexpected: extra"):
        Adapter.from_pretrained(tmp_path)
    save_file({**whole, "source.sae.b_enc": torch.zeros(3)}, path)
    with pytest.raises(ArtifactError, match="another shape or type"):
        Adapter.from_pretrained(tmp_path)


def test_each_tensor_that_does_not_fit_is_named_once_and_the_others_are_not(tmp_path):
    path = saved(tmp_path)
    whole = load_file(path)
    start = f"{str(path)!r} does not fit its configuration: "
    kept = {name: t for name, t in whole.items() if name != "source.sae.b_enc"}
    for weights, expected in (
        (kept, "missing: source.sae.b_enc"),
        ({**whole, "extra": torch.zeros(1)}, "unexpected: extra"),
        ({**kept, "extra": torch.zeros(1)}, "missing: source.sae.b_enc; unexpected: extra"),
    ):
        save_file(weights, path)
        with pytest.raises(ArtifactError) as found:
            Adapter.from_pretrained(tmp_path)
        assert found.value.message == start + expected
    save_file({"extra": torch.zeros(10_000)}, path)
    with pytest.raises(ArtifactError) as found:
        Adapter.from_pretrained(tmp_path)
    shown = ", ".join(sorted(whole)[:5])
    assert found.value.message == f"{start}missing: {shown} and {len(whole) - 5} more; unexpected: extra"


def test_damaged_and_absent_files_are_told_apart(tmp_path):
    with pytest.raises(NotFoundError, match="no adapter here"):
        Adapter.from_pretrained(tmp_path)
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ArtifactError, match="damaged"):
        Adapter.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"d_in": 3, "color": "red"}))
    with pytest.raises(ArtifactError, match="does not describe an adapter"):
        Adapter.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"d_in": 10**12},
        {"d_sae": 10**12},
        {"hidden_size": 10**9, "d_sae": 1},
        {"hidden_size": 10**12},
        {"d_in": 10**12, "refine": "none"},
        {"kind": "constant", "max_entries": 10**12},
    ],
)
def test_a_configuration_larger_than_its_weights_is_refused_before_it_is_built(tmp_path, change):
    saved(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ArtifactError, match=r"smaller than the adapter that config\.json describes"):
        Adapter.from_pretrained(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, " " * 2**17, "null", "[]", '{"d_in": 1e400, "hidden_size": 2}'])
def test_a_configuration_that_is_none_is_one_line(tmp_path, text):
    saved(tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ArtifactError, match="does not describe an adapter") as found:
        Adapter.from_pretrained(tmp_path)
    assert len(str(found.value).splitlines()) == 1


def test_weights_that_are_not_finite_are_refused(tmp_path):
    path = saved(tmp_path)
    whole = load_file(path)
    whole["source.sae.b_enc"][0] = float("nan")
    save_file(whole, path)
    with pytest.raises(ArtifactError, match=r"not finite: source\.sae\.b_enc"):
        Adapter.from_pretrained(tmp_path)


def test_presets_are_checked_by_name():
    paper = AdapterConfig.preset("paper", d_in=1024, hidden_size=3584)
    assert (paper.width, paper.recon_weight, paper.standardise) == (512, 100.0, False)
    with pytest.raises(ConfigError, match="did you mean 'paper'"):
        AdapterConfig.preset("papers", d_in=4, hidden_size=4)


def test_stream_codes_follow_the_virtual_tokens():
    assert stream_ids([VirtualToken("diff", 0), VirtualToken("his", 0)]).tolist() == [1, 0]
    assert stream_ids([]).shape == (0,)


def test_a_constant_has_no_units_to_scale():
    constant = adapter(kind="constant")
    constant.scale_units({})
    with pytest.raises(ConfigError, match="no units"):
        constant.scale_units({0: 2.0})
