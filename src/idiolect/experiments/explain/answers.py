"""What an extractor said of a user's comparisons, as checked features: from an evaluation or a file of answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from idiolect.config import parse_json
from idiolect.corpus.atomic import is_sqlite
from idiolect.difference.language.feature import Comparison, Feature
from idiolect.difference.language.measured import measure_comparisons
from idiolect.difference.language.parse import parse
from idiolect.difference.language.validate import validate
from idiolect.errors import InputError
from idiolect.experiments.explain.compared import Compared
from idiolect.experiments.variety.found import found_by

_HINT = (
    "samples/drp.jsonl of an evaluation, or one JSON object a line: "
    '{"review": "id of the user\'s review", "answer": "what the model wrote"}'
)


def read_answers(path: Path, compared: Compared) -> list[Feature]:
    """The features in a file, each checked against the texts it was claimed from.

    Args:
        path: JSON lines: the samples of an evaluation, whose features were checked there, or each with ``review`` (of
            the user compared) and ``answer``.
        compared: The user's reviews and others'.

    Raises:
        InputError: The file cannot be read, a line is none such, or no model said anything of the user.
        ArtifactError: It holds the samples of another version.
    """
    rows = [(f"{path}, line {n}", _row(line, f"{path}, line {n}")) for n, line in _lines(path) if line.strip()]
    known = {str(review.id) for review in compared.own}
    if rows and all(_is_sample(row) for _, row in rows):
        return _evaluated([row for _, row in rows if row["user"] == compared.user], known, f"{path}: {compared.user!r}")
    found: dict[str, list[Feature]] = {}
    for where, row in rows:
        review, answer = _answer(row, where)
        if review not in known:
            message = f"{where}: {review!r} is no review of {compared.user!r} that can be compared"
            raise InputError(message, hint="answers are about the user's own reviews of items with other reviews")
        found.setdefault(review, []).extend(parse(answer, comparison=review))
    return _checked(found, compared)


def _evaluated(rows: Sequence[dict[str, Any]], known: set[str], where: str) -> list[Feature]:
    """What a method claimed in the comparisons that a card makes too."""
    if not rows:
        raise InputError(f"{where} has no sample in it", hint="another user, or the samples of another evaluation")
    if not any(stage.startswith("extract ") for row in rows for stage in row["stages"] or ()):
        raise InputError(
            f"{where}: no model was asked how the user differs", hint="evaluate with --set differences.extractor={}"
        )
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
    """Numbered; only a line feed ends a line (texts may hold other separators)."""
    if is_sqlite(path):  # perhaps the store, which nothing but SQLite may open
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
    """Whether a line is one of a method's that looks for differences (``results.sample_row``)."""
    return isinstance(row, dict) and {"user", "stages", "features"} <= row.keys()


def _answer(row: Any, where: str) -> tuple[str, str]:
    if not (isinstance(row, dict) and isinstance(row.get("review"), str) and isinstance(row.get("answer"), str)):
        raise InputError(f"{where} has no texts 'review' and 'answer'", hint=_HINT)
    return row["review"], row["answer"]
