"""Vectors of style: what moves them, and what does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.difference.stylometry import NAMES
from idiolect.difference.stylometry.encoder import TYPICAL, StyleEncoder
from idiolect.encoders import load_encoder
from idiolect.errors import ConfigError

CALM = "The record is long. It was made in Bremen, and the singer is good."
LOUD = "The record is long! It was made in Bremen, and the singer is good!"


def test_every_measure_has_its_coordinate_and_scale():
    assert tuple(TYPICAL) == NAMES
    assert all(sd >= 0.1 for _, sd in TYPICAL.values())
    assert load_encoder("style").dim == len(NAMES)


def test_manner_moves_a_vector_and_matter_hardly_does():
    matter = CALM.replace("record", "hammer").replace("singer", "handle")
    calm, loud, other = StyleEncoder().encode([CALM, LOUD, matter])
    assert NAMES[int(np.abs(calm - loud).argmax())] == "exclamations"
    assert calm @ other > 0.99 > calm @ loud


def test_one_rare_mark_is_not_the_whole_vector():
    vector = StyleEncoder().encode(["One.\n\nTwo.\n\nThree.\n\nFour.\n\n- a\n- b\n- c\n- d\n- e\n- f"])[0]
    assert (vector**2).max() < 0.5


@settings(deadline=None)
@given(st.lists(st.text(max_size=200), max_size=5))
def test_any_text_has_a_finite_direction(texts):
    vectors = StyleEncoder().encode(texts)
    assert vectors.shape == (len(texts), len(NAMES))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_it_takes_no_argument():
    with pytest.raises(ConfigError, match="takes no argument"):
        load_encoder("style:64")
