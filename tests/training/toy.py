"""A task that only the vectors can solve: prompts are alike, and the vector decides the target's token."""

from __future__ import annotations

import numpy as np
import torch

from idiolect.softprompt.adapter import Adapter
from idiolect.softprompt.config import AdapterConfig, VectorInputs
from idiolect.softprompt.model import SoftPromptModel
from idiolect.training.examples import Collator, Example

D_IN = 8


def toy_examples(n, seed=0):
    """Targets of 1 to 3 tokens, virtual tokens of one or both streams; the class decides every target token."""
    rng = np.random.default_rng(seed)
    made = []
    for k in range(n):
        kind, virtual_tokens, target = int(rng.integers(4)), 1 + k % 2, 1 + k % 3
        center = np.zeros(D_IN)
        center[2 * kind] = 3.0
        made.append(
            Example(
                prompt=np.array([2, 3, 4, 5, 6][: 3 + virtual_tokens], dtype=np.int32),
                target=np.full(target, 10 + kind, dtype=np.int32),
                virtual_token_positions=np.arange(1, 1 + virtual_tokens),
                inputs=VectorInputs(
                    stream=np.arange(virtual_tokens),
                    entry=np.zeros(virtual_tokens, dtype=np.int64),
                    vectors=(center + rng.normal(0, 0.1, (virtual_tokens, D_IN))).astype(np.float32),
                ),
            )
        )
    return made


def toy_adapter(**settings):
    """The same initial weights at every call."""
    config = AdapterConfig(**{"d_in": D_IN, "hidden_size": 32, "d_sae": 8, **settings})
    return Adapter(config, torch.Generator().manual_seed(0))


def validation_loss(backbone, adapter):
    """Scores an adapter by its loss on eight other examples: a forward pass of the backbone, without gradients."""

    def validate():
        model = SoftPromptModel(backbone, adapter).eval()
        with torch.inference_mode():
            batch = Collator(0, adapter.collate)(toy_examples(8, seed=9))
            return {"nll": float(model(**batch)["loss"])}

    return validate
