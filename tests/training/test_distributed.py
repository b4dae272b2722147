from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from idiolect.errors import ConfigError
from idiolect.processes import on_main, process_mean
from idiolect.softprompt.adapter import Adapter
from idiolect.softprompt.sharding import shard_layers
from idiolect.training.config import FitConfig
from idiolect.training.fit import FitReport, fit_adapter

SCRIPT = Path(__file__).with_name("two_processes.py")
CONFIG = {"learning_rate": 5e-3, "bf16": "off", "max_steps": 5, "every": 3, "metric": "nll"}


TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc-per-node=2"]
DEEPSPEED = [
    *("accelerate.commands.launch", "--use_deepspeed", "--num_processes=2", "--num_machines=1", "--mixed_precision=no"),
    *("--dynamo_backend=no", f"--deepspeed_config_file={SCRIPT.parents[2] / 'configs' / 'deepspeed_zero1.json'}"),
]


def two_processes(tmp_path, backbone, launcher=TORCHRUN, **changes):
    """The adapter that two processes fit, four examples each a step, and the report."""
    backbone.save_pretrained(tmp_path / "backbone")
    (tmp_path / "config.json").write_text(FitConfig(batch_size=4, **CONFIG, **changes).model_dump_json())
    launch = [sys.executable, "-m", *launcher, str(SCRIPT)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*launch, str(tmp_path)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return Adapter.from_pretrained(tmp_path / "fit"), FitReport.read(tmp_path / "fit"), done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"sharded": True}, {"sharded": True, "checkpointing": True}])
def test_two_processes_fit_the_adapter_that_one_does(
    tiny_backbone, make_adapter, examples, validation_loss, tmp_path, changes
):
    """Each with a copy of the backbone, or with half of its layers; sums of a batch differ in their last bits."""
    fitted, report, _ = two_processes(tmp_path, tiny_backbone(), **changes)
    assert_fitted_alone(fitted, report, tiny_backbone, make_adapter, examples, validation_loss, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)  # it compiles its communication at the first start
def test_two_processes_under_deepspeed_fit_the_adapter_that_one_does(
    tiny_backbone, make_adapter, examples, validation_loss, tmp_path
):
    pytest.importorskip("deepspeed", exc_type=ImportError)
    fitted, report, said = two_processes(tmp_path, tiny_backbone(), DEEPSPEED)
    assert "deepspeed" in said.lower()
    assert_fitted_alone(fitted, report, tiny_backbone, make_adapter, examples, validation_loss, tmp_path)


def assert_fitted_alone(fitted, report, tiny_backbone, make_adapter, examples, validation_loss, tmp_path):
    """One process, with eight examples a step, fits the same adapter."""
    backbone, alone = tiny_backbone(), make_adapter()
    config = FitConfig(batch_size=8, **CONFIG)
    validate = validation_loss(backbone, alone)
    known = fit_adapter(backbone, alone, examples[:24], config=config, folder=tmp_path / "alone", validate=validate)
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(fitted.state_dict()[name], tensor, rtol=1e-4, atol=1e-4)
    assert report.best_metric == pytest.approx(known.best_metric, rel=1e-5)
    assert (report.steps, report.total_parameters) == (known.steps, known.total_parameters)


def test_one_process_has_nobody_to_share_layers_with(tiny_backbone):
    with pytest.raises(ConfigError, match="torchrun"):
        shard_layers(tiny_backbone(), "cpu")


def test_one_process_agrees_with_itself():
    assert process_mean(torch.tensor(3.0)).item() == 3.0
    assert on_main(lambda: "once") == "once"
