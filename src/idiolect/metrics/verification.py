"""Authorship verification of texts: LambdaG, and any text encoder by the distance to users' past texts.

Both are measures for ``evaluation.calibration``: their values for real texts are the scale.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from idiolect.difference.stylometry.lexicons import is_function_word
from idiolect.difference.stylometry.prose import prose
from idiolect.encoders import Encoder, load_encoder
from idiolect.errors import require
from idiolect.metrics.authorship import attribution
from idiolect.metrics.base import Mean
from idiolect.types import Sample

LAMBDAG = "lambdag"
"""Name of LambdaG in settings; any other name is an encoder's."""
ORDER = 5
"""Longest n-gram. The authors use 10 on texts with all words; here most words are one symbol."""
REFERENCES = 10
"""Reference models per user; the authors draw 30 to 100 for a decision about one text."""
SENTENCES = 60
"""Sentences of a user that are read, the newest."""
PAST_TEXTS = 20
"""Past texts of a user that are encoded, the newest."""
_DISCOUNT = 0.75
_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+|[^\w\s]")
_END = re.compile(r"(?<=[.!?])\s+|\n+")


class Verifier(Protocol):
    """Scores how much texts are like users' past texts."""

    @property
    def measure(self) -> Mean:
        """Name and direction."""
        ...

    @property
    def english_only(self) -> bool:
        """Whether it measures nothing in other languages."""
        ...

    @property
    def unknown(self) -> int:
        """Texts so far whose score is not known."""
        ...

    def scores(
        self, runs: Mapping[str, Sequence[str]], samples: Sequence[Sample], past: Mapping[str, Sequence[str]]
    ) -> dict[str, np.ndarray]:
        """A score of every text.

        Args:
            runs: By condition, one text per sample.
            samples: With references.
            past: Past texts of these users, the newest last.

        Returns:
            By condition, rows of what ``measure`` aggregates: float64 (n,), or (n, 2) if some are unknown.
        """
        ...


def load_verifier(name: str) -> Verifier:
    """LambdaG, or the encoder called ``name``.

    Raises:
        MissingDependencyError: The package ``lambdag`` is not installed, or the encoder's.
        NotFoundError: There is no such encoder, and none that can be downloaded.
    """
    return LambdaG() if name == LAMBDAG else EncoderVerifier(name, load_encoder(name))


def masked_sentences(text: str) -> list[tuple[str, ...]]:
    """The sentences of an English text without its topics: function words and marks; other words are one symbol.

    It stands in for POSNoise, which needs a tagger (text distortion; Stamatatos 2017).

    Example:
        >>> masked_sentences("The soup was cold! I sent 2 back.")
        [('the', 'w', 'was', 'w', '!'), ('i', 'w', '0', 'w', '.')]
    """
    parts = (tuple(map(_masked, _TOKEN.findall(part))) for part in _END.split(prose(text)))
    return [part for part in parts if part]


def _masked(token: str) -> str:
    lower = token.lower().replace("’", "'")
    if lower.isdigit():
        return "0"
    if not lower[0].isalpha() or is_function_word(lower):
        return lower
    return "w'" if "'" in lower else "w"


