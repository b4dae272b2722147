"""A checkpoint's input embeddings without the rest of it: what turns token ids and soft rows into prompt embeddings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils.hub import cached_file

from idiolect.errors import ArtifactError, NotFoundError

_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"


class InputEmbeddings:
    """Token ids to the rows that a model's first layer sees.

    Args:
        table: float (vocabulary, hidden): one row a token.
    """

    def __init__(self, table: torch.Tensor) -> None:
        self._table = table

    @classmethod
    def load(cls, model: str, revision: str | None = None) -> InputEmbeddings:
        """Read the one tensor out of a folder or a hub model.

        Raises:
            ArtifactError: The model does more with its embeddings than look them up, or has no such tensor.
            NotFoundError: There are no safetensors.
        """
        name = _layer_name(model, revision)
        for file in _files(model, revision, name):
            with safe_open(file, framework="pt") as tensors:
                # Checkpoints of a bare model leave out the prefix that the causal model puts before its names.
                known: list[str] = tensors.keys()
                stored = next((key for key in known if name == key or name.endswith(f".{key}")), None)
                if stored is not None:
                    return cls(tensors.get_tensor(stored))
        raise ArtifactError(f"{model!r} has no tensor {name!r}", hint="use the backend 'transformers'")

    @property
    def hidden_size(self) -> int:
        """Width of the model's input space: what soft rows must have."""
        return int(self._table.shape[1])

    def embed(self, ids: np.ndarray, positions: np.ndarray, rows: np.ndarray) -> torch.Tensor:
        """(n, hidden), of the table's dtype: the rows of ``ids``, with ``rows`` in the places of the slots.

        Args:
            ids: int (n,): token ids, anything at the slots.
            positions: int (n_slots,): where the slots are.
            rows: float (n_slots, hidden): what fills them.
        """
        embeds = self._table[torch.from_numpy(ids.astype(np.int64))]
        embeds[torch.from_numpy(positions)] = torch.from_numpy(rows.astype(np.float32)).to(embeds.dtype)
        return embeds


def _layer_name(model: str, revision: str | None) -> str:
    """What the table is called among the model's parameters, told from its code without its weights."""
    config = AutoConfig.from_pretrained(model, revision=revision)
    with torch.device("meta"):
        empty: Any = AutoModelForCausalLM.from_config(config)
    layer = empty.get_input_embeddings()
    if type(layer) is not torch.nn.Embedding:
        raise ArtifactError(
            f"{model!r} scales or shifts its embeddings, so rows of the table are not what its layers see",
            hint="use the backend 'transformers'",
        )
    return next(name for name, weight in empty.named_parameters(remove_duplicate=False) if weight is layer.weight)


def _files(model: str, revision: str | None, name: str) -> Iterator[Path]:
    """The files that may hold a tensor: of a checkpoint in parts the one that its index names."""
    found = {"revision": revision, "_raise_exceptions_for_missing_entries": False}
    index = cached_file(model, _INDEX, **found)
    parts = json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"] if index else {}
    wanted = {file for key, file in parts.items() if name == key or name.endswith(f".{key}")} if index else {_WHOLE}
    for file in sorted(wanted):
        path = cached_file(model, file, **found)
        if path is None:
            raise NotFoundError(f"{model!r} has no {file}", hint="prompt embeddings need a checkpoint in safetensors")
        yield Path(path)
