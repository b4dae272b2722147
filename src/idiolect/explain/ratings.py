"""Human ratings of cards: write a blinded sheet with decoys, read rated sheets back, and report agreement."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from idiolect.config import parse_json
from idiolect.data.output_files import atomic_write
from idiolect.difference.stylometry import MEASURES, NAMES
from idiolect.errors import ConfigError, InputError, NotFoundError
from idiolect.evaluation.agreement import MISSING, alpha_interval
from idiolect.evaluation.significance import RESAMPLES, Interval, Resamples, interval
from idiolect.explain.card import Claim, Direction, ExplainConfig, UserDifferences
from idiolect.explain.run import find_all_differences
from idiolect.explain.wording import phrase
from idiolect.metrics.base import AdditiveScore, Signature
from idiolect.sqlite import is_sqlite
from idiolect.store.sql import SqlStore

Kind = Literal["claim", "reversed", "other user's"]
"""``claim``: a claim of the user's card. Decoys: a claim with the opposite direction, or a claim of another user that
this user's reviews do not lean to."""

COLUMNS = ("row", "person", "reviews", "statement", "answer")
QUESTION = "Compared with others who review such things, this person"
_REVERSED = 3
"""One claim in so many is reversed. It is not also shown unchanged, because the pair would reveal the decoy."""
_LEANS = 0.5
"""Another user's claim is a decoy if this user's measure has the other sign or a p value above this."""
_SAMPLES, _SAMPLE_CHARS = 4, 700
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of a sheet, with the data that raters do not see."""

    row: str
    kind: Kind
    user: str
    measure: str
    direction: Direction
    statement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetReport:
    """Result of ``write_sheet``."""

    sheet: Path
    key: Path
    users: int
    users_asked: int
    """Users examined until enough had a claim."""
    claims: int
    decoys: int

    @property
    def text(self) -> str:
        """The report in words, with the next step."""
        return (
            f"{self.claims} claims and {self.decoys} decoys about {self.users} users in {self.sheet}\n"
            f"the key is {self.key}; keep it from the raters\n"
            "raters write yes, no or unsure in the column answer; then: idiolect explain --ratings FILE..."
        )

    def record(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def key_path(sheet: Path) -> Path:
    """Where the key of a sheet is."""
    return sheet.with_suffix(".key.json")


def write_sheet(
    store: str, sheet: Path, *, users: int = 20, seed: int = 0, config: ExplainConfig | None = None
) -> SheetReport:
    """Write a sheet about random users with claims, and its key in the same folder.

    Raters see a few of each person's own reviews, in full or cut, and no peers' text. The order is random, and there
    are as many decoys as claims if other users' claims suffice.

    Args:
        store: SQLite file or database URL.
        sheet: The CSV file to write.
        users: Number of users, at least 2.
        seed: Seed of users, decoys and order.
        config: Significance and size of a claim; None: the defaults.

    Raises:
        NotFoundError: There is no such store.
        ConfigError: ``users`` is below two, or the sheet is no CSV file or exists.
        InputError: Fewer than two users have a claim.
    """
    _check(sheet, users)
    rng = np.random.default_rng(seed)
    with SqlStore(store, create=False) as database:
        known = database.users()
        shuffled = [known[k] for k in rng.permutation(len(known))]
        chosen: list[UserDifferences] = []
        asked = 0
        for result in find_all_differences(database, shuffled, config):
            asked += 1
            chosen += [result] if result.claimed.any() else []
            if len(chosen) == users:
                break
        for path in (sheet, key_path(sheet)):
            database.record_output(path, "rating sheet")
    if len(chosen) < 2:
        raise InputError(f"{len(chosen)} of {asked} users have a claim; two are needed", hint="take a larger store")
    entries = make_entries(chosen, rng)
    _write(sheet, entries, {one.compared.user: _samples(one, rng) for one in chosen}, seed)
    n_claims = sum(entry.kind == "claim" for entry in entries)
    return SheetReport(
        sheet=sheet,
        key=key_path(sheet),
        users=len(chosen),
        users_asked=asked,
        claims=n_claims,
        decoys=len(entries) - n_claims,
    )


def _check(sheet: Path, users: int) -> None:
    """Check the arguments before anything is read."""
    if users < 2:
        raise ConfigError(f"a sheet about {users} users has no other users for decoys", hint="ask for two or more")
    if sheet.suffix != ".csv":
        raise ConfigError(f"the sheet {sheet.name!r} is no CSV file", hint="a name that ends in .csv")
    if taken := next((path for path in (sheet, key_path(sheet)) if os.path.lexists(path)), None):
        raise ConfigError(f"{str(taken)!r} is there already, and raters may be at work on it", hint="name a new file")


def make_entries(chosen: Sequence[UserDifferences], rng: np.random.Generator) -> list[Entry]:
    """Claims and decoys of several users in random order, rows numbered in that order."""
    entries = [entry for result in chosen for entry in _of_user(result, chosen, rng)]
    order = rng.permutation(len(entries))
    sheet = f"{rng.integers(16**4):04x}"
    return [replace(entries[k], row=f"{sheet}-{number:03d}") for number, k in enumerate(order, start=1)]


def _of_user(result: UserDifferences, chosen: Sequence[UserDifferences], rng: np.random.Generator) -> list[Entry]:
    claims = [result.claims[k] for k in rng.permutation(len(result.claims))]
    n_reversed = len(claims) // _REVERSED
    turned, true = claims[:n_reversed], claims[n_reversed:]
    foreign = _foreign(result, chosen)
    taken = rng.permutation(len(foreign))[: max(0, len(true) - len(turned))]
    opposite: dict[Direction, Direction] = {"more": "less", "less": "more"}
    return [
        *(_entry(result, "claim", claim.measure.name, claim.direction) for claim in true),
        *(_entry(result, "reversed", claim.measure.name, opposite[claim.direction]) for claim in turned),
        *(_entry(result, "other user's", *foreign[k]) for k in taken),
    ]


def _foreign(result: UserDifferences, chosen: Iterable[UserDifferences]) -> list[tuple[str, Direction]]:
    """Claims of other users that fit as decoys: this user does not lean to them and has no claim on the measure."""
    others: dict[tuple[str, Direction], Claim] = {
        (claim.measure.name, claim.direction): claim
        for one in chosen
        if one.compared.user != result.compared.user
        for claim in one.claims
    }
    fitting: list[tuple[str, Direction]] = []
    for (name, direction), claim in others.items():
        place = NAMES.index(name)
        leans = claim.sign * result.effect[place] > 0 and result.p[place] <= _LEANS
        if not leans and not result.claimed[place]:
            fitting.append((name, direction))
    return fitting


def _entry(result: UserDifferences, kind: Kind, name: str, direction: Direction) -> Entry:
    place = NAMES.index(name)
    said = phrase(MEASURES[place], direction, float(result.own[place]))
    return Entry(row="", kind=kind, user=result.compared.user, measure=name, direction=direction, statement=said)


def _samples(result: UserDifferences, rng: np.random.Generator) -> str:
    own = result.compared.own
    drawn = np.sort(rng.permutation(len(own))[:_SAMPLES])
    return "\n\n".join(f"[{n}] {_cut(own[k].text)}" for n, k in enumerate(drawn, start=1))


def _cut(text: str) -> str:
    return text if len(text) <= _SAMPLE_CHARS else f"{text[:_SAMPLE_CHARS].rsplit(' ', 1)[0]} [...]"


def _write(sheet: Path, entries: Sequence[Entry], samples: dict[str, str], seed: int) -> None:
    persons = {user: f"person {number}" for number, user in enumerate(sorted(samples), start=1)}
    sheet.parent.mkdir(parents=True, exist_ok=True)

    def rows(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(COLUMNS)
            for entry in entries:
                said = f"{QUESTION} {entry.statement}."
                table.writerow([entry.row, persons[entry.user], _harmless(samples[entry.user]), said, ""])

    record = {"sheet": sheet.name, "seed": seed, "rows": [asdict(entry) for entry in entries]}
    atomic_write(key_path(sheet), lambda path: path.write_text(json.dumps(record, indent=1), encoding="utf-8"))
    atomic_write(sheet, rows)


def _harmless(text: str) -> str:
    """Text that no spreadsheet reads as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


