"""Answers of an extractor to checked features of a user's comparisons."""

from __future__ import annotations

import json
from pathlib import Path

from idiolect.difference.language.feature import Comparison, Feature
from idiolect.difference.language.measured import measure_comparisons
from idiolect.difference.language.parse import parse
from idiolect.difference.language.validate import validate
from idiolect.errors import InputError
from idiolect.experiments.explain.compared import Compared

_HINT = 'one JSON object a line: {"review": "id of the user\'s review", "answer": "what the model wrote"}'


def read_answers(path: Path, compared: Compared) -> list[Feature]:
    """The features in a file of answers, each checked against the texts it was claimed from.

    Args:
        path: JSON lines, each with ``review`` (of the user compared) and ``answer``.
        compared: The user's reviews and others'.

    Raises:
        InputError: The file cannot be read, or a line is none such.
    """
    found: dict[str, list[Feature]] = {}
    known = {str(review.id) for review in compared.own}
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            review, answer = _row(line, f"{path}, line {number}")
            if review not in known:
                message = f"{path}, line {number}: {review!r} is no review of {compared.user!r} that can be compared"
                raise InputError(message, hint="answers are about the user's own reviews of items with other reviews")
            found.setdefault(review, []).extend(parse(answer, comparison=review))
    return _checked(found, compared)


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


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read answers {str(path)!r}: {error}", hint=_HINT) from error


def _row(line: str, where: str) -> tuple[str, str]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where} is not JSON", hint=_HINT) from error
    if not (isinstance(row, dict) and isinstance(row.get("review"), str) and isinstance(row.get("answer"), str)):
        raise InputError(f"{where} has no texts 'review' and 'answer'", hint=_HINT)
    return row["review"], row["answer"]
