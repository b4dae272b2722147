"""Memory runs out above a number of rows: the same adapter is fitted, in smaller parts."""

from __future__ import annotations

import json
import logging
from types import MethodType

import pytest
import torch

from idiolect.errors import ConfigError
from idiolect.softprompt.memory import BatchLimit, out_of_memory
from idiolect.training.config import FitConfig
from idiolect.training.fit import fit_adapter

pytestmark = pytest.mark.usefixtures("whole_batches")
CONFIG = FitConfig(batch_size=8, accumulation=2, learning_rate=5e-3, bf16="off", max_steps=4, every=2)
FULL = "CUDA out of memory. Tried to allocate 2.00 GiB."


@pytest.fixture
def whole_batches(monkeypatch):
    """As on a GPU: a batch is computed at once."""
    monkeypatch.setattr("idiolect.softprompt.model.rows_at_once", lambda device: None)


def with_memory_for(rows, backbone, *, backward=False):
    """The backbone, which raises for more rows than that, in the forward or only in the backward pass."""
    forward, seen = backbone.forward, []

    def full(*_):
        raise torch.OutOfMemoryError(FULL)

    def limited(self, *args, inputs_embeds=None, **more):
        if len(inputs_embeds) > rows and not backward:
            full()
        found = forward(*args, inputs_embeds=inputs_embeds, **more)
        if len(inputs_embeds) > rows:
            found.logits.register_hook(full)
        else:
            seen.append(len(inputs_embeds))
        return found

    backbone.forward = MethodType(limited, backbone)
    return seen


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_same_adapter_is_fitted_in_smaller_parts(
    tiny_backbone, make_adapter, examples, tmp_path, caplog, backward, checkpointing
):
    config = CONFIG.model_copy(update={"checkpointing": checkpointing})
    whole, parts, backbone = make_adapter(), make_adapter(), tiny_backbone()
    fit_adapter(tiny_backbone(), whole, examples[:40], config=config, folder=tmp_path / "whole")
    seen = with_memory_for(3, backbone, backward=backward)
    with caplog.at_level(logging.WARNING):
        fit_adapter(backbone, parts, examples[:40], config=config, folder=tmp_path / "parts")
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "parts")]
    for one, other in zip(*(map(json.loads, lines[:-1]) for lines in logs), strict=True):  # the last one is of times
        assert other == pytest.approx(one, rel=1e-4)
    assert max(seen) == 2
    said = [record.getMessage() for record in caplog.records if record.name.startswith("idiolect")]
    assert said == [
        "no memory for training of 8 rows at once: 4 from now on",
        "no memory for training of 4 rows at once: 2 from now on",
    ]


def test_nothing_fits_and_nothing_is_lost(tiny_backbone, make_adapter, examples, tmp_path):
    """The remedy is named, and with it the fit goes on from its checkpoint."""
    validated = []

    def then_full():
        validated.append(1)
        if len(validated) == 1:
            with_memory_for(0, backbone)
        return {"meteor": 1.0}

    options = {"config": CONFIG, "folder": tmp_path / "fit"}
    backbone = tiny_backbone()
    with pytest.raises(ConfigError, match="no memory for training of even one row") as caught:
        fit_adapter(backbone, make_adapter(), examples[:40], validate=then_full, **options)
    assert "fit.checkpointing=true" in str(caught.value.hint)
    assert (tmp_path / "fit" / "checkpoints" / "checkpoint-2").is_dir()
    options["config"] = CONFIG.model_copy(update={"checkpointing": True})
    report = fit_adapter(tiny_backbone(), make_adapter(), examples[:40], validate=lambda: {"meteor": 1.0}, **options)
    assert report.steps == 4
    assert len((tmp_path / "fit" / "log.jsonl").read_text().splitlines()) == 4  # of steps 1 and 2, and of validations


def test_only_errors_of_memory_are_tried_again():
    assert all(map(out_of_memory, [torch.OutOfMemoryError(FULL), RuntimeError(FULL), MemoryError()]))
    assert out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"))
    assert out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"))
    assert not any(map(out_of_memory, [RuntimeError("shapes differ"), ValueError(FULL), KeyError("x")]))
    calls = []

    def fails(rows):
        calls.append(rows)
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        BatchLimit("work", hint="").run(8, fails)
    assert len(calls) == 1


def test_parts_cover_all_rows_in_order():
    limit, done = BatchLimit("work", hint=""), []

    def compute(rows):
        if rows.stop - rows.start > 3:
            raise MemoryError
        done.extend(range(rows.start, rows.stop))
        return rows.stop - rows.start

    assert sum(limit.run(11, compute)) == 11
    assert done == list(range(11))
    assert limit.rows == 2


def test_without_padding_the_same_adapter_is_fitted(tiny_backbone, make_adapter, examples, tmp_path, monkeypatch):
    """Row by row, as on a CPU: no column is computed in which there is only padding."""
    whole, alone, seen = make_adapter(), make_adapter(), []
    fit_adapter(tiny_backbone(), whole, examples[:40], config=CONFIG, folder=tmp_path / "whole")
    monkeypatch.setattr("idiolect.softprompt.model.rows_at_once", lambda device: 1)
    backbone = tiny_backbone()
    forward = backbone.forward

    def watched(self, *args, inputs_embeds=None, attention_mask=None, **more):
        seen.append((len(inputs_embeds), attention_mask))
        return forward(*args, inputs_embeds=inputs_embeds, attention_mask=attention_mask, **more)

    backbone.forward = MethodType(watched, backbone)
    fit_adapter(backbone, alone, examples[:40], config=CONFIG, folder=tmp_path / "alone")
    assert set(seen) == {(1, None)}
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(alone.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)
