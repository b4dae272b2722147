"""What a study of real reviews shows, in sentences: whether past reviews and vectors help, and whether it is personal.

The rules are those of the protocol (``docs/real.md``): a gain counts if its interval lies above zero, and it is
personal as far as neither a trained constant nor another user's vectors or history have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from idiolect.evaluation.cache_model import CacheGains
from idiolect.evaluation.report import Cell
from idiolect.evaluation.result import Evaluation
from idiolect.evaluation.significance import Interval
from idiolect.experiments.real.summary import PASSES, HistoryGain, Summary, VectorGain
from idiolect.methods.base import ADAPTER_METHOD, BASELINE, UNPERSONALIZED, requirements
from idiolect.types import ConditionId

LEAST_GAIN = 0.5
"""Nats per review by which the method with an adapter must be ahead of the baseline for a win."""
_HALF = 0.5
"""Share of a gain that a control must lose for a win, and must lose less of if it is to be as good."""
_TEXT_MEASURE = "meteor"


def conclusions(summary: Summary, evaluations: Mapping[str, Evaluation]) -> list[str]:
    """What the study shows, as Markdown, a sentence or two per question; empty without likelihoods.

    Args:
        summary: Of all seeds.
        evaluations: Of the first seed, by pass; they have the measures of the texts.
    """
    lines: list[str] = []
    shown = summary.choice.shown
    if history := summary.history_gain():
        lines.append(of_history(history, shown))
    vectors = {name: summary.vector_gain(name) for name in PASSES}
    lines += [of_vectors(name, found, shown) for name, found in vectors.items() if found]
    if beside := vectors[PASSES[1]]:
        lines.append(of_criterion(beside, _text_measure(evaluations[PASSES[1]])))
    return lines


def of_history(found: HistoryGain, shown: int) -> str:
    """Whether past reviews as text help."""
    gain, others = found
    rag, plain = requirements(BASELINE).title, requirements(UNPERSONALIZED).title
    reviews = f"{shown} review" + ("" if shown == 1 else "s")
    figures = f"{rag} with {reviews} {_gains(gain)} over {plain}; with another user's it is {_worse(others)}."
    if gain.high < 0:
        head = "Past reviews as text do harm"
    elif gain.low <= 0:
        head = "Past reviews as text do not help measurably"
    elif others.low > 0:
        head = "Past reviews as text help, and the help is personal"
    else:
        head = "Past reviews as text help, but nothing shows that this is personal"
    return f"**{head}.** {figures}"


def of_vectors(name: str, found: VectorGain, shown: int) -> str:
    """Whether vectors help in a pass.

    Args:
        name: Of the pass.
        found: What they gain there.
        shown: Past reviews whose text stands beside them in the pass with text.
    """
    gain, dep = found.gain, requirements(ADAPTER_METHOD).title
    over = requirements(UNPERSONALIZED).title
    if name == PASSES[1]:
        over = f"{requirements(BASELINE).title} with the same {'review' if shown == 1 else f'{shown} reviews'}"
    figures = f"{dep} {name} {_gains(gain)} over {over}."
    what = "Vectors alone" if name == PASSES[0] else "Vectors beside text"
    if gain.high < 0:
        return f"**{what} do harm.** {figures}"
    if gain.low <= 0:
        return f"**{what} do not help measurably.** {figures}"
    controls = f"{_of_constant(found)} {_of_others(found)}"
    if found.constant.low > 0 and found.others.low > 0:
        return f"**{what} help, and the gain is personal.** {figures} {controls}"
    if any(_is_as_good(one, gain) for one in (found.constant, found.others)):
        return f"**{what} help, but not because they are the user's.** {figures} {controls}"
    return f"**{what} help; whether that is personal is open.** {figures} {controls}"


def _of_constant(found: VectorGain) -> str:
    gain, lost = found.gain, found.constant
    start = "A trained constant in place of the soft prompts is"
    if lost.low > 0:
        kept = max(0.0, 1 - lost.value / gain.value)
        return f"{start} {_worse(lost)}, so it has {kept:.0%} of the gain."
    if lost.high < 0:
        return f"{start} even {_worse(lost)}."
    return f"{start} {'as good: ' if _is_as_good(lost, gain) else ''}{_worse(lost)}."


def _of_others(found: VectorGain) -> str:
    if found.others.low > 0:
        return f"Another user's vectors are {_worse(found.others)}, so the model does read them."
    return f"Another user's vectors are {_worse(found.others)}."


def _is_as_good(lost: Interval, gain: Interval) -> bool:
    """Not measurably worse, and by less than half of the gain: a wide interval is no evidence of no loss."""
    return lost.low <= 0 and lost.high < _HALF * gain.value


def of_criterion(found: VectorGain, measured: Cell | None) -> str:
    """Whether the method with an adapter is ahead of the baseline as the protocol asks.

    Args:
        found: What vectors gain beside text.
        measured: METEOR of the texts of the first seed, against the baseline; None: not measured.
    """
    dep, rag = requirements(ADAPTER_METHOD).title, requirements(BASELINE).title
    asked = (
        f"{dep} {PASSES[1]} at least {LEAST_GAIN} nats ahead of {rag} with the interval above zero, both controls "
        "worse by at least half of that, and METEOR not worse"
    )
    missing = list(_missing(found, measured))
    if missing:
        return f"**The criterion for a win is not met** ({asked}): {'; '.join(missing)}."
    note = "" if measured else " METEOR was not measured."
    return f"**The criterion for a win is met**: {asked}.{note}"


def _missing(found: VectorGain, measured: Cell | None) -> Iterator[str]:
    gain = found.gain
    if gain.value < LEAST_GAIN or gain.low <= 0:
        yield f"it is ahead by {_interval(gain)}"
        return
    for name, lost in (("a trained constant", found.constant), ("another user's vectors", found.others)):
        if lost.value < _HALF * gain.value:
            yield f"with {name} it loses {_interval(lost)} of {gain.value:.2f}"
    if measured and measured.versus and measured.versus.high < 0:
        versus = measured.versus
        yield f"METEOR is lower, by {-versus.difference:.3f} [{-versus.high:.3f}, {-versus.low:.3f}]"


def _text_measure(evaluation: Evaluation) -> Cell | None:
    table = evaluation.methods
    names = [column.name for column in table.columns]
    if _TEXT_MEASURE not in names:
        return None
    place = names.index(_TEXT_MEASURE)
    return next((row.cells[place] for row in table.rows if row.condition == ConditionId(ADAPTER_METHOD)), None)


def _gains(gain: Interval) -> str:
    if gain.value < 0:
        return f"loses {-gain.value:.2f} nats per review [{-gain.high:.2f}, {-gain.low:.2f}]"
    return f"gains {gain.value:.2f} nats per review [{gain.low:.2f}, {gain.high:.2f}]"


def _worse(lost: Interval, unit: str = "") -> str:
    """How much worse, or better, with its interval."""
    if lost.value < 0:
        return f"{-lost.value:.2f}{unit} better [{-lost.high:.2f}, {-lost.low:.2f}]"
    return f"{lost.value:.2f}{unit} worse [{lost.low:.2f}, {lost.high:.2f}]"


def _interval(of: Interval) -> str:
    return f"{of.value:.2f} [{of.low:.2f}, {of.high:.2f}]"


def weakness(history: HistoryGain | None, words: CacheGains, shown: int) -> str:
    """A warning if another user's history does not hurt RAG: the likelihoods then cannot tell persons apart.

    Args:
        history: What past reviews as text gain; None if there are no likelihoods.
        words: Whether the past reviews that prompts show have anything personal, in the choice of words.
        shown: Their number.

    Returns:
        Empty if it hurts significantly, or if there are no likelihoods.
    """
    if history is None or history.others.low > 0:
        return ""
    cost = history.others
    in_words = words.cost()
    stranger = "the words of another user's newest review" + (f"s ({shown})" if shown > 1 else "")
    worse = f"with {stranger} is {in_words.value:.2f} nats worse [{in_words.low:.2f}, {in_words.high:.2f}]"
    if in_words.low > max(0.0, cost.high):
        reason = (
            "The backbone is too weak to tell persons apart on this corpus.",
            f"Word counts do: a bigram model {worse}. More text (pretrain_tokens), or a larger or pretrained model "
            "would help.",
        )
    else:
        reason = (
            "Likelihoods can hardly tell persons apart on this corpus.",
            f"A bigram model {worse}: there may be little that is personal in these texts, or too few of them.",
        )
    chance = ", which may be chance" if cost.high > 0 else ", so it is better with it"
    return (
        f"{reason[0]} With another user's history RAG is {_worse(cost, ' nats per review')}{chance}. So a likelihood "
        f"on this page cannot show that a gain is personal, nor that it is not. {reason[1]}"
    )
