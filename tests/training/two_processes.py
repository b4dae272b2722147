"""Run by ``test_distributed`` under torchrun: fits the toy adapter on this process's share."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from idiolect.training.config import FitConfig
from idiolect.training.fit import fit_adapter

sys.path.insert(0, str(Path(__file__).parent))
from toy import toy_adapter, toy_examples


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    backbone = AutoModelForCausalLM.from_pretrained(folder / "backbone")
    config = FitConfig.model_validate_json((folder / "config.json").read_text())
    report = fit_adapter(
        backbone,
        toy_adapter(),
        toy_examples(24),
        config=config,
        folder=folder / "fit",
        validate=lambda: {"meteor": 1.0},
    )
    assert report.steps == config.max_steps


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    torch.distributed.destroy_process_group()
