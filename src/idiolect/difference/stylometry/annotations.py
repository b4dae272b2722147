"""How real users write, in words, from the measures of style: what a small backbone learns to read descriptions by.

A backbone that is pretrained on real reviews meets no description of style in them, so it cannot learn what "wordy" or
"asks questions" means in a prompt. These annotations stand in its documents in place of virtual tokens and profiles,
and later soft prompts find a backbone that knows what their place in a prompt is for.
"""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl

from idiolect.difference.stylometry.encoder import standardised
from idiolect.difference.stylometry.measures import MEASURES, NAMES
from idiolect.difference.stylometry.style_difference import codes, group_sums

KEYWORDS: dict[str, tuple[str, str]] = {
    "sentence_length": ("winding", "clipped"),
    "joints": ("joined", "unjoined"),
    "sentence_variety": ("varied", "even"),
    "word_length": ("longwords", "shortwords"),
    "latinate_words": ("elevated", "plain"),
    "word_variety": ("rich", "sparse"),
    "repetition": ("repeating", "unrepeating"),
    "exclamations": ("exclaiming", "calm"),
    "contractions": ("contracted", "uncontracted"),
    "casual_words": ("casual", "formal"),
    "capitals": ("shouting", "quiet"),
    "ellipses": ("trailing", "finished"),
    "stacked_marks": ("stacked", "unstacked"),
    "lowercase_starts": ("lowercase", "capitalised"),
    "british_spelling": ("british", "american"),
    "asides": ("asides", "direct"),
    "tone": ("warm", "critical"),
    "judging_words": ("judging", "neutral"),
    "intensifiers": ("intense", "bare"),
    "superlatives": ("superlative", "moderate"),
    "own_feelings": ("feeling", "detached"),
    "hedges": ("hedged", "flat"),
    "courtesies": ("courteous", "curt"),
    "negations": ("negating", "affirming"),
    "length": ("long", "short"),
    "information": ("dense", "loose"),
    "numbers": ("numbers", "numberless"),
    "names": ("names", "nameless"),
    "causes": ("reasons", "unreasoned"),
    "comparisons": ("comparing", "uncompared"),
    "contrasts": ("contrasting", "onesided"),
    "story_words": ("narrating", "storyless"),
    "past_tense": ("past", "present"),
    "depth_words": ("deep", "surface"),
    "analysis_words": ("analytic", "impressionistic"),
    "summing_up": ("summing", "open"),
    "paragraphs": ("paragraphs", "block"),
    "list_lines": ("listing", "listless"),
    "headings": ("headed", "unheaded"),
    "labels": ("labelled", "unlabelled"),
    "signposts": ("signposted", "unsignposted"),
    "examples": ("examples", "unexemplified"),
    "verdict_first": ("verdictfirst", "verdictlast"),
    "sign_offs": ("signedoff", "abrupt"),
    "quotations": ("quoting", "quoteless"),
    "questions": ("asking", "telling"),
    "reader_address": ("addressing", "impersonal"),
    "imperatives": ("ordering", "orderless"),
    "disclosures": ("disclosing", "undisclosed"),
    "first_person": ("personal", "absent"),
    "recommendations": ("recommending", "unrecommending"),
}
"""One word for more and one for less of each measure: the space of a virtual token is short."""
_PROFILE, _DIFFERENCES, _PRIMER = (4, 10), (2, 6), (6, 14)
_WORDS = (2, 4)
"""Fewest and most measures named. Words replace up to two virtual tokens per past review, so they are few."""


class MeasuredAnnotations:
    """Descriptions of users and reviews from the measures of their texts (``training.documents.Annotations``).

    Differences are to the other users' mean on the same item, and to the corpus's mean where nobody else wrote about
    the item. A description names the measures that differ most.

    Args:
        reviews: ``review_id``, ``user``, ``item`` and ``text`` of every review that may be read; keep targets out.
    """

    def __init__(self, reviews: pl.DataFrame) -> None:
        values = standardised(reviews["text"].to_list())
        centred = values - values.mean(axis=0)
        users, items = codes(reviews["user"]), codes(reviews["item"])
        self._rows = {review: row for row, review in enumerate(reviews["review_id"])}
        self._users = {user: code for user, code in zip(reviews["user"], users.tolist(), strict=True)}
        self._own = centred
        self._difference = centred - _others_mean(centred, users, items)
        counts = np.bincount(users)[:, None]
        self._profile = group_sums(self._difference, users, len(counts)) / counts

    @property
    def digest(self) -> str:
        """A name for exactly these descriptions."""
        state = hashlib.blake2b(repr(KEYWORDS).encode(), digest_size=16)
        for array in (self._own, self._difference):
            state.update(array.astype(np.float32).tobytes())
        return state.hexdigest()

    def profile(self, user: str, rng: np.random.Generator) -> str:
        """How a user differs from others about the same items, on average."""
        return _sentence(self._profile[self._users[user]], _between(rng, _PROFILE))

    def differences(self, review: str, item: str, rng: np.random.Generator) -> str:
        """How a review differs from others about its item."""
        return _sentence(self._departure(review, item), _between(rng, _DIFFERENCES))

    def user_words(self, user: str, rng: np.random.Generator) -> str:
        """``profile`` in single words."""
        return _keywords(self._profile[self._users[user]], _between(rng, _WORDS))

    def review_words(self, review: str, item: str | None, rng: np.random.Generator) -> str:
        """How a review is written, in single words; with its item, how it differs from others about that item."""
        return _keywords(self._departure(review, item), _between(rng, _WORDS))

    def primer(self, review: str, rng: np.random.Generator) -> tuple[str, str]:
        """How the very review that is asked for is written, as a sentence and in single words."""
        departure, k = self._departure(review, None), _between(rng, _PRIMER)
        return _sentence(departure, k), _keywords(departure, k)

    def _departure(self, review: str, item: str | None) -> np.ndarray:
        return (self._own if item is None else self._difference)[self._rows[review]]


def _others_mean(values: np.ndarray, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """float64 (n, n_measures): mean of other users' values on the same item; 0, the corpus's mean, without any."""
    pairs = codes(pl.Series(items * (int(users.max()) + 1) + users))  # a user's repeats on an item count as own
    n_items, n_pairs = int(items.max()) + 1, int(pairs.max()) + 1
    sums = group_sums(values, items, n_items)[items] - group_sums(values, pairs, n_pairs)[pairs]
    counts = (np.bincount(items)[items] - np.bincount(pairs)[pairs])[:, None]
    return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)


def _strongest(departure: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-np.abs(departure), kind="stable")[:k]


def _keywords(departure: np.ndarray, k: int) -> str:
    return " ".join(KEYWORDS[NAMES[i]][0 if departure[i] > 0 else 1] for i in _strongest(departure, k))


def _sentence(departure: np.ndarray, k: int) -> str:
    strongest = _strongest(departure, k)
    phrases = [MEASURES[i].more if departure[i] > 0 else MEASURES[i].less for i in strongest]
    return f"Compared with others, this user {'; '.join(phrases)}."


def _between(rng: np.random.Generator, bounds: tuple[int, int]) -> int:
    return int(rng.integers(bounds[0], bounds[1] + 1))
