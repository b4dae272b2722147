"""Rated sheets read back: do people agree with the card, do they reject decoys, do they agree with each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from idiolect.errors import InputError
from idiolect.evaluation.additive import AdditiveScore
from idiolect.evaluation.agreement import MISSING, alpha_interval
from idiolect.evaluation.base import Signature
from idiolect.evaluation.significance import RESAMPLES, Interval, Resamples, interval
from idiolect.experiments.explain.rating_files import Answer, read_key, read_sheet
from idiolect.experiments.explain.rating_sheet import Entry

_CODES: Mapping[Answer, int] = {"no": 0, "yes": 1, "unsure": MISSING}


class YesRate(AdditiveScore):
    """Yes among yes and no; nan without either."""

    name = "yes_rate"
    greater_is_better = True

    def score_totals(self, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """See ``Additive``; the columns are yes and no."""
        del counts
        yes, both = totals[:, 0], totals.sum(axis=1)
        return np.divide(yes, both, out=np.full(len(yes), np.nan), where=both > 0)

    def signature(self) -> Signature:
        """The name."""
        return Signature((("metric", self.name),))


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingsReport:
    """What the raters said. Intervals are percentile bootstraps over users, those of agreement over statements."""

    raters: int
    statements: int
    answers: int
    """Yes and no together."""
    unsure: int
    precision: Interval
    """Share of the card's claims that raters uphold."""
    false_alarms: Interval
    """Share of the decoys that raters uphold."""
    by_kind: Mapping[str, float]
    """Share upheld by kind of statement; nan where nobody answered."""
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
        """Plain data; what is not defined is null."""
        plain = asdict(self)
        intervals = {name: getattr(self, name)._asdict() for name in ("precision", "false_alarms", "alpha")}
        return _finite({**plain, **intervals})


def rate(files: Sequence[Path], *, key: Path | None = None, seed: int = 0) -> RatingsReport:
    """Read rated sheets of one key, a file a rater.

    Args:
        files: The sheets as they came back, at least one.
        key: The sheet's key; None: the one key beside the first file that knows its rows.
        seed: Of the bootstrap.

    Raises:
        InputError: A file is named twice, cannot be read as a sheet, has unknown, repeated or unreadable rows, or no
            answer at all.
        NotFoundError: There is no such key.
    """
    if not files:
        raise InputError("there are no ratings to read", hint="name the sheets that came back")
    if len({path.resolve() for path in files}) < len(files):
        raise InputError("a sheet is named twice, and would agree with itself", hint="name each rater's sheet once")
    sheets = [read_sheet(path) for path in files]
    entries = read_key(key, files[0], sheets[0])
    for path, sheet in zip(files, sheets, strict=True):
        strange = sorted(sheet.keys() - {entry.row for entry in entries})
        if strange:
            raise InputError(f"{path}: row {strange[0]!r} is not in the key", hint="give the key made with this sheet")
    return report(entries, sheets, np.random.default_rng(seed))


def report(entries: Sequence[Entry], sheets: Sequence[Mapping[str, Answer]], rng: np.random.Generator) -> RatingsReport:
    """What raters said of the entries of a key.

    Args:
        entries: The key.
        sheets: For each rater the answers by row.
        rng: Of the bootstrap.
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
    """Whether some statement was answered twice, and there are statements to draw from."""
    return len(ratings) > 1 and bool(((ratings != MISSING).sum(axis=1) > 1).any())


def _share(votes: np.ndarray, users: Sequence[str], among: np.ndarray, rng: np.random.Generator) -> Interval:
    """The share of yes among the chosen statements that somebody answered, so that every resample has an answer."""
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
        return "not defined: nobody answered, or all answers are the same"
    ends = f" [{form.format(of.low)}, {form.format(of.high)}]" if np.isfinite([of.low, of.high]).all() else ""
    return form.format(of.value) + ends


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value
