"""PPlug: one soft prompt embedding per user, chosen by what is to be written (arXiv 2409.11901), and its control.

The input encoder turns the text of the task into ``x``. Attention over the vectors ``h_i`` of the user's past reviews
weighs them by ``softmax_i(x . h_i)``, without a temperature, over unprojected vectors. A projector makes the user
embedding ``P = sum_i w_i Proj(h_i)`` of them; a trained instruction vector has a projector of its own. Both are scaled
to the norm of the backbone's token embeddings and stand at virtual tokens: ``[I; P; text]``.

Input encoders:

- ``encoder``: a copy of the text encoder whose vectors are stored, trained with the rest, as in the paper. It takes
  weights that torch can reach: ``minilm`` offline, any sentence-transformers model by name (the paper:
  ``BAAI/bge-base-en-v1.5``).
- ``mlp``: the text encoder stays frozen, and a small network is trained that moves its vector of the text. For encoders
  without weights (``style``, ``hash``), and where copies of an encoder would be too large to train or to keep.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from idiolect.errors import ArtifactError
from idiolect.softprompt.adapter import Projector
from idiolect.softprompt.artifact import CONFIG, SavedAdapter, read_config
from idiolect.softprompt.config import QUERY_INSTRUCTIONS, USER_STREAMS, PPlugConfig, UserInputs
from idiolect.softprompt.sae import AdapterOutput, Average, identity

_STATISTICS = 256
"""Samples from which the scales are taken, spread evenly."""


class PPlugOutput(NamedTuple):
    """The two embeddings of every sample, before scaling."""

    instruction: Tensor
    """float32 (B, hidden_size)"""
    user: Tensor
    """float32 (B, hidden_size)"""
    weights: Tensor
    """float32 (B, N): the attention; a row of an empty history is zero."""


def attention(x: Tensor, history: Tensor, mask: Tensor, *, masked: bool = True) -> Tensor:
    """Weights of past reviews: ``softmax_i(x . h_i)``.

    Args:
        x: float (B, d), of the input.
        history: float (B, N, d), padded to N with anything.
        mask: bool (B, N), False at padding.
        masked: Padding has no weight. False: it has (what DEP's fork of vLLM does: a zero vector scores exp(0) = 1).

    Returns:
        float (B, N); rows sum to 1, but those of an empty history are zero if ``masked``.
    """
    scores = torch.einsum("bd,bnd->bn", x, history)
    if not masked:
        return scores.softmax(dim=1)
    empty = ~mask.any(dim=1, keepdim=True)
    # A row without a single finite score would be NaN, also in its gradient: it gets scores first and zeros then.
    weights = scores.masked_fill(~(mask | empty), -torch.inf).softmax(dim=1)
    return weights.masked_fill(empty, 0.0)


class PooledProjector(Projector):
    """A projector that can be applied to a weighted mean."""

    def pooled(self, x: Tensor, weights: Tensor) -> Tensor:
        """``sum_i w_i Proj(x_i)``: (B, N, d) and (B, N) to (B, hidden_size).

        The outer layer is linear, so it is applied once per sample instead of once per past review.
        """
        hidden = torch.einsum("bn,bnd->bd", weights, F.gelu(self.inner(x)))
        return F.linear(hidden, self.outer.weight) + weights.sum(dim=1, keepdim=True) * self.outer.bias


class MovedVector(nn.Module):
    """``mlp``: the frozen encoder's vector of the input, moved by a trained network and brought back to unit norm.

    At first it does not move, so attention begins as the frozen encoder's similarity.
    """

    def __init__(self, config: PPlugConfig, generator: torch.Generator | None) -> None:
        super().__init__()
        self.mlp = Projector(config.d_in, config.d_in, generator=generator)
        nn.init.zeros_(self.mlp.outer.weight)

    def collate(self, queries: Sequence[Any]) -> dict[str, Tensor]:
        """Vectors (d,) of the texts as ``query_vector`` float32 (B, d)."""
        return {"query_vector": torch.from_numpy(np.stack(queries).astype(np.float32))}

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Float (B, d), of unit norm."""
        vector = batch["query_vector"]
        return F.normalize(vector + self.mlp(vector), dim=-1)


class TrainedEncoder(nn.Module):
    """``encoder``: a sentence-transformers model as the trained input encoder; its dropout stays off.

    Args:
        model: Copied, so that vectors that are computed elsewhere do not move.
        prefix: Put before every text (the retrieval instruction of BGE).
    """

    def __init__(self, model: nn.Module, prefix: str) -> None:
        super().__init__()
        self.model: Any = copy.deepcopy(model).requires_grad_(True)
        self.prefix = prefix
        self._freeze_unused()

    def train(self, mode: bool = True) -> TrainedEncoder:
        """Set the mode of everything but dropout."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        return self

    def _freeze_unused(self) -> None:
        """Weights without a part in the vector (BERT's pooler) get no gradient, which distributed training refuses."""
        with torch.enable_grad():
            device = next(self.model.parameters()).device
            self({name: value.to(device) for name, value in self.collate(["a text"]).items()}).sum().backward()
        for weight in self.model.parameters():
            weight.requires_grad_(weight.grad is not None)
            weight.grad = None

    def collate(self, queries: Sequence[Any]) -> dict[str, Tensor]:
        """Token ids of the texts, cut at the encoder's own length, as ``query_<name>`` (B, T)."""
        tokenize = getattr(self.model, "preprocess", None) or self.model.tokenize
        features = tokenize([self.prefix + text for text in queries])
        return {f"query_{name}": value for name, value in features.items() if isinstance(value, Tensor)}

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Float (B, d), of unit norm."""
        features = {n.removeprefix("query_"): t for n, t in batch.items() if n.startswith("query_")}
        return F.normalize(self.model(features)["sentence_embedding"].float(), dim=-1)


class PersonalEmbeddings(nn.Module):
    """The instruction embedding and the user embedding, before scaling (``kind: pplug``).

    Args:
        config: What to build.
        generator: Draws the initial weights; None: torch's global one.
        model: The sentence-transformers model that ``input_encoder: encoder`` copies.

    Raises:
        ValueError: The input encoder is to be trained, and there is no model of it.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, config: PPlugConfig, generator: torch.Generator | None, model: nn.Module | None) -> None:
        super().__init__()
        self.config = config
        width, hidden = config.d_in, config.hidden_size
        if config.input_encoder == "encoder":
            if model is None:
                raise ValueError("the input encoder is trained, and no model of it is given")
            prefix = QUERY_INSTRUCTIONS[config.query_instruction]
            self.input_encoder: MovedVector | TrainedEncoder = TrainedEncoder(model, prefix)
        else:
            self.input_encoder = MovedVector(config, generator)
        self.projector = PooledProjector(width, hidden, generator=generator)
        self.instruction_projector = Projector(width, hidden, generator=generator)
        self.instruction = nn.Parameter(torch.empty(width).uniform_(0, 1, generator=generator))
        # Stands for P if the user has no history.
        self.no_history = nn.Parameter(torch.empty(hidden).normal_(std=0.02, generator=generator))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("sd", torch.ones(width))

    def forward(self, batch: Mapping[str, Tensor]) -> PPlugOutput:
        """Embeddings of a batch from ``PPlugAdapter.collate``."""
        history, mask = batch["history"], batch["history_mask"]
        weights = attention(self.input_encoder(batch), history, mask, masked=self.config.masked)
        user = self.projector.pooled((history - self.mean) / self.sd, weights)
        if self.config.masked:
            user = torch.where(mask.any(dim=1, keepdim=True), user, self.no_history)
        instruction = self.instruction_projector(self.instruction)
        return PPlugOutput(instruction.expand(len(user), -1), user, weights)

    def fit_standardiser(self, vectors: np.ndarray) -> None:
        """Centre and scale what the projector reads by vectors (n, d_in); attention reads raw vectors."""
        vectors = vectors.astype(np.float64)
        sd = vectors.std(axis=0)
        floor = 0.01 * np.sqrt(np.square(sd).mean())
        self.mean.copy_(torch.from_numpy(vectors.mean(axis=0)))
        self.sd.copy_(torch.from_numpy(np.where(sd > floor, sd, floor or 1.0)))


class ConstantEmbeddings(nn.Module):
    """Two trained embeddings, the same for everybody: what training as such gains (``kind: pplug_constant``).

    They start small, as token embeddings do.
    """

    def __init__(self, config: PPlugConfig, generator: torch.Generator | None) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(2, config.hidden_size).normal_(std=0.02, generator=generator))

    def forward(self, batch: Mapping[str, Tensor]) -> PPlugOutput:
        """The same embeddings for every sample."""
        n = len(batch["history"])
        rows = self.table[:, None, :].expand(-1, n, -1)
        return PPlugOutput(rows[0], rows[1], torch.zeros_like(batch["history_mask"], dtype=self.table.dtype))


