from __future__ import annotations

import numpy as np
import pytest

from idiolect.errors import ConfigError, NotFoundError
from idiolect.experiments.study.arrays import adapter_codes
from idiolect.softprompt.adapter import Adapter
from idiolect.softprompt.config import AdapterConfig


def saved(folder, **settings):
    import torch

    adapter = Adapter(AdapterConfig(d_in=12, hidden_size=8, **settings), torch.Generator().manual_seed(1))
    streams = np.repeat([0, 1], 30)
    vectors = np.random.default_rng(0).normal(streams[:, None], 0.1, (60, 12)).astype(np.float32)
    adapter.set_statistics(vectors, streams, token_norm=1.0)
    adapter.save_pretrained(folder)
    return adapter, vectors


@pytest.mark.parametrize("standardise", [True, False])
def test_codes_are_what_the_adapter_projects(tmp_path, standardise):
    import torch

    adapter, vectors = saved(tmp_path, match_norm=False, standardise=standardise)
    codes = adapter_codes(tmp_path)
    assert codes.streams == ("his", "diff")
    for code, stream in enumerate(codes.streams):
        rows = slice(30 * code, 30 * code + 30)
        z = codes.encode(vectors[rows].astype(np.float16), stream)
        assert z.shape == (30, 6)
        assert (z >= 0).all()
        projected = adapter.source.projectors[stream](torch.from_numpy(z)).detach().numpy()
        expected = adapter.soft_prompt_embeddings(
            vectors[rows].astype(np.float16), np.full(30, code), np.zeros(30, dtype=int)
        )
        np.testing.assert_allclose(projected, expected, rtol=1e-4, atol=1e-5)


def test_the_name_tells_weights_apart(tmp_path):
    saved(tmp_path / "a")
    saved(tmp_path / "b", activation="sigmoid")
    assert adapter_codes(tmp_path / "a").name == adapter_codes(tmp_path / "a").name
    assert adapter_codes(tmp_path / "a").name != adapter_codes(tmp_path / "b").name


def test_only_the_streams_that_were_trained_have_codes(tmp_path):
    saved(tmp_path, streams="diff")
    assert adapter_codes(tmp_path).streams == ("diff",)


@pytest.mark.parametrize("settings", [{"kind": "constant"}, {"refine": "none"}])
def test_an_adapter_without_an_autoencoder_has_none(tmp_path, settings):
    saved(tmp_path, **settings)
    with pytest.raises(ConfigError, match="no autoencoder"):
        adapter_codes(tmp_path)


def test_a_folder_without_an_adapter_is_refused(tmp_path):
    with pytest.raises(NotFoundError):
        adapter_codes(tmp_path)