class LambdaG:
    """LambdaG (Nini et al. 2026): how much likelier a text is under its user's grammar than under others'.

    The score is the mean over reference models of sum_t log10 P_user(t) - log10 P_reference(t), divided by the square
    root of the number of tokens (square-root correction; Barlow et al. 2026), so that texts of different lengths can be
    compared. Grammars are Kneser-Ney models of the authors' package ``lambdag``. Words that are not function words are
    masked. The authors draw references for every text; here a reference is drawn from a random half of the users, and
    serves for all users of the other half, which costs a tenth.

    Args:
        seed: Of the references.

    Raises:
        MissingDependencyError: ``lambdag`` is not installed.
    """

    measure = Mean("lambda-g", greater_is_better=True, unit="log10/sqrt(tokens)")
    english_only = True
    unknown = 0

    def __init__(self, *, seed: int = 0) -> None:
        self._model = require("lambdag.language_models", extra="authorship").KneserNeyLanguageModel
        self._seed = seed

    def scores(
        self, runs: Mapping[str, Sequence[str]], samples: Sequence[Sample], past: Mapping[str, Sequence[str]]
    ) -> dict[str, np.ndarray]:
        """See ``Verifier.scores``; 0 for an empty text, and for a user without past texts or others."""
        known = {
            user: [sentence for text in texts for sentence in masked_sentences(text)][-SENTENCES:]
            for user, texts in past.items()
        }
        references, users = self._references(known), [str(sample.user) for sample in samples]
        found = {name: np.zeros(len(users)) for name in runs}
        for user in dict.fromkeys(users):
            others = [model for members, model in references if user not in members][:REFERENCES]
            if not known[user] or not others:
                continue
            models = [self._fit(known[user]), *others]
            for place in (place for place, one in enumerate(users) if one == user):
                for name, texts in runs.items():
                    found[name][place] = _ratio(models, masked_sentences(texts[place]))
        return found

    def _references(self, known: Mapping[str, Sequence[tuple[str, ...]]]) -> list[tuple[frozenset[str], Any]]:
        """Models of as many sentences as users have in the middle, each of a random half of the users, which it names.

        A half and the other half follow each other, so that every user has as many references.
        """
        names, rng = sorted(user for user, own in known.items() if own), np.random.default_rng([self._seed, 43])
        size = int(np.median([len(known[user]) for user in names])) if names else 0
        found: list[tuple[frozenset[str], Any]] = []
        for _ in range(REFERENCES if len(names) > 1 else 0):
            order = [names[k] for k in rng.permutation(len(names)).tolist()]
            for half in (order[: len(order) // 2], order[len(order) // 2 :]):
                pool = [sentence for user in half for sentence in known[user]]
                drawn = rng.choice(len(pool), size=min(size, len(pool)), replace=False)
                found.append((frozenset(half), self._fit([pool[k] for k in drawn.tolist()])))
        return found

    def _fit(self, sentences: Iterable[tuple[str, ...]]) -> Any:
        model = self._model(order=ORDER, discount=_DISCOUNT)
        for sentence in sentences:
            model.fit(sentence)
        return model


def _ratio(models: Sequence[Any], sentences: Sequence[tuple[str, ...]]) -> float:
    if not sentences:
        return 0.0
    logs = [sum(float(np.log10(model.probabilities(sentence)).sum()) for sentence in sentences) for model in models]
    return (logs[0] - float(np.mean(logs[1:]))) / sum(map(len, sentences)) ** 0.5


class EncoderVerifier:
    """Attribution by a text encoder: the share of other users whose past texts are less similar than the user's.

    Similarity is the cosine to the mean vector of a user's past texts. Chance is 0.5; equal similarities count half.
    Encoders of style (LUAR, StyleDistance) say who writes; encoders of meaning say rather about what.

    Args:
        name: The encoder's name, for tables.
        encoder: The encoder.
    """

    english_only = False
    unknown = 0

    def __init__(self, name: str, encoder: Encoder) -> None:
        self._encoder = encoder
        self.measure = Mean(f"attribution ({name.rpartition('/')[2]})", greater_is_better=True, unit="AUC")

    def scores(
        self, runs: Mapping[str, Sequence[str]], samples: Sequence[Sample], past: Mapping[str, Sequence[str]]
    ) -> dict[str, np.ndarray]:
        """See ``Verifier.scores``."""
        places = {user: place for place, user in enumerate(past)}
        means = np.stack([self._encoder.encode(list(texts)[-PAST_TEXTS:]).mean(axis=0) for texts in past.values()])
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        own = np.array([places[sample.user] for sample in samples])
        return {name: attribution(self._encoder.encode(list(texts)) @ means.T, own) for name, texts in runs.items()}