class PPlugAdapter(SavedAdapter):
    """Embeddings of the virtual tokens of PPlug, at the scale of the backbone's token embeddings.

    Args:
        config: What to build.
        generator: Draws the initial weights; None: torch's global one.
        model: See ``PersonalEmbeddings``.
    """

    config_class = PPlugConfig
    config: PPlugConfig
    scale: Tensor

    def __init__(
        self, config: PPlugConfig, generator: torch.Generator | None = None, *, model: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.source: PersonalEmbeddings | ConstantEmbeddings = (
            PersonalEmbeddings(config, generator, model)
            if config.kind == "pplug"
            else ConstantEmbeddings(config, generator)
        )
        # Of the user and the instruction embedding; the authors' program has 539.9738 and a seventh of it.
        self.register_buffer("scale", torch.ones(2))

    @classmethod
    def build(cls, config: Any, generator: torch.Generator | None = None, *, model: nn.Module | None = None) -> Self:
        """See ``SavedAdapter.build``."""
        return cls(config, generator, model=model)

    @classmethod
    def from_pretrained(cls, folder: Path, *, model: nn.Module | None = None) -> Self:
        """See ``SavedAdapter.from_pretrained``; also refuses a trained text encoder without ``model`` to copy."""
        config = read_config(folder)
        if isinstance(config, PPlugConfig) and config.kind == "pplug":
            if "auto" in (config.input_encoder, config.query_instruction):
                raise ArtifactError(f"{str(folder / CONFIG)!r} leaves its input encoder open", hint="fit it again")
            if config.input_encoder == "encoder" and model is None:
                raise ArtifactError(
                    f"the adapter in {str(folder)!r} has a trained text encoder, and the encoder in use is no model",
                    hint="use the encoder that it was fitted with",
                )
        return super().from_pretrained(folder, model=model)

    def collate(self, inputs: Sequence[UserInputs]) -> dict[str, Tensor]:
        """Arguments of ``forward`` for a batch.

        Returns:
            ``stream`` and ``sample`` int64 (S,): of every virtual token, in the order of the text; ``history`` float32
            (B, N, d) and ``history_mask`` bool (B, N): the latest ``max_history`` past reviews; and what the input
            encoder reads of the texts.
        """
        config = self.config
        latest = [one.history[-config.max_history :] for one in inputs]
        # Without a mask the width matters: the fork pads to the longest history there may be.
        width = max((len(one) for one in latest), default=0) if config.masked else config.max_history
        history = np.zeros((len(latest), max(1, width), config.d_in), dtype=np.float32)
        mask = np.zeros(history.shape[:2], dtype=bool)
        for row, one in enumerate(latest):
            history[row, : len(one)], mask[row, : len(one)] = one, True
        streams = [one.stream for one in inputs]
        batch = {
            "stream": np.concatenate([np.zeros(0, dtype=np.int64), *streams]),
            "sample": np.repeat(np.arange(len(inputs)), [len(one) for one in streams]),
            "history": history,
            "history_mask": mask,
        }
        tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
        encoder = self.source.input_encoder if isinstance(self.source, PersonalEmbeddings) else None
        return tensors if encoder is None else tensors | encoder.collate([one.query for one in inputs])

    def forward(self, batch: Mapping[str, Tensor], average: Average = identity) -> AdapterOutput:
        """Embeddings (S, hidden_size) of the virtual tokens, and statistics of the attention; there are no losses.

        In float32 whatever the autocast around it.
        """
        stream, sample = batch["stream"], batch["sample"]
        with torch.autocast(batch["history"].device.type, enabled=False):
            found = self.source(batch)
            user, instruction = found.user * self.scale[0], found.instruction * self.scale[1]
            chosen = torch.where((stream == 0)[:, None], user[sample], instruction[sample])
            stats = _stats(found.weights, batch["history_mask"])
            stats |= {"user_norm": user, "instruction_norm": instruction}
        means = {name: value.detach().norm(dim=-1).mean() if value.ndim else value for name, value in stats.items()}
        return AdapterOutput(chosen, {}, means)

    def embed_batch(self, batch: Mapping[str, Tensor], n_samples: int, average: Average) -> AdapterOutput:
        """``forward`` of a batch from ``collate``."""
        return self(batch, average)

    @torch.no_grad()
    def fit_statistics(self, inputs: Sequence[UserInputs], *, token_norm: float) -> None:
        """Take the scales from training data: the ratio of the token embeddings' mean norm to that of the outputs.

        Args:
            inputs: Of the training samples.
            token_norm: Mean norm of the backbone's token embeddings.
        """
        some = inputs[:: max(1, len(inputs) // _STATISTICS)]
        if isinstance(self.source, PersonalEmbeddings) and self.config.standardise:
            vectors = [one.history for one in some if len(one.history)]
            if sum(map(len, vectors)) > 1:
                self.source.fit_standardiser(np.concatenate(vectors))
        device = self.scale.device
        found = [self.source(_to(self.collate(some[k : k + 16]), device)) for k in range(0, len(some), 16)]
        for place, outputs in enumerate(([one.user for one in found], [one.instruction for one in found])):
            self.scale[place] = token_norm / torch.cat(outputs).norm(dim=-1).mean().clamp(min=1e-6)

    def check_inputs(self, inputs: UserInputs) -> None:
        """Refuse inputs that the adapter has no weights for.

        Raises:
            ValueError: Vectors of another width, a stream that is not PPlug's, or no text for the input encoder.
        """
        d_in = self.config.d_in
        if inputs.history.ndim != 2 or inputs.history.shape[1] != d_in:
            raise ValueError(f"histories need vectors (n, {d_in}), got {inputs.history.shape}")
        if not np.isin(inputs.stream, range(len(USER_STREAMS))).all():
            raise ValueError(f"the adapter has no weights for streams other than {USER_STREAMS!r}")
        wants_text = self.config.kind == "pplug" and self.config.input_encoder == "encoder"
        wants_vector = self.config.kind == "pplug" and not wants_text
        if wants_text and not isinstance(inputs.query, str):
            raise ValueError("the input encoder reads texts, not vectors")
        if wants_vector and np.shape(inputs.query) != (d_in,):
            raise ValueError(f"the input needs a vector ({d_in},), got {np.shape(inputs.query)}")


def _to(batch: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: value.to(device) for name, value in batch.items()}


@torch.no_grad()
def _stats(weights: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """``attended``: mean over samples with history of exp(entropy), the number of past reviews that count."""
    entropy = -(weights * weights.clamp(min=1e-12).log()).sum(dim=1)
    known = mask.any(dim=1).float()
    return {"attended": (entropy.exp() * known).sum() / known.sum().clamp(min=1)}
