from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.encoders import HashEncoder, _features
from idiolect.encoders import load_hash as load
from idiolect.errors import ConfigError

KNOWN = [0.0, 0.7844645, -0.1961161, 0.0, 0.3922323, 0.3922323, -0.1961161, 0.0]
"""Stored vectors are keyed by the encoder's name: should these numbers ever change, so must the version in the name."""


def test_vectors_are_the_same_in_every_process_and_version():
    vector = HashEncoder(8).encode(["Too sweet for me."])[0]
    np.testing.assert_allclose(vector, KNOWN, atol=1e-6)


@given(text=st.text(max_size=50), dim=st.integers(2, 300))
def test_every_text_has_length_one(text, dim):
    np.testing.assert_allclose(np.linalg.norm(HashEncoder(dim).encode([text])), 1, atol=1e-5)


def test_case_does_not_matter_and_words_do():
    vectors = HashEncoder().encode(["Good Tea", "good tea", "bad tea"])
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert not np.allclose(vectors[0], vectors[2])


HABITS = ("说实话", "总的来说", "我觉得", "老实讲", "不得不说", "坦白说")
CHARACTERS = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜金生丽水玉出昆冈"


def clauses(user, rng):
    """A user's text: a clause with the user's habit within other characters, without a blank."""
    rest = "".join(rng.choice(list(CHARACTERS), 12))
    return f"{rest[:4]}{HABITS[user]}{rest[4:]}。"


def test_texts_without_blanks_between_words_are_alike_if_they_share_phrases():
    rng, encoder = np.random.default_rng(0), HashEncoder(384)
    past = np.stack([encoder.encode([clauses(user, rng) for _ in range(8)]).mean(0) for user in range(6)])
    new = encoder.encode([clauses(user, rng) for user in range(6) for _ in range(10)])
    assert (np.argmax(new @ past.T, axis=1) == np.repeat(range(6), 10)).mean() > 0.9


def test_characters_count_by_themselves_and_in_pairs():
    same, near, far = HashEncoder(4096).encode(["很好吃", "好吃很", "坏差劣"])
    assert 0.4 < same @ near < 0.9  # three characters and one pair of two
    assert same @ far < 0.3
    thai, other = HashEncoder(4096).encode(["อร่อยมากครับ", "มากครับอร่อย"])
    assert 0.5 < thai @ other < 1


SPACED = {
    "Good tea, don't wait 20 minutes! \u2764\ufe0f": [0.189, 0.5669, -0.189, 0.378, -0.5669, 0.378],
    "Очень вкусно, спасибо": [0.6396, 0.0, -0.4264, -0.2132, -0.4264, -0.4264],
    "हिन्दी में बहुत अच्छा": [-0.2317, -0.5792, -0.3475, 0.0679, -0.6951, -0.048],
    "Cafe\u0301 한국어": [0.0, -0.25, -0.75, 0.25, -0.25, 0.5],
}
"""Vectors of version 1, which took whole clauses of scripts without blanks as words."""


def test_in_scripts_with_blanks_vectors_are_those_of_version_1():
    vectors = HashEncoder(6).encode(list(SPACED))
    np.testing.assert_allclose(vectors, list(SPACED.values()), atol=5e-5)


MARKED = st.sampled_from(["e\u0301", "हिन्दी", "\u2764\ufe0f", "👍🏽", "שָׁ", "عَ", "한국", "ё", " "])


@given(st.lists(st.characters(codec="latin-1") | MARKED, max_size=40).map("".join))
def test_in_scripts_with_blanks_features_are_words_signs_and_trigrams(text):
    words = re.findall(r"\w+|[^\w\s]", text.lower())
    grams = [f"#<{word}>"[k : k + 3] for word in words for k in range(1, len(word) + 1)]
    expected = ["^", *words, *(f"#{gram}" for gram in grams)]
    assert Counter(_features(text)) == Counter(expected)


def test_the_name_tells_the_dimension():
    assert load("64").name != load("").name
    assert load("64").dim == 64


@pytest.mark.parametrize("argument", ["x", "-1", "1", "999999", "6.4"])
def test_an_impossible_dimension_is_refused(argument):
    with pytest.raises(ConfigError):
        load(argument)