Answer = Literal["yes", "no", "unsure"]

_ANSWERS: Mapping[str, Answer] = {
    **dict.fromkeys(("yes", "y", "1", "true"), "yes"),
    **dict.fromkeys(("no", "n", "0", "false"), "no"),
    **dict.fromkeys(("unsure", "?", "don't know", "dont know"), "unsure"),
}
_KEY_HINT = "name it with key=; it is in the folder of the sheet"


def read_sheet(path: Path) -> dict[str, Answer]:
    """The answers of one rater by row, without empty rows.

    Columns are separated by commas, semicolons or tabs.

    Raises:
        InputError: No such file, missing columns, a repeated row, an invalid answer, or no answer at all.
    """
    text = _read(path)
    table = csv.DictReader(text.splitlines(keepends=True), delimiter=_delimiter(text))
    try:
        names = {(name or "").strip().lower(): name for name in table.fieldnames or ()}
    except csv.Error as error:
        raise InputError(f"{path} is not a table: {error}", hint="save it as CSV") from error
    if missing := [name for name in ("row", "answer") if name not in names]:
        raise InputError(
            f"{path} has no column {missing[0]!r}", hint="send back the sheet with its columns as they were"
        )
    seen: set[str] = set()
    answers: dict[str, Answer] = {}
    try:
        for line in table:
            row, answer = ((line[names[name]] or "").strip() for name in ("row", "answer"))
            if not (row or answer):  # spreadsheets leave blank lines below a table
                continue
            if row in seen:
                raise InputError(f"{path}: row {row!r} is there twice", hint="keep one of the two")
            seen.add(row)
            if answer:
                answers[row] = _answer(answer, f"{path}: row {row!r}")
    except csv.Error as error:
        raise InputError(f"{path} is not a table: {error}", hint="save it as CSV") from error
    if not answers:
        raise InputError(f"{path} has no answer", hint="write yes, no or unsure in the column answer")
    return answers


