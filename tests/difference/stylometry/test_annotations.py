"""Descriptions of real users in words, from the measures of their texts."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.difference.stylometry.annotations import KEYWORDS, MeasuredAnnotations
from idiolect.difference.stylometry.measures import NAMES

LOUD, CALM = "What a beer! I love it! You must try it! Wow!", "The beer is brown. The head is thin. It tastes of malt."


def frame(rows):
    names = ("user", "item", "text")
    columns = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    return pl.DataFrame(
        {"review_id": [f"r{k}" for k in range(len(rows))], **columns}, schema_overrides={"text": pl.String}
    )


ROWS = [
    ("ann", "a", LOUD),
    ("ann", "b", LOUD),
    ("bob", "a", CALM),
    ("bob", "b", CALM),
    ("cid", "a", CALM),
    ("cid", "c", CALM),
]


def rng():
    return np.random.default_rng(0)


def test_every_measure_has_two_words_of_its_own():
    assert set(KEYWORDS) == set(NAMES)
    words = [word for pair in KEYWORDS.values() for word in pair]
    assert len(words) == len(set(words))
    assert all(word.isalpha() for word in words)


def test_descriptions_name_what_sets_a_text_apart():
    found = MeasuredAnnotations(frame(ROWS))
    assert "ends sentences with exclamation marks" in found.profile("ann", rng())
    assert "ends sentences with exclamation marks" not in found.profile("bob", rng())
    assert "exclaiming" in found.review_words("r0", "a", rng())
    assert "exclaiming" in found.primer("r0", np.random.default_rng(3))[1]
    assert "exclaiming" not in found.review_words("r2", "a", rng())


def test_a_difference_is_to_other_users_on_the_item():
    alone = [("ann", "a", LOUD), ("ann", "a", LOUD), ("dan", "a", LOUD), ("bob", "b", CALM), ("cid", "b", CALM)]
    found = MeasuredAnnotations(frame(alone))
    assert np.allclose(found._departure("r0", "a"), 0)  # all who wrote about the item are as loud
    assert not np.allclose(found._departure("r0", None), 0)


def test_without_peers_a_difference_is_to_the_corpus():
    found = MeasuredAnnotations(frame(ROWS))
    assert np.allclose(found._departure("r5", "c"), found._departure("r5", None))


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.sampled_from([LOUD, CALM, "", "!?", "\n"])),
        min_size=1,
        max_size=12,
    )
)
def test_every_review_is_described_and_differences_match_a_plain_loop(rows):
    found = MeasuredAnnotations(frame(rows))
    for k, (user, item, _) in enumerate(rows):
        others = [j for j, (u, i, _) in enumerate(rows) if i == item and u != user]
        expected = found._own[k] - (found._own[others].mean(axis=0) if others else 0)
        assert np.allclose(found._departure(f"r{k}", item), expected)
        assert 2 <= len(found.review_words(f"r{k}", item, rng()).split()) <= 4
        assert found.profile(user, rng()).startswith("Compared with others, this user ")


def test_equal_texts_have_equal_digests_and_others_do_not():
    assert MeasuredAnnotations(frame(ROWS)).digest == MeasuredAnnotations(frame(ROWS)).digest
    assert (
        MeasuredAnnotations(frame(ROWS)).digest != MeasuredAnnotations(frame([*ROWS[:-1], ("cid", "c", LOUD)])).digest
    )


def test_an_unknown_review_is_an_error():
    with pytest.raises(KeyError):
        MeasuredAnnotations(frame(ROWS)).review_words("r99", None, rng())
