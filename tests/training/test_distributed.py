from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from idiolect.processes import on_main, process_mean
from idiolect.softprompt.adapter import Adapter
from idiolect.training.config import FitConfig
from idiolect.training.fit import fit_adapter

SCRIPT = Path(__file__).with_name("two_processes.py")
CONFIG = {"learning_rate": 5e-3, "bf16": "off", "max_steps": 5, "every": 3}


@pytest.fixture
def two_processes(tmp_path, tiny_backbone):
    """The adapter that two processes fit, four examples each a step."""
    tiny_backbone().save_pretrained(tmp_path / "backbone")
    (tmp_path / "config.json").write_text(FitConfig(batch_size=4, **CONFIG).model_dump_json())
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(SCRIPT)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*launch, str(tmp_path)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return Adapter.from_pretrained(tmp_path / "fit")


@pytest.mark.slow
def test_two_processes_fit_the_adapter_that_one_does(two_processes, tiny_backbone, make_adapter, examples, tmp_path):
    alone = make_adapter()
    config = FitConfig(batch_size=8, **CONFIG)
    options = {"config": config, "folder": tmp_path / "alone", "validate": lambda: {"meteor": 1.0}}
    fit_adapter(tiny_backbone(), alone, examples[:24], **options)
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(two_processes.state_dict()[name], tensor, rtol=1e-4, atol=1e-4)


def test_one_process_agrees_with_itself():
    assert process_mean(torch.tensor(3.0)).item() == 3.0
    assert on_main(lambda: "once") == "once"
