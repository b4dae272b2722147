"""Which claims a set of runs can settle, by their names: ``method`` and ``method: control``.

Whether a gain is personal: what is left of it where nothing, or somebody else, tells the model who writes.

A trained adapter gains by training as such, so a gain over a baseline says nothing yet about the user. It is personal
where every run that lacks the user alone (another user's vectors or history, a trained constant) is worse than the
method. The same test tells whether a gain comes from the difference to peers: by runs that lack that alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from idiolect.errors import ConfigError
from idiolect.evaluation.significance import SIGNIFICANT, Bootstrapped, Interval, Resamples, Score, compare, interval
from idiolect.methods.controls import (
    CONSTANT,
    HIS_TWICE,
    NO_ADAPTER,
    OTHER_VECTORS,
    SHUFFLED_PEERS,
    WRONG_USER,
    control_name,
    is_control,
)
from idiolect.metrics.base import Mean
from idiolect.registry import suggest

Source = Literal["user", "difference"]
Outcome = Literal["holds", "fails", "undecided", "no gain"]

HALF = 0.5
"""Share of a gain that a rival must surely keep for a claim to fail: not to find a loss is not yet to find none."""


class _Words(NamedTuple):
    holds: str
    fails: str
    without: str


_WORDS: Mapping[Source, _Words] = {
    "user": _Words("personal", "not personal", "without the user"),
    "difference": _Words("from the difference", "not from the difference", "without the difference"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """That a method gains over a baseline because it knows the user, or how the user differs."""

    method: str
    baseline: str
    rivals: tuple[str, ...]
    """Runs that differ from the method only in lacking that; at least one."""
    source: Source = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """What is left of a gain in a run that lacks what the gain is said to come from."""

    name: str
    worse: Interval
    """Nats a review by which it is worse than the method."""
    kept: Interval
    """Share of the gain that it keeps: 1 all, 0 none, negative: worse than the baseline. Means little beside a gain
    that is not clear of 0."""
    loses: bool
    """Surely worse than the method."""
    as_good: bool
    """Not surely worse than the method, and surely at least half of the gain is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the nats say of a claim."""

    claim: Claim
    outcome: Outcome
    gain: Interval
    """Nats a review by which the method is better than the baseline."""
    rivals: tuple[Rival, ...]
    units: int
    """Users, or samples, that it rests on."""
    decidable: bool = True
    """Whether these are enough to be sure of anything."""

    @property
    def sentence(self) -> str:
        """The verdict in plain words, with its figures."""
        words, method, baseline = _WORDS[self.claim.source], self.claim.method, self.claim.baseline
        if not self.decidable:
            return f"undecided: {self.units} users cannot tell; over {baseline}, {method} gains {_nats(self.gain)}"
        if self.outcome == "no gain":
            found = "worse than" if self.gain.high < 0 else "not clearly better than"
            return f"no gain: {method} is {found} {baseline}, by {_nats(self.gain)}"
        gain = f"{method} gains {_nats(self.gain)} over {baseline}"
        if self.outcome == "holds":
            return f"{words.holds}: {gain}; {_each(self.rivals)}"
        if self.outcome == "fails":
            as_good = [rival for rival in self.rivals if rival.as_good]
            return f"{words.fails}: {gain} and is as good {words.without}; {_each(as_good)}"
        near = [rival for rival in self.rivals if not rival.loses]
        return f"undecided: {gain}, perhaps as much {words.without}; {_each(near)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a result file."""
        claim = self.claim
        rivals = {r.name: {"worse": r.worse._asdict(), "kept": r.kept._asdict()} for r in self.rivals}
        named = {"method": claim.method, "baseline": claim.baseline, "source": claim.source}
        found = {"outcome": self.outcome, "gain": self.gain._asdict(), "rivals": rivals}
        return {**named, **found, "sentence": self.sentence}


