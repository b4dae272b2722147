"""A deterministic encoder without a model: words and character trigrams hashed to signs and places.

Texts that share words are near each other and nothing is learned or downloaded, so it serves tests, dry runs and as the
floor that a real encoder is compared with. After Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask
Learning".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np

from idiolect.errors import ConfigError

_WORD = re.compile(r"\w+|[^\w\s]")


class HashEncoder:
    """Signed sums of hashed words and trigrams, L2-normalised; equal in every process and on every machine.

    Args:
        dim: Of the vectors, 2 to 65536.

    Raises:
        ConfigError: ``dim`` is out of range.
    """

    def __init__(self, dim: int = 256) -> None:
        if not 2 <= dim <= 65536:
            raise ConfigError(f"a hash encoder of {dim} dimensions is not possible", hint="2 to 65536")
        self._dim = dim

    @property
    def name(self) -> str:
        """Kind, version and dimension."""
        return f"hash-v1-{self._dim}"

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def encode(self, texts: Sequence[str], *, batch_size: int = 32) -> np.ndarray:
        """float32 (len(texts), dim), L2-normalised, in the order of ``texts``; an empty text is a valid text.

        Args:
            texts: What to encode.
            batch_size: Without effect: texts are independent.
        """
        vectors = np.zeros((len(texts), self._dim), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            counts = Counter(_features(text))
            hashes = np.fromiter(map(_hash, counts), dtype=np.uint64, count=len(counts))
            weights = np.sqrt(np.fromiter(counts.values(), dtype=np.float32, count=len(counts)))
            signs = np.where(hashes >> np.uint64(63), -1, 1)
            np.add.at(row, (hashes % np.uint64(self._dim)).astype(np.intp), signs * weights)
        return _normalised(vectors)


_DIGITS = 9
"""Of a dimension, at most; ``HashEncoder`` has a lower bound of its own."""


def load(argument: str) -> HashEncoder:
    """The encoder of ``hash`` or ``hash:DIM``.

    Raises:
        ConfigError: ``DIM`` is no number, or out of range.
    """
    if not argument:
        return HashEncoder()
    if not argument.isdecimal() or len(argument) > _DIGITS:
        raise ConfigError(f"'hash:{argument}' names no dimension", hint="for example hash:64")
    return HashEncoder(int(argument))


def _features(text: str) -> Iterator[str]:
    yield "^"  # so that an empty text has a direction as well
    for word in _WORD.findall(text.lower()):
        yield word
        marked = f"<{word}>"
        for start in range(len(marked) - 2):
            yield "#" + marked[start : start + 3]


@lru_cache(maxsize=1 << 16)
def _hash(feature: str) -> int:
    return int.from_bytes(blake2b(feature.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def _normalised(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    cancelled = norms[:, 0] < 1e-6  # possible where opposite signs meet in one place
    vectors[cancelled, 0], norms[cancelled] = 1, 1
    return vectors / norms
