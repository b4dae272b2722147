"""PPlug's adapter is fitted by the path that fits DEP's."""

from __future__ import annotations

import json

import numpy as np
import torch

from idiolect.softprompt.config import PPlugConfig, UserInputs
from idiolect.softprompt.model import SoftPromptModel
from idiolect.softprompt.pplug import PPlugAdapter
from idiolect.training.config import FitConfig
from idiolect.training.examples import Collator, Example, with_sub_histories
from idiolect.training.fit import fit_adapter

D_IN = 8
QUICK = {"batch_size": 8, "learning_rate": 5e-3, "bf16": "off"}


def toy(n, seed=0):
    """Prompts are alike, and the user's history decides the target's token; the newest user has none."""
    rng = np.random.default_rng(seed)

    def one(k):
        kind, length = int(rng.integers(4)), 0 if k == n - 1 else 3 + k % 5
        center = np.zeros(D_IN)
        center[2 * kind] = 1.0
        history = (center + rng.normal(0, 0.05, (length, D_IN))).astype(np.float32)
        query = rng.normal(size=D_IN).astype(np.float32)
        return Example(
            prompt=np.array([2, 3, 4, 5], dtype=np.int32),
            target=np.full(1 + k % 2, 10 + kind, dtype=np.int32),
            virtual_token_positions=np.array([1, 2]),
            inputs=UserInputs(stream=np.array([1, 0]), history=history, query=query / np.linalg.norm(query)),
        )

    return [one(k) for k in range(n)]


def adapter(**settings):
    usual = {"d_in": D_IN, "hidden_size": 32, "input_encoder": "mlp", "query_instruction": "none"}
    return PPlugAdapter(PPlugConfig(**{**usual, **settings}), torch.Generator().manual_seed(0))


@torch.no_grad()
def nats(backbone, ours, examples):
    return SoftPromptModel(backbone, ours).eval()(**Collator(0, ours.collate)(examples))["generation"].item()


def test_training_lowers_the_loss_and_what_only_histories_tell_is_learned(tiny_backbone, tmp_path):
    backbone, ours, constant = tiny_backbone(), adapter(), adapter(kind="pplug_constant")
    examples, fresh = with_sub_histories(toy(64), 2, seed=0), toy(32, seed=1)
    before = nats(backbone, ours, fresh)
    config = FitConfig(**QUICK, max_steps=60)
    for name, one in (("ours", ours), ("constant", constant)):
        report = fit_adapter(backbone, one, examples, config=config, folder=tmp_path / name)
        assert report.steps == 60
    assert nats(backbone, ours, fresh) < 0.5 * before
    assert nats(backbone, ours, fresh) < nats(backbone, constant, fresh) - 0.5
    logged = [json.loads(line) for line in (tmp_path / "ours" / "log.jsonl").read_text().splitlines()]
    assert logged[-2]["loss"] < logged[0]["loss"]
    assert {"attended", "user_norm", "instruction_norm"} <= logged[0].keys()
