"""The numbers of the authors' autoencoder and of the paper's formulas, computed independently."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from idiolect.softprompt.sae import Groups, SparseAutoencoder, VirtualTokenBatch, reconstruction_loss, sparsity_loss

WEIGHTS = ["base", "bias+0.8", "dead_zone", "clamp_high"]


@pytest.fixture(scope="module")
def case(golden):
    folder = golden / "a5_dep_sae"
    arrays = dict(np.load(folder / "arrays.npz"))
    return json.loads((folder / "expected.json").read_text()), arrays


def autoencoder(arrays, name, activation, decoder="linear"):
    d_sae, d_in = arrays[f"weights__{name}__enc_w"].shape
    sae = SparseAutoencoder(d_in, d_sae, activation=activation, decoder_activation=decoder)
    names = {"W_enc": "enc_w", "b_enc": "enc_b", "W_dec": "dec_w", "b_dec": "dec_b"}
    sae.load_state_dict({ours: torch.from_numpy(arrays[f"weights__{name}__{its}"]) for ours, its in names.items()})
    return sae


def virtual_tokens_of(arrays, mask):
    """Both streams of every sample, his first, without the entries that are masked."""
    where = np.argwhere(np.concatenate([mask, mask], axis=1))
    both = np.concatenate([arrays["his"], arrays["diff"]], axis=1)
    sample, place = where.T
    return VirtualTokenBatch(
        torch.from_numpy(both[sample, place]),
        torch.from_numpy((place >= mask.shape[1]).astype(np.int64)),
        torch.from_numpy(place % mask.shape[1]),
        torch.from_numpy(sample),
        n_samples=len(mask),
    )


def losses(sae, virtual_tokens, pooling):
    groups = Groups.of(virtual_tokens, pooling)
    code = sae.feature_acts(virtual_tokens.vectors)
    return reconstruction_loss(virtual_tokens.vectors, sae.decode(code), groups), sparsity_loss(code, groups, 0.05)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_code_and_reconstruction_are_the_papers(case, name, activation):
    _, arrays = case
    sae = autoencoder(arrays, name, activation)
    for stream in ("his", "diff"):
        code = sae.feature_acts(torch.from_numpy(arrays[stream]))
        for ours, key in ((code, "z"), (sae.decode(code), "x_recon")):
            expected = arrays[f"paper__{name}__{activation}__{key}_{stream}"]
            np.testing.assert_allclose(ours.detach(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_losses_are_the_papers_whatever_eq_9_averages_over(case, name, activation):
    expected, arrays = case
    sae, virtual_tokens = autoencoder(arrays, name, activation), virtual_tokens_of(arrays, np.ones((3, 8), bool))
    reference = expected["cases"][name][f"paper_{activation}"]["sum"]
    for pooling, key in (("sample", "kl_mean_per_sample_mean"), ("batch", "kl_mean_over_hidden_batch_mean")):
        reconstruction, sparsity = losses(sae, virtual_tokens, pooling)
        assert reconstruction.item() == pytest.approx(reference["recon"], rel=1e-4)
        assert sparsity.loss.item() == pytest.approx(reference[key], rel=1e-4)


@pytest.mark.parametrize("name", WEIGHTS)
def test_masked_entries_take_no_part(case, name):
    expected, arrays = case
    sae, virtual_tokens = autoencoder(arrays, name, "sigmoid"), virtual_tokens_of(arrays, arrays["mask"])
    reference = expected["cases"][name]["paper_sigmoid_masked"]["sum"]
    reconstruction, sparsity = losses(sae, virtual_tokens, "batch")
    assert reconstruction.item() == pytest.approx(reference["recon"], rel=1e-4)
    assert sparsity.loss.item() == pytest.approx(reference["kl_mean_over_hidden_batch_mean"], rel=1e-4)


@pytest.mark.parametrize("name", WEIGHTS)
def test_authors_program_is_reproduced_by_its_options(case, name):
    expected, arrays = case
    sae, virtual_tokens = autoencoder(arrays, name, "gelu", "gelu"), virtual_tokens_of(arrays, np.ones((3, 8), bool))
    reference = expected["cases"][name]["authors"]
    reconstruction, sparsity = losses(sae, virtual_tokens, "streams")
    assert reconstruction.item() == pytest.approx(reference["recon_loss"], rel=1e-4)
    assert sparsity.loss.item() == pytest.approx(reference["kl_loss"], rel=1e-2 if name == "clamp_high" else 1e-4)
    sparsity.loss.backward()
    gradient = sae.W_enc.grad.abs().sum().item()
    assert gradient == pytest.approx(reference["sum_abs_grad_of_kl_wrt_encoder_weight"], rel=1e-3, abs=1e-9)
    code = sae.feature_acts(torch.from_numpy(np.concatenate([arrays["his"], arrays["diff"]], axis=1)))
    np.testing.assert_allclose(code.detach(), arrays[f"authors__{name}__z"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sae.decode(code).detach(), arrays[f"authors__{name}__x_recon"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["dead_zone", "clamp_high"])
def test_clamp_rate_says_where_the_authors_loss_is_blind(case, name):
    _, arrays = case
    sae, virtual_tokens = autoencoder(arrays, name, "gelu", "gelu"), virtual_tokens_of(arrays, np.ones((3, 8), bool))
    assert losses(sae, virtual_tokens, "streams")[1].clamp_rate.item() == 1
