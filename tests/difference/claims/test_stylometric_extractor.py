from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.difference.claims.feature import Comparison
from idiolect.difference.claims.stylometric import POOLED, MeasuredTexts, Norms, extract_measured
from idiolect.difference.claims.validate import validate
from idiolect.difference.stylometry import MEASURES
from idiolect.errors import InputError

LOUD = [
    "It works! I love it! Get one!",
    "What a find! I am so glad! Is it not grand?",
    "Wow! Really great! I adore it!",
]
CALM = [
    "It works. The lid is tight.",
    "A fair price for a plain box.",
    "It came on time. It is grey.",
    "The box is of wood.",
    "It is as described.",
]


def comparisons(own=LOUD, peers=CALM):
    return [Comparison(id=f"r{k}", target=text, peers=tuple(peers)) for k, text in enumerate(own)]


def extract(found, **options):
    texts = MeasuredTexts(text for one in found for text in (one.target, *one.peers))
    return extract_measured(found, texts, **options)


def test_what_is_sure_is_found_in_each_comparison_and_over_all():
    found = extract(comparisons())
    exclaims = [one for one in found if one.name == "exclamations"]
    assert [one.comparison for one in exclaims] == ["r0", "r1", "r2", POOLED]
    for one in exclaims:
        assert (one.attribute, one.direction, one.category) == ("writing/exclamations", "more", "Writing")
        assert one.description == "Compared with others, this user ends sentences with exclamation marks."
        assert one.status == "kept"
        assert one.measured is not None
        assert one.measured.low > 0
    assert "SD over 3 items" in exclaims[-1].detail


def test_users_who_write_alike_are_not_told_apart():
    assert extract(comparisons(own=CALM[:1] * 4, peers=CALM[:1] * 5)) == []


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_every_attribute_has_one_direction_in_a_comparison_and_is_measured_on_that_side(data):
    own = data.draw(st.lists(st.sampled_from([*LOUD, *CALM, "", "ok"]), min_size=1, max_size=4))
    peers = data.draw(st.lists(st.sampled_from([*CALM, *LOUD]), max_size=6))
    found = extract(comparisons(own, peers))
    for comparison in {one.comparison for one in found}:
        attributes = [one.attribute for one in found if one.comparison == comparison and one.attribute]
        assert len(attributes) == len(set(attributes))
    for one in found:
        assert one.measured is not None
        assert one.measured.low * one.measured.high > 0
        if one.key:
            assert one.key.sign * one.measured.difference > 0


def test_what_few_do_at_all_is_not_missed_in_one_who_does_not_happen_to_do_it():
    peers = [["It is here. It is grey.", "So it is! It is grey."], *[["It is here. It is grey."] * 6] * 7]
    found = extract([Comparison(id=f"r{k}", target="It is here.", peers=tuple(of)) for k, of in enumerate(peers)])
    assert "exclamations" not in {one.name for one in found}


def test_hardly_anybody_is_told_apart_where_all_write_alike():
    rng = np.random.default_rng(0)
    words = [
        "It is grey.",
        "I love it!",
        "Is it?",
        "Perhaps it fits.",
        "We had two of it.",
        "It's fine, really.",
        "Get one.",
    ]

    def text():
        return " ".join(rng.choice(words, size=4))

    told = [
        extract([Comparison(id=f"r{k}", target=text(), peers=tuple(text() for _ in range(8))) for k in range(8)])
        for _ in range(30)
    ]
    assert sum(map(bool, told)) <= 9


def test_pooled_differences_come_strongest_first():
    strength = [abs(float(one.detail.split()[0])) for one in extract(comparisons()) if one.comparison == POOLED]
    assert strength == sorted(strength, reverse=True)


def test_one_text_among_a_few_tells_nothing_and_none_tell_nothing():
    assert extract(comparisons(LOUD[:1])) == []
    assert extract([]) == []
    assert extract(comparisons(peers=[])) == []


def test_categories_can_be_chosen():
    assert {one.category for one in extract(comparisons(), categories=("Emotion",))} == {"Emotion"}


def test_returning_to_words_is_no_poor_vocabulary_and_few_words_say_little():
    attributes = {measure.name: measure.attribute for measure in MEASURES}
    assert attributes["repetition"] == "writing/vocabulary", "whose sign would be wrong"
    long = ["word " * 80 + "and there again the same word " * 9] * 3
    found = {one.name: one for one in extract(comparisons(long)) if one.comparison == POOLED}
    assert found["length"].key is not None
    assert (found["length"].attribute, found["length"].direction) == ("semantics/info-density", "higher")
    assert found["repetition"].attribute is None


def test_the_checks_agree_with_what_was_measured():
    (one, *_) = comparisons()
    found = [feature for feature in extract(comparisons()) if feature.key and feature.comparison == one.id]
    assert found
    checked = validate(found, one, measured=[f.measured for f in found if f.measured])
    dropped = {f.name: f.reason for f in checked if f.status == "dropped"}
    assert dropped == {}


def test_a_history_is_compared_with_the_norm():
    norms = Norms([*CALM * 3, *LOUD, *(f"{text} I say." for text in CALM), *(f"{text} So be it." for text in CALM)])
    names = {one.name: one for one in norms.differences([f"{text} Ah! Oh! So good!" for text in LOUD])}
    assert names["exclamations"].direction == "more"
    assert {one.comparison for one in names.values()} == {POOLED}
    assert norms.differences(LOUD[:1]) == []
    assert norms.differences([]) == []
    with pytest.raises(InputError, match="1 texts say nothing"):
        Norms(["a", "a"])
