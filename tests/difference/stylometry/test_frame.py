from __future__ import annotations

import polars as pl
import pytest

from idiolect.difference.stylometry import N_MEASURES, codes, style_difference_frame

REVIEWS = pl.DataFrame(
    {
        "user": ["b", "a", "b", "a", "c"],
        "item": ["x", "x", "y", "y", "z"],
        "text": ["Loud!", "Calm.", "So loud!", "So calm.", "Alone."],
    }
)


def test_codes_number_the_distinct_ids_in_order() -> None:
    assert codes(pl.Series(["b", "a", "b", "c"])).tolist() == [1, 0, 1, 2]


def test_each_user_and_measure_has_a_row() -> None:
    found = style_difference_frame(REVIEWS)
    assert len(found) == 3 * N_MEASURES
    exclamations = found.filter(pl.col("measure") == "exclamations")
    assert exclamations["user"].to_list() == ["a", "b", "c"]
    assert exclamations["difference"].to_list() == [-100, 100, 0]
    assert exclamations["n_items"].to_list() == [2, 2, 0]
    assert exclamations["effect"].to_list() == pytest.approx([-(2**0.5) / (3.14159265**0.5) * 2**0.5, 1.1283792, 0])


def test_no_reviews_give_no_rows() -> None:
    assert style_difference_frame(REVIEWS.clear()).is_empty()
