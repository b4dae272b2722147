"""What somebody likes or writes about is told from how they write."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from idiolect.difference.claims.taxonomy import KEYS
from idiolect.difference.claims.validate import is_content_bias
from idiolect.difference.stylometry import MEASURES


@pytest.fixture(scope="module")
def lists() -> Any:
    spec = importlib.util.spec_from_file_location("preferences", Path(__file__).with_name("preferences.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def share(claims: Sequence[str]) -> float:
    return sum(map(is_content_bias, claims)) / len(claims)


def test_preferences_that_no_rule_was_made_for_are_dropped(lists):
    assert share(lists.CONTENT[lists.MEASURED_FROM :]) >= 0.85


def test_claims_of_style_stay(lists):
    assert share(lists.STYLE) == 0


def test_the_hard_cases_are_told_apart_as_well_as_the_documents_say(lists):
    assert (share(lists.HARD_CONTENT), share(lists.HARD_STYLE)) == (0.75, 0.4)


@pytest.mark.parametrize("phrase", [*(key.phrase for key in KEYS), *(p for m in MEASURES for p in (m.more, m.less))])
def test_nothing_of_the_taxonomy_or_of_a_measure_is_content(phrase: str):
    assert not is_content_bias(f"Compared with others, this user {phrase}.")


@pytest.mark.parametrize(
    "claim",
    [
        "The user finds the plot more gripping than the others do.",
        "The user pays more attention to the packaging than the other reviewers.",
        "The user is a bigger fan of the genre than the others.",
        "The user describes the food more than the others, who describe the service.",
        "The user considers value for money more important than others.",
        "The user gives a higher rating than others.",
    ],
)
def test_liking_judging_and_mentioning_something_is_content(claim: str):
    assert is_content_bias(claim)


@pytest.mark.parametrize(
    "claim",
    [
        "The user praises more warmly than others.",
        "The user praises the soundtrack more warmly than others.",
        "The user mentions the plot in longer sentences than others.",
        "The user favours short, clipped phrases more than others.",
    ],
)
def test_doing_so_in_some_manner_is_not(claim: str):
    assert not is_content_bias(claim)