def read_key(key: Path | None, sheet: Path, answers: Mapping[str, Answer]) -> list[Entry]:
    """The entries of a key.

    Args:
        key: Its file; None: the one in the folder of ``sheet`` that has these rows.
        sheet: A rated sheet.
        answers: That sheet's answers.

    Raises:
        NotFoundError: There is no key.
        InputError: It cannot be read.
    """
    if key is not None:
        return _entries(key)
    for path in sorted(sheet.resolve().parent.glob("*.key.json")):
        entries = _entries(path)
        if answers.keys() <= {entry.row for entry in entries}:
            return entries
    raise NotFoundError(f"there is no key of {str(sheet)!r} in its folder", hint=_KEY_HINT)


def _answer(word: str, where: str) -> Answer:
    if word.lower() not in _ANSWERS:
        raise InputError(f"{where}: {word!r} is no answer", hint="write yes, no or unsure")
    return _ANSWERS[word.lower()]


def _delimiter(text: str) -> str:
    head = text.partition("\n")[0]
    return max(",;\t", key=head.count)


def _read(path: Path) -> str:
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a folder", hint="name the file in it")
    if is_sqlite(path):  # perhaps the store, which nothing but SQLite may open
        raise InputError(f"{str(path)!r} is an SQLite database", hint="name the CSV file")
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"there is no file {str(path)!r}", hint="check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {str(path)!r} as text: {error}", hint="save it as CSV in UTF-8") from error


