"""Measures and language of texts that this process has read before.

A popular item's reviews are compared with every user who wrote about it, and measuring them is most of the cost of a
card. Values depend on their text only, so that a store may change at any time; an erasure calls ``clear``.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b

import numpy as np

from idiolect.difference.stylometry.english import detect
from idiolect.difference.stylometry.equal_lengths import PLACES, equal_lengths
from idiolect.difference.stylometry.measures import N_MEASURES, measure

MOST = 20_000
"""Texts that are kept, those read last: some 15 MB."""


class KnownValues:
    """Rows of numbers by the digest of their text.

    Args:
        compute: Gives (n, ...) for n texts; row k must depend on text k only.
        empty: (0, ...), what ``compute`` gives for no texts.
        most: Rows that are kept; calls with more than half as many texts keep nothing.
    """

    def __init__(self, compute: Callable[[Sequence[str]], np.ndarray], empty: np.ndarray, most: int = MOST) -> None:
        self._compute, self._empty, self._most = compute, empty, most
        self._rows, self._lock = OrderedDict[bytes, np.ndarray](), threading.Lock()

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """(len(texts), ...): what ``compute`` gives; only texts that are not known are computed."""
        if 2 * len(texts) > self._most:
            return self._compute(texts)
        keys = [blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest() for text in texts]
        with self._lock:
            found = {key: self._rows[key] for key in keys if key in self._rows}
        unknown = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if unknown:
            # Copies, because a view keeps the whole array.
            found |= {key: row.copy() for key, row in zip(unknown, self._compute(list(unknown.values())), strict=True)}
        with self._lock:
            for key in dict.fromkeys(keys):
                self._rows[key] = found[key]
                self._rows.move_to_end(key)
            while len(self._rows) > self._most:
                self._rows.popitem(last=False)
        return np.stack([found[key] for key in keys]) if keys else self._empty

    def clear(self) -> None:
        """Forget all texts."""
        with self._lock:
            self._rows.clear()


known_measures = KnownValues(measure, np.zeros((0, N_MEASURES)))
"""``measure``, but a text is measured once."""
known_windows = KnownValues(equal_lengths, np.zeros((0, len(PLACES))))
"""``equal_lengths``, likewise."""
known_languages = KnownValues(detect, np.zeros(0, dtype=np.int64))
"""``english.detect``, likewise."""


def known_values(texts: Sequence[str]) -> np.ndarray:
    """float64 (len(texts), n_measures): all measures as texts of different lengths are compared by (``COMPARED``).

    NaN in the columns ``PLACES`` where a text is shorter than a window.
    """
    values = known_measures(texts).copy()
    values[:, PLACES] = known_windows(texts)
    return values


def clear() -> None:
    """Forget all texts, because one was erased."""
    known_measures.clear()
    known_windows.clear()
    known_languages.clear()
