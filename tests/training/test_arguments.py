from __future__ import annotations

import pytest
import torch

from idiolect.training.config import FitConfig
from idiolect.training.trainer import training_arguments


def test_a_fit_of_a_backbone_on_the_cpu_leaves_the_gpu_alone(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    arguments = training_arguments(FitConfig(), tmp_path, validated=False, on_cpu=True)
    assert arguments.device.type == "cpu"
    assert not arguments.bf16
    assert not arguments.dataloader_pin_memory