def judge(claim: Claim, nats: Mapping[str, np.ndarray], resamples: Resamples) -> Verdict:
    """Weigh a claim by paired intervals and tests.

    It ``holds`` where the method is surely better than the baseline and than every rival: all must be so at once, hence
    no correction for their number. It ``fails`` where some rival is as good. A method whose gain is not clear of 0 has
    nothing to claim. Sure is what has its whole interval above 0 and passes ``significance.compare``'s test too, for
    intervals of few users are too narrow; where no difference could pass it, nothing is decided.

    Args:
        claim: What is claimed.
        nats: Run to float (n,): each reference's negative log-likelihood in nats, the same samples in every run.
        resamples: Draws over these samples; over users, for a claim about users.

    Raises:
        ConfigError: A run of the claim is not among ``nats``, or the claim names no rival.
        InputError: A run has another number of samples than the resamples.
    """
    if not claim.rivals:
        raise ConfigError(f"there is nothing to tell where the gain of {claim.method!r} is from", hint="name a rival")
    for name in (claim.method, claim.baseline, *claim.rivals):
        if name not in nats:
            raise ConfigError(f"there are no nats of {name!r}", hint=suggest(name, nats))
    baseline = nats[claim.baseline]
    won = baseline - nats[claim.method]
    rivals = tuple(_rival(name, won, baseline - nats[name], resamples) for name in claim.rivals)
    gain, decidable = _mean(won, resamples), resamples.min_p < SIGNIFICANT
    return Verdict(
        claim=claim,
        outcome=_outcome(_surely_positive(gain), rivals) if decidable else "undecided",
        gain=interval(gain),
        rivals=rivals,
        units=resamples.units,
        decidable=decidable,
    )


def _outcome(gains: bool, rivals: tuple[Rival, ...]) -> Outcome:
    if not gains:
        return "no gain"
    if all(rival.loses for rival in rivals):
        return "holds"
    return "fails" if any(rival.as_good for rival in rivals) else "undecided"


def _rival(name: str, won: np.ndarray, kept: np.ndarray, resamples: Resamples) -> Rival:
    """From what the method and the rival gain over the baseline, sample by sample."""
    worse = _mean(won - kept, resamples)
    # Half of the gain as a difference, not a ratio: its interval is sound however small the gain.
    half = _mean(kept - HALF * won, resamples)
    share = _share(_mean(kept, resamples), _mean(won, resamples))
    loses = _surely_positive(worse)
    as_good = not loses and _surely_positive(half)
    return Rival(name=name, worse=interval(worse), kept=share, loses=loses, as_good=as_good)


def _surely_positive(mean: Score) -> bool:
    """By interval and by test against nothing at all; an exchange with 0 turns a user's sign."""
    found = compare(mean, _mean(np.zeros(len(mean.rows)), mean.resamples))
    return found.low > 0 and found.p < SIGNIFICANT


def _share(part: Bootstrapped, whole: Bootstrapped) -> Interval:
    """Part over whole; 0 of nothing."""
    value, resampled = (
        np.divide(a, b, out=np.zeros_like(a), where=b != 0)
        for a, b in ((np.array(part.value), np.array(whole.value)), (part.resampled, whole.resampled))
    )
    return interval(Bootstrapped(float(value), resampled))


def _mean(values: np.ndarray, resamples: Resamples) -> Score:
    return resamples.score(Mean("nats", greater_is_better=True), values)


def _nats(of: Interval) -> str:
    return f"{of.value:.2f} nats [{of.low:.2f}, {of.high:.2f}]"


def _each(rivals: tuple[Rival, ...] | list[Rival]) -> str:
    return "; ".join(
        f"{rival.name} is {_nats(rival.worse)} worse and keeps {max(rival.kept.value, 0.0):.0%} of it"
        for rival in rivals
    )


_VECTORS = (OTHER_VECTORS, CONSTANT)
_DIFFERENCE = (SHUFFLED_PEERS, HIS_TWICE)


def settled_by(runs: Collection[str]) -> tuple[Claim, ...]:
    """Every claim that the runs have a baseline and a rival for.

    - That the *history* is personal: over Non-Perso, against ``wrong user``, of every method.
    - That the *vectors* are: over the same prompt without them, against another user's vectors and a trained constant.
      A wrong user is no rival there, for it changes the text too.
    - That it is the *difference*: over the same, against adapters trained with as many virtual tokens but without it.

    Args:
        runs: Their names.
    """
    methods = [run for run in runs if not is_control(run)]
    found = [claim for method in methods for claim in _of(method, runs)]
    return tuple(claim for claim in found if claim.baseline in runs and claim.rivals)


def _of(method: str, runs: Collection[str]) -> tuple[Claim, Claim, Claim]:
    def known(*controls: str) -> tuple[str, ...]:
        return tuple(name for name in (control_name(method, control) for control in controls) if name in runs)

    # A prompt that shows text is RAG's once its virtual tokens are gone.
    bare = next(iter(known(NO_ADAPTER)), "rag")
    return (
        Claim(method=method, baseline="nonpersonalized", rivals=known(WRONG_USER)),
        Claim(method=method, baseline=bare, rivals=known(*_VECTORS)),
        Claim(method=method, baseline=bare, rivals=known(*_DIFFERENCE), source="difference"),
    )
