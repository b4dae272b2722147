"""Run by ``test_distributed`` under torchrun: fits the toy adapter on this process's share."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from idiolect.processes import process_group
from idiolect.softprompt.sharding import shard_layers
from idiolect.training.config import FitConfig
from idiolect.training.fit import fit_adapter

sys.path.insert(0, str(Path(__file__).parent))
from toy import toy_adapter, toy_examples, validation_loss


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    backbone = AutoModelForCausalLM.from_pretrained(folder / "backbone")
    config = FitConfig.model_validate_json((folder / "config.json").read_text())
    if config.sharded:
        backbone = shard_layers(backbone, "cpu")
        own = sum(parameter.to_local().numel() for layer in backbone.model.layers for parameter in layer.parameters())
        whole = sum(parameter.numel() for layer in backbone.model.layers for parameter in layer.parameters())
        assert own == whole // 2
    adapter = toy_adapter()
    report = fit_adapter(
        backbone,
        adapter,
        toy_examples(24),
        config=config,
        folder=folder / "fit",
        validate=validation_loss(backbone, adapter),
    )
    assert report.steps == config.max_steps


if __name__ == "__main__":
    with process_group(on_cpu=True):
        main(Path(sys.argv[1]))
