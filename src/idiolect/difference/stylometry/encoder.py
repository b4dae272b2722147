"""The measures of style as a text encoder: its vectors encode how a text is written, not what it is about.

51 named coordinates, no model, thousands of texts per second. A sentence encoder mainly encodes topics; these vectors
encode the style that the papers' differences consist of, so that an adapter needs fewer examples. Every coordinate of a
vector, and of a difference, has a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from idiolect.difference.stylometry.measures import N_MEASURES, NAMES, measure
from idiolect.errors import ConfigError

LIMIT = 4.0
"""Standard deviations at which a coordinate is clipped, so that one rare mark does not dominate the vector."""
TYPICAL: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "sentence_length": (3.75, 1.19),
        "joints": (1.03, 0.54),
        "sentence_variety": (2.42, 1.07),
        "word_length": (2.10, 0.10),
        "latinate_words": (1.25, 0.91),
        "word_variety": (2.60, 0.43),
        "repetition": (2.56, 1.80),
        "exclamations": (0.94, 2.04),
        "contractions": (0.48, 0.70),
        "casual_words": (0.59, 0.72),
        "capitals": (0.23, 0.79),
        "ellipses": (0.21, 0.56),
        "stacked_marks": (0.06, 0.30),
        "lowercase_starts": (1.02, 2.48),
        "british_spelling": (-0.38, 0.92),
        "asides": (0.39, 0.64),
        "tone": (1.60, 1.32),
        "judging_words": (2.25, 0.89),
        "intensifiers": (0.70, 0.80),
        "superlatives": (0.65, 0.77),
        "own_feelings": (0.18, 0.44),
        "hedges": (0.63, 0.76),
        "courtesies": (0.08, 0.28),
        "negations": (0.84, 0.80),
        "length": (9.81, 5.33),
        "information": (7.44, 0.71),
        "numbers": (0.74, 0.85),
        "names": (1.56, 1.30),
        "causes": (0.17, 0.39),
        "comparisons": (0.42, 0.61),
        "contrasts": (0.85, 0.78),
        "story_words": (0.43, 0.64),
        "past_tense": (1.56, 1.01),
        "depth_words": (0.14, 0.35),
        "analysis_words": (0.20, 0.41),
        "summing_up": (0.12, 0.36),
        "paragraphs": (1.00, 0.10),
        "list_lines": (0.00, 0.10),
        "headings": (0.00, 0.10),
        "labels": (0.23, 1.08),
        "signposts": (0.41, 0.58),
        "examples": (0.12, 0.31),
        "verdict_first": (-0.19, 0.67),
        "sign_offs": (1.60, 3.67),
        "quotations": (0.52, 0.82),
        "questions": (0.32, 1.07),
        "reader_address": (0.49, 0.70),
        "imperatives": (0.77, 1.60),
        "disclosures": (0.03, 0.17),
        "first_person": (1.08, 0.97),
        "recommendations": (0.17, 0.43),
    }
)
"""Mean and standard deviation of each measure's signed square root over 12,000 real reviews (half beers, half albums).

The root, because most measures are counts. A standard deviation is at least 0.1."""


class StyleEncoder:
    """Signed roots of the measures, standardised, clipped and L2-normalised."""

    name = f"style-v2-{N_MEASURES}"
    """Kind, version and dimension."""
    dim = N_MEASURES
    """Length of a vector: one coordinate per measure, in the order of ``NAMES``."""

    def encode(self, texts: Sequence[str], *, batch_size: int = 32) -> np.ndarray:
        """float32 (len(texts), dim), L2-normalised, in the order of ``texts``; an empty text is a valid text.

        Args:
            texts: Texts to encode.
            batch_size: Without effect: texts are independent.
        """
        if not len(texts):
            return np.zeros((0, self.dim), dtype=np.float32)
        z = standardised(texts)
        return (z / np.linalg.norm(z, axis=1, keepdims=True)).astype(np.float32)


def standardised(texts: Sequence[str]) -> np.ndarray:
    """float64 (len(texts), n_measures): ``standardise`` of the measures of the texts."""
    return standardise(measure(texts))


def standardise(found: np.ndarray) -> np.ndarray:
    """Signed roots of float64 (n, n_measures) measures, in standard deviations from what is typical, clipped."""
    centre, sd = np.array([TYPICAL[name] for name in NAMES]).T
    return ((np.sign(found) * np.sqrt(np.abs(found)) - centre) / sd).clip(-LIMIT, LIMIT)


def load(argument: str) -> StyleEncoder:
    """The encoder of ``style``.

    Raises:
        ConfigError: There is an argument.
    """
    if argument:
        raise ConfigError(f"'style:{argument}': the style encoder takes no argument", hint="style")
    return StyleEncoder()
