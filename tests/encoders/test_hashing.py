from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.encoders import HashEncoder
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


def test_the_name_tells_the_dimension():
    assert load("64").name != load("").name
    assert load("64").dim == 64


@pytest.mark.parametrize("argument", ["x", "-1", "1", "999999", "6.4"])
def test_an_impossible_dimension_is_refused(argument):
    with pytest.raises(ConfigError):
        load(argument)
