"""What a study finds out about its corpus before the backbone is pretrained: the split, lengths, language and faults.

Faults make the figures say less than they seem to. They become warnings, which stand at the head of the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from idiolect.data.split import Split
from idiolect.difference.stylometry.english import are_english
from idiolect.difference.stylometry.prose import quotes
from idiolect.experiments.real.config import FILTERED, RealConfig, Sizes, choose_filters, choose_sizes, sample
from idiolect.store.splitting import split_store
from idiolect.store.sql import SqlStore

ENOUGH_USERS = 30
"""Fewer than so many test users bring a warning, and no conclusion."""
_MANY = 0.05
"""Share of the texts from which on a fault of theirs is named."""
_MANY_CUT = 0.01
_MOST_OF_ONE = 0.2
"""Share of the texts that one user may have."""
_LAST_LINES = 3
"""Texts of a user that end in the same line from which on it is a signature."""
_MARKUP = r"(?i)</?[a-z][a-z0-9]{0,9}(\s[^<>]{0,200})?/?>|&([a-z]{2,6}|#\d{2,5});"


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """A corpus that is split."""

    split: Split
    filters: Mapping[str, Any]
    """Thresholds of the split that were chosen from the corpus."""
    sizes: Sizes
    is_english: bool
    """Most of a sample of the texts."""
    warnings: tuple[str, ...]

    @property
    def n_users(self) -> int:
        """Users of the split."""
        return self.split.counts.users


def split_corpus(store: str, folder: Path, config: RealConfig) -> Corpus:
    """Read the store once: filters, the split (which is saved in ``folder`` unless it is there), lengths and warnings.

    Raises:
        InputError: No user has enough reviews.
        ArtifactError: The split in ``folder`` is of another state of the store.
    """
    with SqlStore(store, create=False) as database:
        reviews, items, fingerprint = database.review_frame(), database.item_frame(), database.fingerprint()
    if not folder.is_dir():
        filters = choose_filters(reviews, items, config.enough_users)
        split_store(store, folder, preset="small", changes=filters)
    split = Split.load(folder, fingerprint=fingerprint)
    texts = reviews["text"].to_list()
    sizes = choose_sizes(texts, items["description"].drop_nulls().to_list(), config.k, max(config.shown))
    some = sample(texts)
    faults = corpus_warnings(reviews.select("user", "text"), sizes.target_chars, sizes.history_chars)
    return Corpus(
        split=split,
        filters={name: getattr(split.config, name) for name in FILTERED},
        sizes=sizes,
        is_english=bool(are_english(some).mean() > 0.5),
        warnings=tuple(filter(None, (few_users(split.counts.users), quoting(some), *faults))),
    )


def few_users(n_users: int) -> str:
    """A warning if a corpus has too few users for any conclusion; empty if it has enough."""
    if n_users >= ENOUGH_USERS:
        return ""
    return (
        f"Of {n_users} users nothing can be concluded: intervals and tests are over users, and a backbone learns the "
        "texts of so few by heart. This run only shows that the commands work."
    )


def quoting(texts: Sequence[str]) -> str:
    """A warning if many texts quote others, whose words are then read and scored as the user's own.

    Args:
        texts: Of the corpus, or a sample of them.

    Returns:
        Empty if few do.
    """
    share = sum(map(quotes, texts)) / max(1, len(texts))
    if share < _MANY:
        return ""
    return (
        f"{_percent(share)} of the texts quote others (lines that begin with `>`). Likelihoods and scores count the "
        "quoted words as the user's, and a text that is to be predicted may be quoted in one that the backbone read. "
        "Remove quoted lines from the corpus, and run the study in a new folder."
    )


def corpus_warnings(reviews: pl.DataFrame, target_chars: int, history_chars: int | None) -> Iterator[str]:
    """A sentence or two per fault that many of the texts have.

    Args:
        reviews: Table with ``user`` and ``text``.
        target_chars: Longest text that is asked for.
        history_chars: Most characters of past texts in a prompt; None: they are not cut.
    """
    if reviews.height:
        faults = (_repeats(reviews), _one_user(reviews), _markup(reviews), _signatures(reviews, target_chars))
        yield from filter(None, (_cut(reviews, target_chars, history_chars), *faults))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"


def _cut(reviews: pl.DataFrame, limit: int, history: int | None) -> str:
    lengths = reviews["text"].str.len_chars().cast(pl.Int64)  # unsigned numbers would wrap around below
    share = float((lengths > limit).mean())  # type: ignore[arg-type]
    if share < _MANY_CUT:
        return ""
    lost = int((lengths - limit).clip(0).sum()) / max(1, int(lengths.sum()))
    shown = "" if history is None else f" Prompts show at most {history:,} characters of past reviews together."
    return (
        f"{_percent(share)} of the texts are longer than {limit:,} characters. Of these only the beginning is learned, "
        f"asked for and scored: {_percent(lost)} of all characters are left out, because the backbone reads short "
        f"windows.{shown} Vectors are of whole texts, those of the "
        "oracle of beginnings."
    )


def _repeats(reviews: pl.DataFrame) -> str:
    share = 1 - reviews["text"].n_unique() / reviews.height
    if share < _MANY:
        return ""
    return (
        f"{_percent(share)} of the texts repeat an earlier one word for word. A user's own repeats are left out, but a "
        "text that is to be predicted may be one that the backbone read from another user. Likelihoods then look "
        "better than they are."
    )


def _one_user(reviews: pl.DataFrame) -> str:
    share = int(reviews["user"].value_counts()["count"].max()) / reviews.height  # type: ignore[arg-type]
    if share < _MOST_OF_ONE:
        return ""
    return (
        f"One user wrote {_percent(share)} of the texts. What others write about an item is then largely this user's, "
        "and the backbone reads no more than some of it."
    )


def _markup(reviews: pl.DataFrame) -> str:
    share = float(reviews["text"].str.contains(_MARKUP).mean())  # type: ignore[arg-type]
    if share < _MANY:
        return ""
    return (
        f"{_percent(share)} of the texts hold markup (such as `<br>` or `&quot;`), which is predicted and compared "
        "like words. Remove it from the corpus, and run the study in a new folder."
    )


def _signatures(reviews: pl.DataFrame, limit: int) -> str:
    reviews = reviews.with_columns(pl.col("text").str.strip_chars())
    whole = reviews.filter(pl.col("text").str.len_chars() <= limit)  # the end of a longer text is cut away
    lines = whole["text"].str.extract(r"\n([^\n]+)$").str.strip_chars()
    ends = pl.DataFrame({"user": whole["user"], "line": lines}).drop_nulls()
    alike = ends.group_by("user", "line").len().filter(pl.col("len") >= _LAST_LINES)["len"].sum()
    share = int(alike) / reviews.height
    if share < _MANY:
        return ""
    return (
        f"{_percent(share)} of the texts end in a line that ends other texts of the same user too: a signature or a "
        "footer. It identifies a user without any style, so a gain from past reviews as text may be no more than that "
        "line. Remove such lines from the corpus, and run the study in a new folder."
    )
