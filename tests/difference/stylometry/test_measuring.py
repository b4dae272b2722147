from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.difference.stylometry import MEASURES, N_MEASURES, NAMES, measure
from idiolect.errors import InputError

PLAIN = "The band plays here. It has a piano."

KNOWN = [
    ("sentence_length", "One two three. One two three four five.", 4),
    ("sentence_length", "Mr. Smith met Dr. Jones at noon.", 7),
    ("sentence_length", "It ended.Nobody cared.", 2),
    ("sentence_length", "Heading:\n- a point of the list\nThree words here.", 3),
    ("sentence_variety", "One two three. One two three four five.", 1),
    ("joints", "It rose, fell, and rose again, which helped.", 4),
    ("word_length", "abc abcde", 4),
    ("word_variety", "la la la la", 0.5),
    ("repetition", "piano piano violin violin", 50),
    ("exclamations", "What a night! It went on. And on!", 200 / 3),
    ("questions", 'Why? "Why not?" Because.', 200 / 3),
    ("contractions", "It's what they don’t say.", 40),
    ("capitals", "This was GREAT fun", 25),
    ("stacked_marks", "No!! Way", 50),
    ("ellipses", "So... well", 50),
    ("lowercase_starts", "it was fine. It was.", 50),
    ("british_spelling", "The colour is favoured", 50),
    ("british_spelling", "The color is favored", -50),
    ("asides", "It plays (so they say) well", 100 / 6),
    ("asides", "- one\n- two", 0),
    ("tone", "good good bad piano", 25),
    ("tone", "not good at all", -25),
    ("judging_words", "good good bad piano", 75),
    ("length", "one two three", 3),
    ("information", "the piano of oak", 50),
    ("numbers", "It took 90 minutes and seven days", 200 / 7),
    ("names", "We met Ada Varga in Lisbon", 200 / 6),
    ("paragraphs", "One.\n\nTwo.\n \nThree.\nStill three.", 3),
    ("paragraphs", "One.<br /><br />Two.", 2),
    ("list_lines", "- one\n* two\n3. three\nnot - four", 3),
    ("headings", "The good:\n- piano\nThe bad:\n- violin", 2),
    ("labels", "Sound: clear and full. It plays on.", 50),
    ("verdict_first", "A wonderful record. It was made in Rome.", 1),
    ("verdict_first", "It was made in Rome. A wonderful record.", -1),
    ("sign_offs", "It came on a Monday. It was red and large. Thanks for reading.", 100),
    ("sign_offs", "It came on a Monday. It was red and large.", 0),
    ("sign_offs", "It came on a rainy Monday in May. It was red and large. More next week.", 100),
    ("sign_offs", "It came on a rainy Monday in May. It was red and large. Just great.", 0),
    ("sign_offs", "It came. It was red. It is large.", 0),
    ("quotations", 'He called it "a fine old mess" twice', 12.5),
    ("quotations", "It's the band's best", 0),
    ("reader_address", "You get what you pay for", 200 / 6),
    ("first_person", "I gave my word", 50),
    ("imperatives", "Buy it. And don't wait. It buys time.", 200 / 3),
]

SHOWING = [
    ("casual_words", "Yeah, the guys gotta dig it."),
    ("intensifiers", "It is really very loud."),
    ("superlatives", "It is the best of all time."),
    ("own_feelings", "I loved it and it made me sing."),
    ("hedges", "Perhaps it is sort of loud, I think."),
    ("courtesies", "Thanks, and sorry for the noise."),
    ("negations", "It is not loud and never was, isn't it."),
    ("causes", "It is loud because of the hall, therefore tiring."),
    ("comparisons", "It is louder than the other, unlike most."),
    ("contrasts", "It is loud, but clear, although thin."),
    ("story_words", "Yesterday I went there on a Monday evening."),
    ("past_tense", "It was loud and we walked home."),
    ("depth_words", "At heart it is a meditation on grief."),
    ("analysis_words", "The structure suggests an approach."),
    ("summing_up", "All in all, in short, it is loud."),
    ("signposts", "First the hall, then the band, finally the lights."),
    ("examples", "For example, the hall."),
    ("disclosures", "I received a free copy from a friend of mine."),
    ("recommendations", "I highly recommend it, a must have."),
    ("latinate_words", "A conspicuous accomplishment of considerable sophistication."),
]


@pytest.fixture(scope="module")
def value() -> Callable[[str, str], float]:
    """The value of a measure for a text that stands in this file; all are measured at once."""
    texts = [PLAIN, *(text for _, text, _ in KNOWN), *(sentence for _, sentence in SHOWING)]
    rows = dict(zip(texts, measure(texts), strict=True))
    return lambda name, text: float(rows[text][NAMES.index(name)])


def test_there_are_at_least_thirty_measures_over_the_five_categories() -> None:
    assert N_MEASURES >= 30
    assert len(set(NAMES)) == N_MEASURES
    assert {of.category for of in MEASURES} == {"Writing", "Emotion", "Semantics", "Structure", "Pragmatics"}


def test_every_attribute_stands_in_the_category_of_its_measure() -> None:
    assert all(of.attribute is None or of.attribute.startswith(f"{of.category.lower()}/") for of in MEASURES)


@pytest.mark.parametrize("text", ["", "   ", "\n\n", "!!!", "...?!", "-", "“”"])
def test_a_text_without_words_is_zero_everywhere(text: str) -> None:
    assert not measure([text]).any()


def test_one_word_has_its_length_and_no_more() -> None:
    found = dict(zip(NAMES, measure(["Piano"])[0], strict=True))
    assert {name: v for name, v in found.items() if v} == {
        "sentence_length": 1,
        "word_length": 5,
        "word_variety": 1,
        "length": 1,
        "information": 100,
        "paragraphs": 1,
    }


def test_no_texts_give_no_rows() -> None:
    assert measure([]).shape == (0, N_MEASURES)


def test_a_single_text_is_refused() -> None:
    with pytest.raises(InputError, match="list of texts"):
        measure("Piano")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=80), min_size=1, max_size=4))
def test_values_are_finite_and_depend_on_their_own_text_alone(texts: list[str]) -> None:
    together = measure(texts)
    assert np.isfinite(together).all()
    np.testing.assert_array_equal(together, np.concatenate([measure([text]) for text in texts]))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.sampled_from(["Very good! ", "Is it? ", "I think so. ", "- a point\n", "\n\n", "(aside) "]), max_size=9)
)
def test_shares_of_sentences_and_words_stay_within_bounds(parts: list[str]) -> None:
    row = measure(["".join(parts)])[0]
    shares = [v for of, v in zip(MEASURES, row, strict=True) if of.unit.startswith("%")]
    assert all(0 <= v <= 100 for v in shares)


@pytest.mark.parametrize(("name", "text", "expected"), KNOWN)
def test_known_texts_have_known_values(
    name: str, text: str, expected: float, value: Callable[[str, str], float]
) -> None:
    assert value(name, text) == pytest.approx(expected)


@pytest.mark.parametrize(("name", "sentence"), SHOWING)
def test_a_sentence_that_shows_a_trait_stands_above_a_plain_one(
    name: str, sentence: str, value: Callable[[str, str], float]
) -> None:
    assert value(name, sentence) > value(name, PLAIN)
