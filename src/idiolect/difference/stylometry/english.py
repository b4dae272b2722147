"""Detect English texts, because the measures count English words.

By script and by closed-class words, English ones against those of other languages in Latin script. Content words and
names do not count, so that a review of a Belgian beer is English. Many short texts show neither: they count as in the
language of their author's other texts, else of most texts of the batch.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import polars as pl

_CHUNK = 1 << 15
_SHARE = 0.08
"""Smallest share of a text's words that are closed-class words of another language if it is in that language."""
_LONG = 25
"""A text of so many words without an English closed-class word is in another language, listed or not."""

_ENGLISH = """
    the and of it this that with you are but not have they be from my your what which there their would could should
    been were has if than then when who how because about just very really its it's i'm i've don't didn't isn't wasn't
    can't doesn't won't these those some any every much only other into out up down after before again too also here
    more most well good great nice one two never always ever being does did doing him her his she our us them we'll
    you'll that's i is was to in on at for by as an a so or no do he me
"""
"""Closed-class words, and four adjectives that are common in short reviews."""
_AMBIGUOUS = """
    i is was to in on at for by as an a so or no do he me of we over all will had her been has up well most nice
"""
"""English words that are words of another language too: no evidence against English, and little for it."""
_OTHERS = """
    der das und ist nicht ich ein eine einen einem einer dem mit auf für auch sich wir sie aber sehr zu haben wie dass
    kann noch nur schon wenn oder bei nach aus wird wurde sind waren habe hatte mir uns kein keine immer mehr le la
    les des du et est une pas je que qui pour dans avec ce cette très mais sur nous vous il elle aux ont sont était
    bien c'est j'ai n'est qu'il été tout tous leur même aussi comme el y es por para con muy pero del lo mi más este
    esta está fue como todo bueno también porque cuando o os é um uma não muito mas com da foi na nos são eu isso ele
    ela bem já tem gli che è un di non molto ma della sono questo questa anche più ho stato era nel alla het een en
    niet ik dat zijn maar heel wij voor ook deze naar bij dit zeer nog erg heeft och det är att som på jag inte med
    för av var mycket så ett från har vi ikke jeg og til meget af ble veldig også nie jest się z w że bardzo jak był
    była to tak od dla tym že se byl jsem velmi jsou také nebo jako jen sú veľmi ako pre ktoré ve bir bu çok için ama
    değil ne daha gibi ile kadar olarak și nu cu mai foarte din pe sunt pentru és az egy nem hogy nagyon csak volt meg
    ez is ja ei oli että mutta hyvin tämä kun niin ovat myös on yang ini itu tidak dengan untuk saya sangat juga dari
    là và của không rất này tôi có được cho những ang ng sa mga ko ay ito hindi lang kuid väga ning mis ir ļoti labai
    tai kad yra nije vrlo kao što su ali
"""
"""Closed-class words of German, French, Spanish, Portuguese, Italian, Dutch, Swedish, Danish, Norwegian, Polish, Czech,
Slovak, Turkish, Romanian, Hungarian, Finnish, Indonesian, Vietnamese, Tagalog, Estonian, Latvian, Lithuanian and
Croatian, without those that are English words."""


def are_english(
    texts: Sequence[str], authors: Sequence[Hashable] | None = None, evidence: np.ndarray | None = None
) -> np.ndarray:
    """Which texts are English.

    Args:
        texts: Unchanged texts.
        authors: Author of each text; None: unknown.
        evidence: int64 (n,): what ``detect`` finds in them; None: it is called.

    Returns:
        bool (n,). Texts without any evidence are English.

    Example:
        >>> are_english(["The soup was good.", "Die Suppe war nicht gut.", "Soup!"]).tolist()
        [True, False, True]
    """
    found = detect(texts) if evidence is None else evidence
    if not len(found) or (found >= 0).all():
        return found >= 0
    majority = 1 if (found > 0).sum() >= (found < 0).sum() else -1
    known = np.full(len(found), majority, dtype=np.int64)
    if authors is not None:
        places: dict[Hashable, int] = {}
        owner = np.array([places.setdefault(author, len(places)) for author in authors], dtype=np.int64)
        votes = np.bincount(owner, weights=found, minlength=len(places))[owner]
        known = np.where(votes != 0, np.sign(votes), majority).astype(np.int64)
    return np.where(found == 0, known, found) > 0


def detect(texts: Sequence[str]) -> np.ndarray:
    """The language evidence of each text: 1 English, -1 another language, 0 none. Some 100,000 texts per second.

    Args:
        texts: Unchanged texts.

    Returns:
        int64 (n,).
    """
    found = np.zeros(len(texts), dtype=np.int64)
    for start in range(0, len(texts), _CHUNK):
        part = texts[start : start + _CHUNK]
        found[start : start + len(part)] = _detect(part)
    return found


def _detect(texts: Sequence[str]) -> np.ndarray:
    lower = pl.col("text").str.replace_all("[’‘`]", "'").str.to_lowercase()
    word = pl.element()
    frame = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}).select(
        pl.col("text").str.count_matches(r"\p{L}").alias("letters"),
        pl.col("text").str.count_matches(r"\p{Latin}").alias("latin"),
        lower.str.extract_all(r"\p{L}[\p{L}\p{M}]*(?:'\p{L}+)*").alias("words"),
    )
    counts = frame.select(
        "letters",
        "latin",
        pl.col("words").list.len().alias("words"),
        *(
            pl.col("words").list.eval(word.is_in(sorted(listed))).list.sum().alias(name)
            for name, listed in (("clear", _CLEAR), ("english", _WORDS), ("other", _FOREIGN))
        ),
        # A word that is repeated may be a name or an abbreviation.
        pl.col("words").list.unique().list.eval(word.is_in(sorted(_FOREIGN))).list.sum().alias("distinct"),
    )
    letters, latin, words, clear, english, other, distinct = counts.cast(pl.Int64).to_numpy().T
    foreign = (distinct >= 2) & (other > clear) & (other >= _SHARE * words)
    unlisted = (words >= _LONG) & (clear == 0) & (english == 0)
    found = np.where((clear > other) | ((clear > 0) & ~foreign), 1, 0)
    found[foreign | unlisted] = -1
    found[2 * latin < letters] = -1
    return found


_WORDS = frozenset(_ENGLISH.split())
_CLEAR = _WORDS - frozenset(_AMBIGUOUS.split())
_FOREIGN = frozenset(_OTHERS.split()) - _WORDS - frozenset(_AMBIGUOUS.split())
