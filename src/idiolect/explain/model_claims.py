"""Model claims: differences claimed by a language model, read from samples or a file, checked by measurement."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from idiolect.config import parse_json
from idiolect.difference.claims.evidence import is_in, normalise
from idiolect.difference.claims.feature import Comparison, Feature
from idiolect.difference.claims.parse import parse, unreadable
from idiolect.difference.claims.stylometric import CHECKS, measure_comparisons
from idiolect.difference.claims.taxonomy import Key
from idiolect.difference.claims.validate import validate
from idiolect.difference.claims.vote import Difference, differences, vote
from idiolect.difference.stylometry import MEASURES
from idiolect.errors import ArtifactError, InputError
from idiolect.evaluation.judge import extractor_counts, found_by
from idiolect.explain.card import Compared, ExplainConfig, UserDifferences
from idiolect.explain.quoting import UserQuote
from idiolect.sqlite import is_sqlite
from idiolect.types import Review

_log = logging.getLogger(__name__)

_HINT = (
    "samples/drp.jsonl of an evaluation, or one JSON object a line: "
    '{"review": "id of the user\'s review", "answer": "what the model wrote"}'
)


def read_answers(path: Path, compared: Compared) -> list[Feature]:
    """The features in a file of answers, checked against the compared texts.

    Args:
        path: JSON lines: the samples of an evaluation, whose features were checked there, or objects with ``review``
            (id of the user's review) and ``answer``.
        compared: The user's and peers' reviews.

    Raises:
        InputError: The file cannot be read, has a line of another kind, or has no readable answer about the user. If
            only some answers are unreadable, a warning says how many.
        ArtifactError: It has the samples of another version.
    """
    rows = [(f"{path}, line {n}", _row(line, f"{path}, line {n}")) for n, line in _lines(path) if line.strip()]
    known = {str(review.id) for review in compared.own}
    if rows and all(_is_sample(row) for _, row in rows):
        return _evaluated([row for _, row in rows if row["user"] == compared.user], known, f"{path}: {compared.user!r}")
    found: dict[str, list[Feature]] = {}
    unread = 0
    for where, row in rows:
        review, answer = _answer(row, where)
        if review not in known:
            message = f"{where}: {review!r} is no review of {compared.user!r} that can be compared"
            raise InputError(message, hint="answers are about the user's own reviews of items with other reviews")
        features = parse(answer, comparison=review)
        unread += unreadable(answer, features)
        found.setdefault(review, []).extend(features)
    _report_unreadable(unread, len(rows), str(path))
    return _checked(found, compared)


def _report_unreadable(unread: int, answers: int, where: str) -> None:
    """Warn of unreadable answers, which differ from answers without a difference.

    Raises:
        InputError: All answers are unreadable.
    """
    if not unread:
        return
    said = f"unreadable: {unread} of {answers} answers"
    if unread == answers:
        raise InputError(
            f"{where}: {said}", hint="the extractor must answer in JSON or in blocks; make the card without its answers"
        )
    _log.warning("%s: %s", where, said)


def _evaluated(rows: Sequence[dict[str, Any]], known: set[str], where: str) -> list[Feature]:
    """A method's claims about the card's comparisons."""
    if not rows:
        raise InputError(f"{where} has no sample in it", hint="another user, or the samples of another evaluation")
    if not all(_is_typed(row["stages"] or []) for row in rows):
        raise ArtifactError(f"{where}: the samples are of an older version", hint="evaluate again")
    if not any(stage.get("name") == "extract" for row in rows for stage in row["stages"] or ()):
        raise InputError(
            f"{where}: no model was asked how the user differs", hint="evaluate with differences.extractor={}"
        )
    counts = [extractor_counts(row) for row in rows]
    _report_unreadable(sum(n for *_, n in counts), sum(calls - failed for calls, failed, _ in counts), where)
    found = found_by(rows).features
    return [feature for (_, comparison), own in found.items() if comparison in known for feature in own]


def _checked(found: dict[str, list[Feature]], compared: Compared) -> list[Feature]:
    comparisons = [
        Comparison(id=review.id, target=review.text, peers=tuple(peer.text for peer in peers))
        for review, peers in zip(compared.own, compared.peers, strict=True)
        if review.id in found
    ]
    measured = measure_comparisons(comparisons)
    return [
        feature
        for one, of_texts in zip(comparisons, measured, strict=True)
        for feature in validate(found[one.id], one, measured=of_texts)
    ]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines; only a line feed ends a line (texts may have other separators)."""
    if is_sqlite(path):  # perhaps the store, which only SQLite may open
        raise InputError(f"cannot read answers {str(path)!r}: it is an SQLite database", hint=_HINT)
    try:
        return enumerate(path.read_text(encoding="utf-8").split("\n"), start=1)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read answers {str(path)!r}: {error}", hint=_HINT) from error


def _row(line: str, where: str) -> Any:
    try:
        return parse_json(line)
    except ValueError as error:
        raise InputError(f"{where} is not JSON", hint=_HINT) from error


def _is_sample(row: Any) -> bool:
    """Whether a line is a sample of a method with stages (``results.sample_row``)."""
    return isinstance(row, dict) and {"user", "stages", "features"} <= row.keys()


def _is_typed(stages: Any) -> bool:
    """Whether stages are a list of results, not the texts by name of an older version."""
    return isinstance(stages, list) and all(isinstance(stage, dict) for stage in stages)


def _answer(row: Any, where: str) -> tuple[str, str]:
    if not (isinstance(row, dict) and isinstance(row.get("review"), str) and isinstance(row.get("answer"), str)):
        raise InputError(f"{where} has no texts 'review' and 'answer'", hint=_HINT)
    return row["review"], row["answer"]


Check = Literal["confirmed", "unclear", "unmeasured"]

_NAME_WORDS = 6
"""Most words of a claim's name on the card: fewer than make a copy of a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelClaim:
    """A difference that recurs in a model's claims and that no measurement contradicts."""

    key: Key
    support: int
    """Comparisons that claim it."""
    opposition: int
    """Comparisons that claim the opposite."""
    check: Check
    """``confirmed``: a significant measurement over all items agrees; ``unclear``: no measurement is significant."""
    quotes: tuple[UserQuote, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A claim that is not on the card."""

    statement: str
    reason: str
    """One of ``feature.Reason``, ``not_significant`` or ``small``."""
    detail: str = ""
    count: int = 1
    """Number of claims."""


def filter_claims(
    features: Sequence[Feature], result: UserDifferences, config: ExplainConfig
) -> tuple[tuple[ModelClaim, ...], tuple[Rejected, ...]]:
    """Filter a model's claims by support and by the measurements over all items.

    Args:
        features: Validated features of the user's comparisons.
        result: Measured differences over all items.
        config: Required support and number of quotes.

    Returns:
        Accepted claims, the best supported first, and rejected ones.
    """
    own = result.compared.own
    model_claims: list[ModelClaim] = []
    rejected = _dropped(vote(features, min_support=config.min_support))
    for one in differences(features, min_support=config.min_support):
        check = _check(one.key, result)
        if check is None:
            rejected.append(Rejected(statement=one.key.phrase, reason="measured_opposite", count=one.support))
        else:
            quotes = _quotes(one, own, config.quotes)
            model_claims.append(
                ModelClaim(key=one.key, support=one.support, opposition=one.opposition, check=check, quotes=quotes)
            )
    return tuple(model_claims), tuple(rejected)


def _check(key: Key, result: UserDifferences) -> Check | None:
    """The result of the measures of a key's attribute; None: they show the opposite."""
    places = [k for k, of in enumerate(MEASURES) if CHECKS.get(of.name, of.attribute) == key.attribute]
    if not places or not key.sign:
        return "unmeasured"
    significant = [k for k in places if result.claimed[k] or result.small[k]]
    sides = {float(np.sign(result.effect[k])) for k in significant}
    if sides == {-float(key.sign)}:
        return None
    return "confirmed" if sides == {float(key.sign)} else "unclear"


def _quotes(one: Difference, own: Sequence[Review], k: int) -> tuple[UserQuote, ...]:
    """At most ``k`` quotes that are in the user's own review."""
    reviews = {review.id: review for review in own}
    found: dict[str, UserQuote] = {}
    for feature in one.features:
        review = next((reviews[known] for known in reviews if known == feature.comparison), None)
        for quote in feature.quotes if review else ():
            words = normalise(quote.text)
            if review and quote.side == "target" and words and is_in(words, normalise(review.text)):
                found.setdefault(words, UserQuote(text=words, review=review.id, item=review.item))
    return tuple(found.values())[:k]


def _dropped(features: Sequence[Feature]) -> list[Rejected]:
    counts: dict[tuple[str, str], int] = {}
    for feature in features:
        if not feature.valid:
            said = (_statement(feature), feature.reason or "rejected")
            counts[said] = counts.get(said, 0) + 1
    return [Rejected(statement=name, reason=reason, count=n) for (name, reason), n in counts.items()]


def _statement(feature: Feature) -> str:
    if feature.key is not None:
        return feature.key.phrase
    words = feature.name.split()
    return " ".join(words[:_NAME_WORDS]) + (" ..." if len(words) > _NAME_WORDS else "") or "(no name)"
