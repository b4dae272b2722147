"""Weights as the DEP authors' program writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from idiolect.cli.main import main
from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.pipeline.adapters import read_record
from idiolect.pipeline.released import import_released
from idiolect.softprompt.artifact import read_config
from idiolect.softprompt.model import load_adapter
from idiolect.softprompt.released import NAMES, read_released


class Program(nn.Module):
    """The adapter's part of the program's model, with its names."""

    def __init__(self, d_in: int, d_sae: int, hidden: int) -> None:
        super().__init__()
        self.sae = nn.Module()
        self.sae.encoder = nn.Sequential(nn.Linear(d_in, d_sae), nn.GELU())
        self.sae.decoder = nn.Sequential(nn.Linear(d_sae, d_in), nn.GELU())
        for stream in ("his", "diff"):
            mlp = nn.Sequential(nn.Linear(d_sae, hidden), nn.GELU(), nn.Linear(hidden, hidden))
            setattr(self, f"align_mlp_{stream}", mlp)

    def forward(self, x: torch.Tensor, stream: int) -> torch.Tensor:
        return (self.align_mlp_diff if stream else self.align_mlp_his)(self.sae.encoder(x))


@pytest.fixture
def program() -> Program:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Program(48, 20, 192).bfloat16().float()


def saved(program: Program, folder: Path, *, shards: int = 1, without: str = "") -> Path:
    folder.mkdir()
    weights = {name: tensor.bfloat16() for name, tensor in program.state_dict().items() if name != without}
    weights["model.embed_tokens.weight"] = torch.zeros(2, 3)
    if shards == 1:
        save_file(weights, folder / "model.safetensors")
        return folder
    names = sorted(weights)
    parts = {f"model-{k}.safetensors": names[k::shards] for k in range(shards)}
    for file, own in parts.items():
        save_file({name: weights[name] for name in own}, folder / file)
    where = {name: file for file, own in parts.items() for name in own}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return folder


@pytest.mark.parametrize("shards", [1, 3])
def test_embeddings_are_those_of_the_program(program: Program, tmp_path: Path, shards: int) -> None:
    adapter = read_released(saved(program, tmp_path / "released", shards=shards))
    assert len(NAMES) == 12
    assert sum(one.numel() for one in adapter.parameters()) == sum(one.numel() for one in program.parameters())
    vectors, stream = np.random.default_rng(0).normal(0, 0.2, (6, 48)).astype(np.float32), np.arange(6) % 2
    theirs = [program(torch.from_numpy(row), int(s)).detach().numpy() for row, s in zip(vectors, stream, strict=True)]
    np.testing.assert_allclose(adapter.soft_prompt_embeddings(vectors, stream, stream), np.stack(theirs), atol=1e-5)


def test_an_imported_adapter_is_one_that_can_be_loaded(
    program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = saved(program, tmp_path / "released"), tmp_path / "adapter"
    told = ["import-adapter", str(source), "--out", str(out), "--backbone", "sandbox", "--encoder", "hash:48"]
    main([*told, "--json"])
    assert json.loads(capsys.readouterr().out)["config"]["decoder_activation"] == "gelu"
    config: Any = read_config(out)
    assert (config.activation, config.standardise, config.match_norm) == ("gelu", False, False)
    record = read_record(out)
    assert record.names["encoder"] == "hash-v2-48"
    assert record.names["backbone"].startswith("sandbox@")
    assert record.settings["context"]["peer_weighting"] == "profile_distance"
    assert load_adapter(out).config == config


def test_what_does_not_fit_is_one_line(program: Program, tmp_path: Path) -> None:
    source = saved(program, tmp_path / "released")
    with pytest.raises(ArtifactError, match=r"encoder width 48; 'hash:16' has 16"):
        import_released(source, tmp_path / "out", backbone="sandbox", encoder="hash:16")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files"):
        import_released(source, tmp_path / "full", backbone="sandbox", encoder="hash:48")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["notes.txt"]
    with pytest.raises(NotFoundError, match=r"no model\.safetensors"):
        read_released(tmp_path / "full")
    with pytest.raises(ArtifactError, match=r"it lacks align_mlp_his\.0\.weight"):
        read_released(saved(program, tmp_path / "partial", without="align_mlp_his.0.weight"))
    (source / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ArtifactError, match="is damaged"):
        read_released(source)


@pytest.mark.parametrize(
    "content", ["{}", "[]", '{"weight_map": 3}', "no json", '{"weight_map": {"sae.encoder.0.weight": 1}}']
)
def test_a_damaged_index_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(ArtifactError):
        read_released(tmp_path)


def test_no_shard_is_read_outside_the_checkpoint(program: Program, tmp_path: Path) -> None:
    saved(program, tmp_path / "elsewhere")
    folder = tmp_path / "released"
    folder.mkdir()
    where = dict.fromkeys(NAMES, "../elsewhere/model.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    with pytest.raises(ArtifactError):
        read_released(folder)
