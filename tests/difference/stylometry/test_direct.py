"""A few short texts are measured without polars; the numbers are the same to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.difference.stylometry import direct, lexicons, measures
from idiolect.difference.stylometry.encoder import StyleEncoder

KNOWN = [chr(code) for code in range(0x20000) if direct.KNOWN.fullmatch(chr(code))]
"""Every character of the texts that are measured without polars."""
_SCRAPS = [
    "Dr. Smith", "e.g. this", "is it not good?", "never very bad", "n't", "don't", "it's", "THE BEST EVER", "...", "!!",
    "?!", "(an aside)", " -- ", '"quoted words"', " 'so it is' ", "\n", "\n\n", "\r\n", "<br />", "<BR>", "&quot;",
    "&amp;quot;", "&#39;", "- a point\n", "1) first\n", "Pros:\n", "Verdict: fine. ", "end.Start", "1,234.5", " \t",
    "Go and buy it!", "please try", "In short, I love it.", "I was given it for free", "résumé",
    "> quoted\n", "Ann wrote:\n> so\n", "\n-- \nAnn", "and so ... it goes", '"The Big Sleep"', "Taste is bitter.",
    "taste of tea", "\x01", f"{'A line that is full, ' * 3}and\n", "\x1c", "\x0b", "¡", "’",
]  # fmt: skip
_WORDS = sorted({word for name in dir(lexicons) if name.isupper() for word in getattr(lexicons, name)})
_SHAPES = ("{0}", "a{0}b {0}Cde. {0}f\n{0}", "word {0}– I{0}{0} am")
_text = st.lists(
    st.sampled_from(_SCRAPS) | st.sampled_from([" ", ". ", ", ", " a ", "! "]) | st.sampled_from(_WORDS)
    | st.text(st.sampled_from(KNOWN), max_size=6),
    max_size=40,
).map("".join)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(_text, min_size=1, max_size=direct.TEXTS))
def test_the_same_numbers_as_by_polars(texts):
    few = [text[: direct.CHARACTERS // len(texts)] for text in texts]
    if direct.takes(few):
        np.testing.assert_array_equal(measures.measure(few), measures._in_polars(few))


def test_a_measure_does_not_depend_on_the_other_texts_by_polars_either():
    texts = [
        "Dr. SmithDr. SmithDr. Smith",
        "Dr. SmithDr. Smithe.g. this",
        *(f"Go on. {'a ' * n}. So." for n in range(9)),
    ]
    together = measures._in_polars(texts)
    np.testing.assert_array_equal(np.concatenate([measures._in_polars([text]) for text in texts]), together)


def test_every_known_character_is_of_the_same_classes():
    texts = [
        shape.format(sign) for sign in KNOWN for shape in ("{0}", "a{0}b {0}Cde. {0}f\n{0}", "word {0}– I{0}{0} am")
    ]
    counts, found = measures.count(texts), [direct.count(text) for text in texts]
    assert set(counts.columns) == found[0].keys()
    for name in counts.columns:
        assert [one[name] for one in found] == counts[name].to_list(), name


@pytest.mark.parametrize(
    "text", ["naïve ſ", "\u212a", "ﬁne", "½", "a\xa0b", "a\x85b", "中文", "İ", "a\u200db", "\ud800"]
)
def test_texts_of_other_characters_are_left_to_polars(text):
    assert not direct.takes([text])


def test_long_texts_and_many_are_left_to_polars():
    assert direct.takes(["a"] * direct.TEXTS)
    assert not direct.takes(["a"] * (direct.TEXTS + 1))
    assert not direct.takes(["a" * (direct.CHARACTERS + 1)])
    assert not direct.takes(["Stop" + "!" * 100])


def test_a_vector_does_not_depend_on_the_texts_next_to_it():
    texts = [f"I love it! It is the {n}th one, really. You should try it." for n in range(direct.TEXTS + 5)]
    together = StyleEncoder().encode(texts)
    np.testing.assert_array_equal(np.concatenate([StyleEncoder().encode([text]) for text in texts]), together)
