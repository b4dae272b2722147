"""Attribution: whether a method's gain is personal, judged by its negative controls.

Training alone can give a gain, so a gain over a baseline does not show that the user matters. The gain is personal if
every control that lacks only the user (another user's vectors or history, a trained constant) is worse than the method.
Controls that lack only the difference to peers show in the same way whether the gain comes from the difference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from idiolect.errors import ConfigError
from idiolect.evaluation.significance import SIGNIFICANT, Bootstrapped, Interval, Resamples, Score, compare, interval
from idiolect.methods.base import BASELINE, UNPERSONALIZED
from idiolect.methods.chosen_controls import ITEM_CROWD, NEAREST_TWIN
from idiolect.methods.controls import (
    CONSTANT,
    HISTORY_TWICE,
    NO_ADAPTER,
    OTHER_VECTORS,
    SHUFFLED_PEERS,
    WRONG_USER,
)
from idiolect.metrics.base import Mean
from idiolect.registry import suggest
from idiolect.types import ConditionId

Source = Literal["user", "twin", "item", "difference"]
Outcome = Literal["holds", "fails", "undecided", "no gain"]

HALF = 0.5
"""Share of a gain that a control must significantly retain for a claim to fail; a loss that is not significant is not
evidence of no loss."""


class _Words(NamedTuple):
    holds: str
    fails: str
    without: str


_WORDS: Mapping[Source, _Words] = {
    "user": _Words("personal", "not personal", "without the user"),
    "twin": _Words(
        "specific to the user", "not specific to the user", "with the history of the most similar other user"
    ),
    "item": _Words("not from the item", "from the item", "with what others wrote about the item"),
    "difference": _Words("from the difference", "not from the difference", "without the difference"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim that a method gains over a baseline because it knows the user, or how the user differs."""

    method: ConditionId
    baseline: ConditionId
    controls: tuple[ConditionId, ...]
    """Conditions that differ from the method only in lacking this; at least one."""
    source: Source = "user"
    """Where the gain comes from, according to the claim: the user, this user rather than similar ones (``twin``), the
    user rather than texts about the item (``item``), or the difference to peers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlResult:
    """The share of a gain that a control retains without the claimed source."""

    condition: ConditionId
    worse: Interval
    """Nats per review by which it is worse than the method."""
    retained: Interval
    """Retained share of the gain: 1 all, 0 none, negative: worse than the baseline. Not meaningful unless the gain is
    significant."""
    loses: bool
    """Significantly worse than the method."""
    as_good: bool
    """Not significantly worse than the method, and at least half of the gain is significantly retained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The test result of a claim."""

    claim: Claim
    outcome: Outcome
    gain: Interval
    """Nats per review by which the method is better than the baseline."""
    controls: tuple[ControlResult, ...]
    units: int
    """Number of users, or samples."""
    decidable: bool = True
    """Whether these are enough for any significant result."""

    @property
    def sentence(self) -> str:
        """The verdict as a sentence, with its figures."""
        words, method, baseline = _WORDS[self.claim.source], self.claim.method, self.claim.baseline
        if not self.decidable:
            return f"undecided: {self.units} users cannot tell; over {baseline}, {method} gains {_nats(self.gain)}"
        if self.outcome == "no gain":
            found = "worse than" if self.gain.high < 0 else "not clearly better than"
            return f"no gain: {method} is {found} {baseline}, by {_nats(self.gain)}"
        gain = f"{method} gains {_nats(self.gain)} over {baseline}"
        if self.outcome == "holds":
            return f"{words.holds}: {gain}; {_each(self.controls)}"
        if self.outcome == "fails":
            as_good = [one for one in self.controls if one.as_good]
            return f"{words.fails}: {gain} and is as good {words.without}; {_each(as_good)}"
        near = [one for one in self.controls if not one.loses]
        return f"undecided: {gain}, perhaps as much {words.without}; {_each(near)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a result file."""
        return {
            "method": asdict(self.claim.method),
            "baseline": asdict(self.claim.baseline),
            "source": self.claim.source,
            "outcome": self.outcome,
            "gain": self.gain._asdict(),
            "controls": [
                {**asdict(one.condition), "worse": one.worse._asdict(), "retained": one.retained._asdict()}
                for one in self.controls
            ],
            "sentence": self.sentence,
        }


def sentences(verdicts: Iterable[Verdict]) -> list[str]:
    """The verdicts in words, each once: without a gain it does not matter which source was withheld."""
    return list(dict.fromkeys(verdict.sentence for verdict in verdicts))


