"""What a user repeats from text to text is counted, and what everybody writes is not reported."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.explain.recurring import LEAST_SHARE, LONGEST, recurring_phrases
from idiolect.explain.run import explain
from idiolect.peers import InMemoryReviews
from idiolect.types import Item, Review

BODIES = ("It pours dark and smells of bread.", "A tune of some charm, played well.", "Slow, long and dull in parts.",
          "The plot holds until the ferry.", "Nobody told me about the smell.")  # fmt: skip
PASTED = "Disclosure: the publisher sent me a copy for an honest review."


def found(own, others=()):
    return {(one.place, one.text): one for one in recurring_phrases(own, others)}


@pytest.mark.parametrize("parting", ["Cheers, Ann!", "And that, as they say, is that.", "Ta-ta"])
@pytest.mark.parametrize("by", [" ", "\n", "\n\n"])
def test_a_parting_is_found_however_it_is_set(parting, by):
    one = found([f"{body}{by}{parting}" for body in BODIES], BODIES)["ends", parting]
    assert (one.sentence, one.n, one.of, one.others) == ("ends every review with", 5, 5, 0)
    assert one.figures == "5 of 5 reviews; 0 of 5 by others on the same items"


def test_how_often_is_said_as_it_is():
    signed = [f"{body} Cheers!" for body in BODIES]
    assert found([*signed[:3], *BODIES[3:]])["ends", "Cheers!"].sentence == "ends most reviews with"
    assert found([*signed[:3], *BODIES * 1])["ends", "Cheers!"].sentence == "ends some reviews with"
    assert found([*signed[:2], *BODIES[2:]]) == {}
    assert found([*signed[:3], *BODIES * 3]) == {}


def test_spelling_does_not_count_and_what_is_shown_is_what_is_written_most():
    one = found(["It is fine. cheers ann", "It is bad. Cheers, Ann!", "It is odd. Cheers, Ann!"])[
        "ends", "Cheers, Ann!"
    ]
    assert one.n == 3


def test_a_pasted_line_and_a_beginning():
    own = [f"Short version: fine. {body}\n{PASTED}\nThen the end of number {n}." for n, body in enumerate(BODIES)]
    phrases = found(own)
    assert phrases["pastes", PASTED].sentence == "has in every review the line"
    assert phrases["begins", "Short version: fine."].n == 5
    assert len(phrases) <= 3


def test_what_others_write_too_is_not_the_users():
    own = [f"{body} Recommended." for body in BODIES]
    assert found(own, [f"{body} Recommended." for body in BODIES]) == {}
    assert found(own, [*BODIES * 4, "Nice. Recommended."])["ends", "Recommended."].others == 1


def test_a_text_of_one_sentence_has_no_end():
    assert found(["Very good."] * 5) == {}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=80), max_size=8), st.lists(st.text(max_size=80), max_size=8))
def test_counts_are_counts_of_any_texts(own, others):
    phrases = recurring_phrases(own, others)
    assert len(phrases) <= 3
    for one in phrases:
        assert max(3, LEAST_SHARE * len(own)) <= one.n <= one.of == len(own)
        assert 0 <= one.others <= one.of_others == len(others)
        assert 0 < len(one.text) <= LONGEST


def test_the_card_says_it_apart_from_claims_and_a_pasted_line_is_no_style():
    items = [Item(id=f"i{n}") for n in range(5)]
    reviews = [
        Review(id=f"a{n}", user="ann", item=f"i{n}", text=f"{body}\nOn *it*, Ann.") for n, body in enumerate(BODIES)
    ]
    reviews += [Review(id=f"b{n}", user="bob", item=f"i{n}", text=f"{body} Good.") for n, body in enumerate(BODIES)]
    card = explain(InMemoryReviews(items, reviews, {}, encoder="none"), "ann")
    assert card.abstains
    assert "This user ends every review with “On *it*, Ann.” (5 of 5 reviews; 0 of 5 by others" in card.text
    assert r"“On \*it\*, Ann.”" in card._repr_markdown_()
    assert card.record()["recurring"][0]["place"] == "ends"
