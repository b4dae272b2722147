from __future__ import annotations

import polars as pl
import pytest

from idiolect.difference.stylometry.patterns import one_of


def hits(entries: list[str], text: str) -> int:
    return pl.Series([text]).str.count_matches(one_of(entries)).item()


def test_words_stand_alone() -> None:
    assert hits(["art"], "art, party, art. smart") == 2


def test_a_phrase_counts_once_and_before_its_parts() -> None:
    assert hits(["first", "first of all"], "first of all, and first") == 2


def test_a_star_stands_for_any_ending() -> None:
    assert hits(["recommend*"], "recommend recommended recommendation commend") == 3


@pytest.mark.parametrize("entry", ["e.g", "must-have", "i'd say"])
def test_marks_in_an_entry_are_literal(entry: str) -> None:
    assert hits([entry], f"so {entry} so") == 1
    assert hits([entry], "so exg musthave idxsay") == 0
