"""Prose of a text: hard-wrapped lines, quoted lines, signatures, pasted lines, titles in quotation marks."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.difference.stylometry import NAMES, measure
from idiolect.difference.stylometry.prose import prose, recurring_lines, without_lines

STORY = (
    "This is a longer story about a band that I have listened to for many years, and it is hard to say what I like "
    "about it the most, because every record of theirs differs from the one before it. The end came early! Did anyone "
    "notice the second guitar, which plays along so softly that nobody hears it at first? I did."
)


def values(text, *names):
    row = measure([text])[0]
    return [float(row[NAMES.index(name)]) for name in names]


@pytest.mark.parametrize("width", [60, 72, 78])
def test_a_hard_wrapped_text_measures_as_the_same_text_on_one_line(width):
    assert (measure([textwrap.fill(STORY, width)]) == measure([STORY])).all()


def test_paragraphs_and_lists_of_a_wrapped_text_stay():
    wrapped = "\n\n".join([textwrap.fill(STORY, 70), "- a first point\n- a second point", textwrap.fill(STORY, 70)])
    assert prose(wrapped) == "\n\n".join([STORY, "- a first point\n- a second point", STORY])


@pytest.mark.parametrize(
    "text",
    [
        "One thought per line\nwithout any marks\nas some people write\nall their lives",
        "A first paragraph that is rather long and ends as sentences end.\nA second paragraph, as long as the first.",
    ],
)
def test_line_breaks_that_their_writer_meant_stay(text):
    assert prose(text) == text


def test_quoted_lines_and_signatures_are_not_the_users():
    mail = (
        "On Monday, Bob <bob@example.org> wrote:\n> Who is it?\n> Tell me!\n\nIt was me.\n-- \nAnn\nhttp://example.org"
    )
    assert prose(mail).strip() == "It was me."
    assert values(mail, "questions", "exclamations", "length") == [0, 0, 3]
    assert prose("> only what others said") == "> only what others said"


def test_lines_that_a_user_pastes_into_every_text_are_found():
    texts = [f"Text {n} says its own.\nAll opinions are my own and not my employer's.\nBye" for n in range(6)]
    pasted = recurring_lines(texts)
    assert pasted == {"All opinions are my own and not my employer's."}
    assert without_lines(texts[0], pasted) == "Text 0 says its own.\nBye"
    assert recurring_lines(texts[:2]) == frozenset()
    assert without_lines("a\nb", frozenset("ab")) == "a\nb"


def test_titles_in_quotation_marks_are_no_quotations():
    titles = 'Both "Dark Side of the Moon" and "Wish You Were Here" are fine records to own.'
    said = 'He said "this is the best record of all" and went away.'
    assert values(titles, "quotations") == [0]
    assert values(said, "quotations")[0] > 0


def test_a_sentences_subject_is_no_order():
    assert values("Taste is initially very tart. Taste of malt.", "imperatives") == [0]
    assert values("Taste the malt. Think of it.", "imperatives") == [100]


def test_a_sentence_goes_on_after_dots_and_abbreviations():
    assert values("It was cool... the trade-off is fine. Play Sgt. Pepper.", "lowercase_starts", "sentence_length") == [
        0,
        5,
    ]


@given(st.text(alphabet="ab. >-\n", max_size=300))
def test_prose_adds_nothing_and_is_stable(text):
    found = prose(text)
    assert set(found.split()) <= set(text.split())
    assert bool(found.strip()) == bool(text.strip())
