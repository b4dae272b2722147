"""The taxonomy: the papers' 35 keys, and opposites that exclude each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from idiolect.difference.claims.parse import claims
from idiolect.difference.claims.taxonomy import ATTRIBUTES, CATEGORIES, CONTROLLED, KEYS, by_pair, by_path, by_sign


def test_the_controlled_keys_are_the_released_scripts(golden: Path):
    expected = json.loads((golden / "a8_uvq" / "expected.json").read_text())["controlled_keys"]
    found = {name: [key.path for key in CONTROLLED if key.category == name] for name in CATEGORIES}
    assert found == expected
    assert len(CONTROLLED) == 35


def test_every_attribute_has_a_low_and_a_high_end():
    assert {(key.attribute, key.sign) for key in KEYS} == {
        *((name, sign) for name in ATTRIBUTES for sign in (1, -1)),
        ("emotion/tone", 0),
    }


def test_directions_of_one_attribute_exclude_each_other_and_nothing_else():
    pairs = {(a, b) for a in KEYS for b in KEYS if a.excludes(b)}
    assert all((b, a) in pairs and a.attribute == b.attribute and a != b for a, b in pairs)
    assert len(pairs) == 24 * 2 + 3 * 2


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.attribute}={key.direction}")
def test_a_keys_plain_words_are_read_back_as_the_key(key):
    assert [claim.key for claim in claims(f"Compared with others, this user {key.phrase}.")] == [key]


def test_keys_are_found_as_models_write_them():
    fewer = by_path(" Writing/Exclamations/Fewer ")
    assert fewer is not None
    assert fewer == by_pair("Exclamations", "less") == by_pair("writing/exclamations", "FEWER")
    assert fewer == by_sign("writing/exclamations", -1)
    assert by_pair("sentence complexity", "more") == by_pair("writing/sentence_complexity", "higher")
    assert by_pair("headings_lists", "none") == by_path("structure/no-headings-lists/true")


@pytest.mark.parametrize(
    ("attribute", "direction"), [("", "more"), ("other", "more"), ("exclamations", ""), ("a/b", "x")]
)
def test_what_is_not_in_the_taxonomy_is_none(attribute: str, direction: str):
    assert by_pair(attribute, direction) is None
    assert by_path(f"{attribute}/{direction}") is None