def judge(claim: Claim, nats: Mapping[ConditionId, np.ndarray], resamples: Resamples) -> Verdict:
    """Test a claim with paired intervals and tests.

    It ``holds`` if the method is significantly better than the baseline and than every control; all must be significant
    at once, so there is no correction for their number. It ``fails`` if some control is as good. Without a significant
    gain there is nothing to attribute. Significant means that the whole interval is above 0 and that the test of
    ``significance.compare`` agrees, because intervals of few users are too narrow; if no difference could pass the
    test, the claim is undecided.

    Args:
        claim: The claim.
        nats: Condition to float (n,): each reference's negative log-likelihood in nats, for the same samples.
        resamples: Resamples of these samples; by user, for a claim about users.

    Raises:
        ConfigError: A condition of the claim is not among ``nats``, or the claim names no control.
        InputError: A condition has another number of samples than the resamples.
    """
    if not claim.controls:
        raise ConfigError(f"the gain of {str(claim.method)!r} cannot be attributed", hint="name a control")
    for one in (claim.method, claim.baseline, *claim.controls):
        if one not in nats:
            raise ConfigError(f"there are no nats of {str(one)!r}", hint=suggest(str(one), map(str, nats)))
    baseline = nats[claim.baseline]
    gained = baseline - nats[claim.method]
    controls = tuple(_control(one, gained, baseline - nats[one], resamples) for one in claim.controls)
    gain, decidable = _mean(gained, resamples), resamples.min_p < SIGNIFICANT
    return Verdict(
        claim=claim,
        outcome=_outcome(_positive(gain), controls) if decidable else "undecided",
        gain=interval(gain),
        controls=controls,
        units=resamples.units,
        decidable=decidable,
    )


def _outcome(gains: bool, controls: Sequence[ControlResult]) -> Outcome:
    if not gains:
        return "no gain"
    if all(one.loses for one in controls):
        return "holds"
    return "fails" if any(one.as_good for one in controls) else "undecided"


def _control(condition: ConditionId, gained: np.ndarray, retained: np.ndarray, resamples: Resamples) -> ControlResult:
    """From the gains of method and control over the baseline, per sample."""
    worse = _mean(gained - retained, resamples)
    # Half of the gain as a difference, not a ratio: its interval is sound however small the gain.
    half = _mean(retained - HALF * gained, resamples)
    share = _share(_mean(retained, resamples), _mean(gained, resamples))
    loses = _positive(worse)
    as_good = not loses and _positive(half)
    return ControlResult(condition=condition, worse=interval(worse), retained=share, loses=loses, as_good=as_good)


def _positive(mean: Score) -> bool:
    """Significantly above 0, by interval and by a test against 0, which permutes signs."""
    found = compare(mean, _mean(np.zeros(len(mean.rows)), mean.resamples))
    return found.low > 0 and found.p < SIGNIFICANT


def _share(part: Bootstrapped, whole: Bootstrapped) -> Interval:
    """Part over whole; 0 if the whole is 0."""
    value, resampled = (
        np.divide(a, b, out=np.zeros_like(a), where=b != 0)
        for a, b in ((np.array(part.value), np.array(whole.value)), (part.resampled, whole.resampled))
    )
    return interval(Bootstrapped(float(value), resampled))


def _mean(values: np.ndarray, resamples: Resamples) -> Score:
    return resamples.score(Mean("nats", greater_is_better=True), values)


def _nats(of: Interval) -> str:
    return f"{of.value:.2f} nats [{of.low:.2f}, {of.high:.2f}]"


def _each(controls: Sequence[ControlResult]) -> str:
    return "; ".join(
        f"{one.condition} is {_nats(one.worse)} worse and keeps {max(one.retained.value, 0.0):.0%} of it"
        for one in controls
    )


_VECTORS = (OTHER_VECTORS, CONSTANT)
_DIFFERENCE = (SHUFFLED_PEERS, HISTORY_TWICE)


def settled_by(conditions: Collection[ConditionId]) -> tuple[Claim, ...]:
    """Every claim for which the conditions include a baseline and a control.

    - The gain comes from the *history*: over Non-Perso, against ``wrong user``, for every method.
    - The gain is *specific to the user*: over Non-Perso, against the nearest twin.
    - The gain does *not come from the item*: over Non-Perso, against what others wrote about it.
    - The gain comes from the *vectors*: over the same prompt without them, against another user's vectors and a trained
      constant. A wrong user is no control here, because it changes the text too.
    - The gain comes from the *difference*: over the same prompt, against adapters trained without it.

    Args:
        conditions: Methods and controls that were run.
    """
    methods = [one for one in conditions if one.control is None]
    found = [claim for method in methods for claim in _claims_of(method, conditions)]
    return tuple(claim for claim in found if claim.baseline in conditions and claim.controls)


def _claims_of(method: ConditionId, conditions: Collection[ConditionId]) -> tuple[Claim, ...]:
    def present(*controls: str) -> tuple[ConditionId, ...]:
        return tuple(one for control in controls if (one := replace(method, control=control)) in conditions)

    # Without its virtual tokens, a prompt with text is the baseline's prompt.
    bare = next(iter(present(NO_ADAPTER)), ConditionId(BASELINE))
    unknown = ConditionId(UNPERSONALIZED)
    return (
        Claim(method=method, baseline=unknown, controls=present(WRONG_USER)),
        Claim(method=method, baseline=unknown, controls=present(NEAREST_TWIN), source="twin"),
        Claim(method=method, baseline=unknown, controls=present(ITEM_CROWD), source="item"),
        Claim(method=method, baseline=bare, controls=present(*_VECTORS)),
        Claim(method=method, baseline=bare, controls=present(*_DIFFERENCE), source="difference"),
    )
