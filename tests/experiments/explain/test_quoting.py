"""Which sentences are evidence of a difference."""

from __future__ import annotations

import pytest

from idiolect.difference.stylometry import MEASURES
from idiolect.explain.card import Claim
from idiolect.explain.quoting import Sentences
from idiolect.types import ItemId, Review, ReviewId, UserId


def quotes(name: str, *texts: str, others: float = 0.0, peers: tuple[str, ...] = (), k: int = 9) -> list[str]:
    """What is quoted of texts for a user with more of a measure."""
    of = next(of for of in MEASURES if of.name == name)
    claim = Claim(
        measure=of, direction="more", own=others + 1, others=others, effect=1, low=0.5, high=1.5, support=9, n_items=9,
        p=0.01, own_showing=1, others_showing=1,
    )  # fmt: skip
    reviews = [
        Review(id=ReviewId(f"r{place}"), user=UserId("ann"), item=ItemId(f"i{place}"), text=text)
        for place, text in enumerate(texts)
    ]
    return [quote.text for quote in Sentences(reviews, peers).showing(claim, k)]


def test_modal_and_not_are_no_past():
    assert quotes("past_tense", "I wouldn't doubt it.", "They could not be better.") == []
    assert quotes("past_tense", "I wouldn't doubt it.", "They played until midnight.") == [
        "They played until midnight."
    ]
    assert quotes("past_tense", "She wouldn't sing, but he did.") == ["She wouldn't sing, but he did."]


def test_overall_within_a_sentence_is_no_summary():
    assert quotes("summing_up", "The overall sound is warm.") == []
    assert quotes("summing_up", "Overall it is warm.", "It is, overall, a warm record.") == [
        "Overall it is warm.", "It is, overall, a warm record."
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["As a result 'Come Get It!'", 'They played "What is it?"'])
def test_the_mark_of_a_title_ends_no_exclamation(text: str):
    assert quotes("exclamations", text) == quotes("questions", text) == []


def test_a_quotation_as_a_whole_may_exclaim():
    assert set(quotes("exclamations", "'Come and get it!'", "Get it now!")) == {"Get it now!", "'Come and get it!'"}


def test_a_cut_quotation_is_not_quoted():
    cut = 'Pepper"\'s and "Pet Sounds" of all rock albums!'
    assert quotes("exclamations", cut, '"Pet Sounds" is great!') == ['"Pet Sounds" is great!']


LONG = "Varied and cohesive arrangements distinguish successive recordings."
LISTENER = "Cohesive arrangements, successive recordings: they distinguish it."


def test_long_words_must_stand_in_another_text():
    assert quotes("word_length", LONG, others=4.0) == []
    assert quotes("word_length", LONG, others=4.0, peers=(LISTENER,)) == [LONG]


@pytest.mark.parametrize(
    "slip",
    [
        LONG.replace("recordings", "recordingsand"),
        LONG.replace("arrangements ", "arrangements."),
        LONG.replace("cohesive arrangements", "cohesiveArrangements"),
        LONG.replace("Varied", "VARIEDand"),
        LONG.replace("successive", "successive" * 3),
        "Recordings.",
    ],
)
def test_slips_and_single_words_show_no_long_words(slip: str):
    assert quotes("word_length", slip, others=4.0, peers=(LISTENER,)) == []


def test_names_may_be_new():
    named = LONG.replace("Varied", "Paul McCartney and Astor Piazzolla")
    assert quotes("word_length", named, others=4.0, peers=(LISTENER,)) == [named]


def test_a_missing_space_makes_no_long_sentence():
    glued = "It is good music.very relaxed and cool to chill and dance to with friends."
    assert quotes("sentence_length", glued, others=5.0) == []
    assert quotes("sentence_length", glued.replace(".very", ", very"), others=5.0) != []
