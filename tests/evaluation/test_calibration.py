"""Style between floor and ceiling, authorship, and copied sequences."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.evaluation.calibration import CEILING, FLOOR, calibrate
from idiolect.metrics.authorship import Authorship, copied, words
from idiolect.types import ConditionId, Sample

N_USERS, N_ITEMS = 12, 8
COMMON = ["the", "of", "and", "so", "but", "very", "it", "is", "was", "to", "in", "that"]


def text_of(rng, user, item):
    """Each user has own rates of common words; the item's words are everybody's."""
    rates = np.exp(np.random.default_rng(user).normal(0, 1, len(COMMON)))
    chosen = rng.choice(COMMON, 40, p=rates / rates.sum())
    return " ".join([*chosen, *rng.choice([f"thing{item}", f"part{item}"], 10)])


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(0)
    rows = [
        {"user": f"u{user}", "item": f"i{item}", "text": text_of(rng, user, item)}
        for user in range(N_USERS)
        for item in range(N_ITEMS)
    ]
    samples = [Sample(user=f"u{user}", item="i0", reference=text_of(rng, user, 0)) for user in range(N_USERS)]
    return samples, pl.DataFrame(rows)


def calibrated(corpus, **written):
    samples, reviews = corpus
    runs = {ConditionId(name): texts for name, texts in written.items()}
    return calibrate(samples, reviews, runs, None, seed=0, resamples=300)


def test_a_perfect_imitator_is_at_the_ceiling_and_another_user_at_the_floor(corpus):
    rng = np.random.default_rng(5)
    same = [text_of(rng, user, 0) for user in range(N_USERS)]
    other = [text_of(rng, (user + 5) % N_USERS, 0) for user in range(N_USERS)]
    found = calibrated(corpus, same=same, other=other)
    assert found.n_samples == N_USERS
    for measure in ("burrows-delta", "attribution"):
        assert found.rows["same"][measure].share.value == pytest.approx(1, abs=0.2)
        assert found.rows["other"][measure].share.value == pytest.approx(0, abs=0.25)
    assert found.rows[CEILING]["attribution"].value.value > 0.9
    assert 0.3 < found.rows[FLOOR]["attribution"].value.value < 0.7


def test_copying_the_history_shows(corpus):
    samples, reviews = corpus
    past = [reviews.filter(pl.col("user") == sample.user)["text"][1] for sample in samples]
    found = calibrated(corpus, copy=past)
    assert found.rows["copy"]["copied from history"].value.value == 1
    assert found.rows[CEILING]["copied from history"].value.value < 0.2
    assert "copied from peers" not in found.rows[FLOOR]


def test_without_a_difference_between_users_no_share_is_shown(corpus):
    samples, reviews = corpus
    alike = reviews.with_columns(text=pl.lit("the same text of everybody, always"))
    same = [Sample(user=one.user, item=one.item, reference="the same text of everybody, always") for one in samples]
    found = calibrate(same, alike, {ConditionId("rag"): ["anything"] * len(same)}, None, seed=0, resamples=100)
    assert found.rows["rag"]["attribution"].share is None
    assert "(" not in found.to_markdown().splitlines()[-3]


def test_samples_without_real_texts_to_compare_with_are_left_out(corpus):
    samples, reviews = corpus
    lone = [*samples, Sample(user="u0", item="unknown", reference="x"), Sample(user="new", item="i0", reference="x")]
    found = calibrate(lone, reviews, {ConditionId("rag"): ["x"] * len(lone)}, None, seed=0, resamples=100)
    assert found.n_samples == N_USERS
    assert calibrate(lone[-2:], reviews, {}, None, seed=0, resamples=100) is None


@given(st.lists(st.text(alphabet="ab 'é", max_size=30), min_size=1, max_size=5))
def test_any_text_has_finite_values(texts):
    found = Authorship({"ann": texts, "bob": ["a b a b"]})
    assert np.isfinite(found.delta(texts, ["ann"] * len(texts))).all()
    share = found.attribution(texts, ["bob"] * len(texts))
    assert ((share >= 0) & (share <= 1)).all()
    assert ((copied(texts, [texts] * len(texts)) == 1) == [len(words(text)) >= 5 for text in texts]).all()


def test_other_scripts_have_words():
    assert words("Это не так, d’accord?") == ["это", "не", "так", "d’accord"]
