"""A blinded sheet for raters: claims of the card mixed with claims that are not the user's, and a key kept apart."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from idiolect.corpus.atomic import write_whole
from idiolect.difference.stylometry import MEASURES, NAMES
from idiolect.errors import ConfigError, InputError
from idiolect.experiments.explain.claims import Claim, Direction, Findings
from idiolect.experiments.explain.run import find_all
from idiolect.experiments.explain.settings import ExplainConfig
from idiolect.experiments.explain.wording import phrase
from idiolect.store.sql import SqlStore

Kind = Literal["claim", "reversed", "other user's"]
"""``claim``: on the user's card. Decoys: one of them turned round; or another user's, where this user's own reviews do
not even lean that way."""

COLUMNS = ("row", "person", "reviews", "statement", "answer")
QUESTION = "Compared with others who review such things, this person"
_REVERSED = 3
"""One claim in so many is shown turned round, and then not as it is: seen together, one would give the other away."""
_LEANS = 0.5
"""A decoy of another user is one that this user's measures lean to with a p value above this, or not at all."""
_SAMPLES, _SAMPLE_CHARS = 4, 700
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of a sheet, with what the raters do not see."""

    row: str
    kind: Kind
    user: str
    measure: str
    direction: Direction
    statement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetReport:
    """What was written."""

    sheet: Path
    key: Path
    users: int
    users_asked: int
    """Users looked at until enough had a claim."""
    claims: int
    decoys: int

    @property
    def text(self) -> str:
        """What was written, and what to do with it."""
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
    """Write a sheet about random users that have claims, and its key beside it.

    Raters see a few of each person's own reviews, in full or cut, and no text of anybody that they could be compared
    with by name; the order is random, and there are as many decoys as claims as far as other users' claims suffice.

    Args:
        store: SQLite file or database URL.
        sheet: The CSV file that is made.
        users: How many users, at least 2.
        seed: Of the choice, the decoys and the order.
        config: What a card claims; None: the defaults.

    Raises:
        NotFoundError: There is no such store.
        ConfigError: Fewer than two users are asked for, or the sheet is no CSV file, or is there already.
        InputError: Fewer than two users have a claim.
    """
    _check(sheet, users)
    rng = np.random.default_rng(seed)
    with SqlStore(store, create=False) as database:
        known = database.users()
        shuffled = [known[k] for k in rng.permutation(len(known))]
        chosen: list[Findings] = []
        asked = 0
        for findings in find_all(database, shuffled, config):
            asked += 1
            chosen += [findings] if findings.claimed.any() else []
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
    """Refuse what cannot be a sheet, before anything is looked at."""
    if users < 2:
        raise ConfigError(f"a sheet about {users} users has nobody to take decoys from", hint="ask for two or more")
    if sheet.suffix != ".csv":
        raise ConfigError(f"the sheet {sheet.name!r} is no CSV file", hint="a name that ends in .csv")
    if taken := next((path for path in (sheet, key_path(sheet)) if os.path.lexists(path)), None):
        raise ConfigError(f"{str(taken)!r} is there already, and raters may be at work on it", hint="name a new file")


def make_entries(chosen: Sequence[Findings], rng: np.random.Generator) -> list[Entry]:
    """Claims and decoys of several users in random order, rows numbered in that order."""
    entries = [entry for findings in chosen for entry in _of_user(findings, chosen, rng)]
    order = rng.permutation(len(entries))
    sheet = f"{rng.integers(16**4):04x}"
    return [replace(entries[k], row=f"{sheet}-{number:03d}") for number, k in enumerate(order, start=1)]


def _of_user(findings: Findings, chosen: Sequence[Findings], rng: np.random.Generator) -> list[Entry]:
    claims = [findings.claims[k] for k in rng.permutation(len(findings.claims))]
    n_reversed = len(claims) // _REVERSED
    turned, true = claims[:n_reversed], claims[n_reversed:]
    foreign = _foreign(findings, chosen)
    taken = rng.permutation(len(foreign))[: max(0, len(true) - len(turned))]
    opposite: dict[Direction, Direction] = {"more": "less", "less": "more"}
    return [
        *(_entry(findings, "claim", claim.measure.name, claim.direction) for claim in true),
        *(_entry(findings, "reversed", claim.measure.name, opposite[claim.direction]) for claim in turned),
        *(_entry(findings, "other user's", *foreign[k]) for k in taken),
    ]


def _foreign(findings: Findings, chosen: Iterable[Findings]) -> list[tuple[str, Direction]]:
    """Claims of the others that this user gives no reason for, on measures that this user has no claim on."""
    others: dict[tuple[str, Direction], Claim] = {
        (claim.measure.name, claim.direction): claim
        for one in chosen
        if one.compared.user != findings.compared.user
        for claim in one.claims
    }
    fitting: list[tuple[str, Direction]] = []
    for (name, direction), claim in others.items():
        place = NAMES.index(name)
        leans = claim.sign * findings.effect[place] > 0 and findings.p[place] <= _LEANS
        if not leans and not findings.claimed[place]:
            fitting.append((name, direction))
    return fitting


def _entry(findings: Findings, kind: Kind, name: str, direction: Direction) -> Entry:
    place = NAMES.index(name)
    said = phrase(MEASURES[place], direction, float(findings.own[place]))
    return Entry(row="", kind=kind, user=findings.compared.user, measure=name, direction=direction, statement=said)


def _samples(findings: Findings, rng: np.random.Generator) -> str:
    own = findings.compared.own
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
    write_whole(key_path(sheet), lambda path: path.write_text(json.dumps(record, indent=1), encoding="utf-8"))
    write_whole(sheet, rows)


def _harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