def _entries(path: Path) -> list[Entry]:
    if not path.exists():
        raise NotFoundError(f"there is no key {str(path)!r}", hint=_KEY_HINT)
    try:
        rows: Any = parse_json(_read(path))["rows"]
        if not all(isinstance(row[field.name], str) for row in rows for field in fields(Entry)):
            raise TypeError("a field is no text")
        return [Entry(**{field.name: row[field.name] for field in fields(Entry)}) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{str(path)!r} is no key of a sheet", hint=_KEY_HINT) from error


_CODES: Mapping[Answer, int] = {"no": 0, "yes": 1, "unsure": MISSING}


class YesRate(AdditiveScore):
    """Share of yes among yes and no; nan without either."""

    name = "yes_rate"
    greater_is_better = True

    def score_totals(self, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """See ``SufficientStatistics``; the columns are yes and no."""
        del counts
        yes, both = totals[:, 0], totals.sum(axis=1)
        return np.divide(yes, both, out=np.full(len(yes), np.nan), where=both > 0)

    def signature(self) -> Signature:
        """The name."""
        return Signature((("metric", self.name),))


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingsReport:
    """The raters' answers. Intervals are percentile bootstraps over users; those of agreement are over statements."""

    raters: int
    statements: int
    answers: int
    """Number of yes and no."""
    unsure: int
    precision: Interval
    """Share of the card's claims that raters confirm."""
    false_alarms: Interval
    """Share of the decoys that raters confirm."""
    by_kind: Mapping[str, float]
    """Share confirmed per kind of statement; nan without answers."""
    alpha: Interval
    """Krippendorff's alpha of yes and no; nan below two raters."""

    @property
    def text(self) -> str:
        """The report in a few lines."""
        kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in self.by_kind.items() if np.isfinite(share))
        agreement = "needs two raters" if self.raters < 2 else _shown(self.alpha, "{:.2f}")
        return (
            f"{self.raters} raters, {self.statements} statements, {self.answers} answers, {self.unsure} unsure\n"
            f"precision of the claims:  {_shown(self.precision, '{:.0%}')}\n"
            f"false alarms on decoys:   {_shown(self.false_alarms, '{:.0%}')}\n"
            f"upheld by kind:           {kinds}\n"
            f"Krippendorff's alpha:     {agreement}"
        )

    def record(self) -> dict[str, Any]:
        """Plain data; undefined values are null."""
        plain = asdict(self)
        intervals = {name: getattr(self, name)._asdict() for name in ("precision", "false_alarms", "alpha")}
        return _finite({**plain, **intervals})


def rate(files: Sequence[Path], *, key: Path | None = None, seed: int = 0) -> RatingsReport:
    """Read rated sheets of one key, one file per rater.

    Args:
        files: The rated sheets, at least one.
        key: The sheet's key; None: the key in the folder of the first file that has its rows.
        seed: Seed of the bootstrap.

    Raises:
        InputError: A file is named twice, cannot be read as a sheet, has unknown, repeated or unreadable rows, or no
            answer at all.
        NotFoundError: There is no such key.
    """
    if not files:
        raise InputError("there are no ratings to read", hint="name the sheets that came back")
    sheets = [read_sheet(path) for path in files]
    if len({path.resolve() for path in files}) < len(files):
        raise InputError("a sheet is named twice, and would agree with itself", hint="name each rater's sheet once")
    entries = read_key(key, files[0], sheets[0])
    for path, sheet in zip(files, sheets, strict=True):
        strange = sorted(sheet.keys() - {entry.row for entry in entries})
        if strange:
            raise InputError(f"{path}: row {strange[0]!r} is not in the key", hint="give the key made with this sheet")
    return report(entries, sheets, np.random.default_rng(seed))


def report(entries: Sequence[Entry], sheets: Sequence[Mapping[str, Answer]], rng: np.random.Generator) -> RatingsReport:
    """Summarize the raters' answers to the entries of a key.

    Args:
        entries: The key.
        sheets: Each rater's answers by row.
        rng: Generator of the bootstrap.
    """
    ratings = np.array([[_CODES[sheet[e.row]] if e.row in sheet else MISSING for sheet in sheets] for e in entries])
    votes = np.stack([(ratings == 1).sum(axis=1), (ratings == 0).sum(axis=1)], axis=1)
    kinds = np.array([entry.kind for entry in entries])
    users = [entry.user for entry in entries]
    said = Counter(answer for sheet in sheets for answer in sheet.values())
    undefined = Interval(float("nan"), float("nan"), float("nan"))
    return RatingsReport(
        raters=len(sheets),
        statements=len(entries),
        answers=int(votes.sum()),
        unsure=said["unsure"],
        precision=_share(votes, users, kinds == "claim", rng),
        false_alarms=_share(votes, users, kinds != "claim", rng),
        by_kind={str(kind): YesRate().aggregate(votes[kinds == kind]) for kind in sorted(set(kinds.tolist()))},
        alpha=alpha_interval(ratings, 2, Resamples(len(ratings), rng)) if _comparable(ratings) else undefined,
    )


def _comparable(ratings: np.ndarray) -> bool:
    """Whether agreement is defined: more than one statement, and one with two answers."""
    return len(ratings) > 1 and bool(((ratings != MISSING).sum(axis=1) > 1).any())


def _share(votes: np.ndarray, users: Sequence[str], among: np.ndarray, rng: np.random.Generator) -> Interval:
    """The share of yes among the chosen statements with an answer, so that every resample has an answer."""
    answered = among & (votes.sum(axis=1) > 0)
    chosen = [user for user, wanted in zip(users, answered, strict=True) if wanted]
    if not chosen:
        return Interval(float("nan"), float("nan"), float("nan"))
    if len(set(chosen)) < 2:
        return Interval(YesRate().aggregate(votes[answered]), float("nan"), float("nan"))
    resamples = Resamples(len(chosen), rng, clusters=chosen, resamples=RESAMPLES)
    return interval(resamples.score(YesRate(), votes[answered]))


def _shown(of: Interval, form: str) -> str:
    if not np.isfinite(of.value):
        return "not defined: no rater answered, or all answers are the same"
    ends = f" [{form.format(of.low)}, {form.format(of.high)}]" if np.isfinite([of.low, of.high]).all() else ""
    return form.format(of.value) + ends


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value
