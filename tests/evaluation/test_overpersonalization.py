"""Habits shown where the user shows them, and where not."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.difference.stylometry import N_MEASURES
from idiolect.evaluation.overpersonalization import ELSEWHERE, OTHERS, habit_report
from idiolect.metrics.fidelity import StyleTargets
from idiolect.metrics.habits import HABIT, KEPT, OVERDONE, Habits
from idiolect.types import ConditionId, Sample

N_USERS, N_ITEMS = 60, 12
PARTS = ["the tea was very good", "it was a little too warm", "i liked the cup and the pot", "we sat there for a while",
         "and the place is near the river", "but it is not cheap"]  # fmt: skip


def text_of(rng: np.random.Generator, user: int, item: int) -> str:
    """Half of the users exclaim, on four items of six; the others seldom."""
    sentences = [str(part) for part in rng.permutation(PARTS)[:4]]
    exclaims = user % 2 == 0 and item // 2 % 3
    return " ".join(s + ("!" if rng.random() < (0.9 if exclaims else 0.05) else ".") for s in sentences)


@pytest.fixture(scope="module")
def corpus() -> tuple[list[Sample], StyleTargets, list[str]]:
    rng = np.random.default_rng(0)
    rows = [
        {"user": f"u{user}", "item": f"i{item}", "text": text_of(rng, user, item)}
        for user in range(N_USERS)
        for item in range(N_ITEMS)
        if (user + item) % 3
    ]
    places = [(user, item) for user in range(N_USERS) for item in range(N_ITEMS) if not (user + item) % 3]
    samples = [Sample(user=f"u{u}", item=f"i{i}", reference=text_of(rng, u, i)) for u, i in places]
    again = [text_of(rng, u, i) for u, i in places]
    return samples, StyleTargets.of(samples, pl.DataFrame(rows)), again


def report(corpus, **written: list[str]):
    samples, targets, _ = corpus
    runs = {ConditionId(name): texts for name, texts in written.items()}
    return habit_report(samples, runs, targets, places=range(len(samples)), seed=0, resamples=300)


def always(samples: list[Sample]) -> list[str]:
    """Exclaims for every user who does, whatever the item."""
    return [". ".join(PARTS[:4]) + "." if int(s.user[1:]) % 2 else "! ".join(PARTS[:4]) + "!" for s in samples]


def test_a_method_that_exclaims_everywhere_overdoes_what_one_that_knows_the_items_does_not(corpus) -> None:
    samples, _, again = corpus
    found = report(corpus, always=always(samples), aware=again, silent=[""] * len(samples))
    kept, overdone = ({name: row[rate.name] for name, row in found.rows.items()} for rate in (KEPT, OVERDONE))
    assert kept["always"].value.value > 0.5
    assert overdone["always"].share.value > overdone["aware"].share.value + 0.3
    assert overdone["aware"].share.value < 0.3
    assert kept["silent"].value.value < kept[OTHERS].value.value
    assert kept[ELSEWHERE].share is None
    assert kept[OTHERS].value.value < kept[ELSEWHERE].value.value
    assert "habits overdone ↓" in found.to_markdown()
    assert found.to_dict()["pairs"] == found.pairs


def test_the_users_own_texts_keep_all_and_overdo_nothing(corpus) -> None:
    samples, targets, _ = corpus
    own = targets.differences([sample.reference or "" for sample in samples])
    shown, present, wrong, absent = targets.habits.counts(own, own).sum(axis=0)
    assert shown == present > 0
    assert wrong == 0 < absent


def test_nothing_is_shown_for_another_language_or_too_few_texts(corpus) -> None:
    german = ["Der Tee war sehr gut und nicht zu teuer, aber die Tasse war leider kaputt."]
    samples = [Sample(user=f"u{k}", item="i", reference=german[0]) for k in range(4)]
    rows = pl.DataFrame([{"user": f"u{k}", "item": f"i{j}", "text": german[0]} for k in range(4) for j in range(8)])
    targets = StyleTargets.of(samples, rows)
    runs = {ConditionId("copy"): german * 4}
    assert habit_report(samples, runs, targets, places=range(4), seed=0, resamples=300) is None
    samples, targets, again = corpus
    runs = {ConditionId("same"): again}
    assert habit_report(samples, runs, targets, places=[0], seed=0, resamples=300) is None


def test_a_users_text_on_the_samples_item_changes_no_habit_of_theirs() -> None:
    """As it would if a target were among the visible reviews by mistake."""
    rng = np.random.default_rng(1)
    rows = [{"user": f"u{u}", "item": f"i{i}", "text": text_of(rng, u, i)} for u in range(8) for i in range(9)]
    sample = [Sample(user="u0", item="i0", reference="It was good.")]
    kept, leaked = (
        StyleTargets.of(sample, pl.DataFrame([*rows[1:], *more])).habits
        for more in ([], [{"user": "u0", "item": "i0", "text": "So! Very! Good! And! It! Was! The! Best! Tea!"}])
    )
    assert kept.known.all()
    size = np.abs(kept.profile - leaked.profile).max()
    assert size < 0.35, "the spread of measures changes a little, the user's own differences do not"


rows = st.lists(st.floats(-3, 3), min_size=N_MEASURES, max_size=N_MEASURES)


@settings(max_examples=40, deadline=None)
@given(rows, rows, rows, st.booleans())
def test_shown_habits_are_a_part_of_all_and_no_pair_counts_twice(profile, text, own, known) -> None:
    zero = np.zeros((1, N_MEASURES))
    habits = Habits(profile=np.array([profile]), elsewhere=zero, others=zero, known=np.array([known]))
    ((kept, present, overdone, absent),) = habits.counts(np.array([text]), np.array([own]))
    assert 0 <= kept <= present
    assert 0 <= overdone <= absent
    assert present + absent <= known * (np.abs(profile) >= HABIT).sum()
