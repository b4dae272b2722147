"""A phrase and its figures never contradict each other: every measure, both directions, any values."""

from __future__ import annotations

import re
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from idiolect.difference.stylometry import MEASURES, Measure
from idiolect.explain.card import Claim, Direction, least
from idiolect.explain.wording import figures, phrase

SIDES = {
    "british_spelling": ("more British than American", "more American than British"),
    "tone": ("praise than of blame", "blame than of praise"),
    "verdict_first": ("open than close with a verdict", "close than open with a verdict"),
}
"""What values above and below 0 are called."""
ABSOLUTE = re.compile(r"\b(never|no|nobody|nothing|hardly|every|just|one|without|not|stays|avoids|positively)\b")


def claim(of: Measure, own: float, others: float) -> Claim:
    direction: Direction = "more" if own > others else "less"
    return Claim(
        measure=of, direction=direction, own=own, others=others, effect=own - others, low=0, high=0, support=9,
        n_items=12, p=0.001, own_showing=0.5, others_showing=0.5,
    )  # fmt: skip


def values(of: Measure) -> list[float]:
    """From the lowest to the highest, the ends of the scale, 0 and near ties among them."""
    if of.name == "verdict_first":
        return [-1.0, -0.302, -0.3, -0.01, 0.0, 0.01, 0.3, 0.302, 1.0]
    above = [least(of) + step for step in (0.0, 0.02, 0.0204, 0.5, 1.0, 1.03, 9.97, 10.0, 55.0, 99.94, 99.96, 550.0)]
    return [*(-value for value in reversed(above[1:])), *above] if of.name in SIDES else above


PAIRS = [(of, own, others) for of in MEASURES for own, others in permutations(values(of), 2)]


def printed(of: Measure, said: str) -> tuple[float, float]:
    """The two values that figures state, their sign from the side that is named."""
    said = said.replace("on the same 12 items", "").replace("of 100 texts", "").replace("per 100 words", "")
    if "times as often" in said:
        said = said.split("(")[1]
    own, others = re.split(r"\bothers\b", said, maxsplit=1)
    first, second = (0.0 if "not once" in part else number(part) for part in (own, others))
    if of.name not in SIDES:
        return first, second
    sides = [[k for k, side in enumerate(SIDES[of.name]) if side in part] for part in (own, others)]
    assert len(sides[0]) == 1
    signs = [1 - 2 * sides[0][0], 1 - 2 * (sides[1] or sides[0])[0]]
    return first * signs[0], second * signs[1]


def number(text: str) -> float:
    found = re.search(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text)
    assert found, text
    return float(found[0])


def check(of: Measure, own: float, others: float) -> None:
    """The phrase says no more than was measured, and the figures say the same as the phrase."""
    one = claim(of, own, others)
    stated, said = phrase(of, one.direction, own), figures(one)
    assert "-" not in said.replace("e-", ""), "a minus beside a phrase says its opposite"
    first, second = printed(of, said)
    assert first > second if one.direction == "more" else first < second
    if "times as often" in said:
        assert number(said) > 1
    if own < others and own > least(of):
        assert "less often" in stated or not ABSOLUTE.search(stated)
    if of.name in SIDES:
        assert stated != of.more or own > 0
        assert stated != of.less or own < 0


def test_figures_say_the_same_as_their_phrase_for_every_measure_and_both_signs():
    for of, own, others in PAIRS:
        check(of, own, others)


@given(st.sampled_from(MEASURES), st.data())
def test_the_same_for_any_values(of: Measure, data: st.DataObject):
    known = values(of)
    one = st.floats(known[0], known[-1]).map(lambda value: round(value, 3))
    own, others = data.draw(st.tuples(one, one).filter(lambda pair: pair[0] != pair[1]))
    check(of, own, others)


def test_both_ends_of_spelling_are_named():
    spelling = next(of for of in MEASURES if of.name == "british_spelling")
    assert phrase(spelling, "more", 0.4) == "spells the British way"
    assert phrase(spelling, "more", -0.05) == "less often spells the American way"
    assert phrase(spelling, "less", -0.4) == "spells the American way"
    assert phrase(spelling, "less", 0.05) == "less often spells the British way"
    same_side = figures(claim(spelling, -0.05, -0.2))
    assert same_side == "0.05 more American than British spellings per 100 words, others 0.2, on the same 12 items"
    assert "others 0.2 more American than British" in figures(claim(spelling, 0.4, -0.2))


def test_values_that_look_equal_get_more_digits():
    length = next(of for of in MEASURES if of.name == "word_length")
    assert "4.52 (letters per word), others 4.48" in figures(claim(length, 4.52, 4.48))
    marks = next(of for of in MEASURES if of.name == "exclamations")
    assert figures(claim(marks, 10.3, 10.0)).startswith("1.03 times as often")


def test_no_ratio_without_others():
    marks = next(of for of in MEASURES if of.name == "exclamations")
    assert figures(claim(marks, 3.0, 0.0)).endswith("others not once")
    assert figures(claim(marks, 0.0, 3.0)).startswith("exclamations not once")
