from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from idiolect.difference.stylometry import MEASURES, NAMES, measure, within_item_sd
from idiolect.difference.stylometry.equal_lengths import COMPARED, EQUAL, LONG_WORDS, WORDS, equal_lengths, moving_ratio
from idiolect.explain.card import ExplainConfig
from idiolect.explain.evidence import evidence
from idiolect.explain.likeness import _departures, drift
from idiolect.explain.run import user_differences
from idiolect.peers import InMemoryReviews
from idiolect.types import Item, Review, UserId

VOCABULARY = [a + b + c for a in ("gar", "mel", "tol", "vin") for b in ("den", "low", "sor") for c in "abcdefgh"]


def text(rng: np.random.Generator, sentences: int) -> str:
    """Sentences of eight words, each drawn alike."""
    return " ".join(f"The {' '.join(rng.choice(VOCABULARY, 7))}." for _ in range(sentences))


@given(st.lists(st.sampled_from("abcde"), max_size=30), st.integers(1, 12))
def test_the_mean_over_all_windows(words: list[str], window: int):
    ratios = [len(set(words[k : k + window])) / window for k in range(len(words) - window + 1)]
    found = moving_ratio(words, window)
    assert np.isnan(found) if not ratios else np.isclose(found, np.mean(ratios))


def test_length_alone_changes_nothing():
    rng = np.random.default_rng(1)
    short, long = ([text(rng, n) for _ in range(200)] for n in (9, 90))
    places = [NAMES.index(name) for name in EQUAL]
    whole = [measure(texts)[:, places] for texts in (short, long)]
    equal = [equal_lengths(texts) for texts in (short, long)]
    assert (np.abs(whole[1].mean(axis=0) - whole[0].mean(axis=0)) > 10 * whole[0].std(axis=0) / 14).all()
    assert (np.abs(equal[1].mean(axis=0) - equal[0].mean(axis=0)) < 4 * equal[0].std(axis=0) / 14).all()


def test_texts_shorter_than_a_window_have_no_value():
    one_less, enough = ("piano " * n for n in (WORDS - 1, WORDS))
    found = equal_lengths([one_less, enough, "so " * 60, "piano " * (LONG_WORDS - 1), ""])
    assert np.isnan(found).tolist() == [[True, False], [False, False], [False, True], [True, True], [True, True]]
    assert equal_lengths([]).shape == (0, 2)


def test_other_measures_and_the_order_of_all_are_kept():
    assert [of.name for of in COMPARED] == list(NAMES)
    assert [of.name for of, known in zip(COMPARED, MEASURES, strict=True) if of != known] == list(EQUAL)


def reviews(lengths: dict[str, int]) -> InMemoryReviews:
    rng = np.random.default_rng(2)
    rows = [
        Review(id=f"{user}-{k}", user=user, item=f"i{k}", text=text(rng, lengths[user]), order=k)
        for k in range(15)
        for user in lengths
    ]
    return InMemoryReviews([Item(id=f"i{k}") for k in range(15)], rows, {}, encoder="none")


def test_who_writes_at_length_is_not_said_to_have_many_words_or_to_repeat_them():
    found = user_differences(reviews({"long": 60, **{f"peer{k}": 10 for k in range(9)}}), UserId("long"))
    names = {claim.measure.name for claim in found.claims}
    assert "length" in names
    assert not names & EQUAL.keys()


def test_texts_too_short_are_left_out_of_these_measures_only():
    lengths = {"ann": 10, "bob": 10, "cyd": 2, "dan": 10}
    reader = reviews(lengths)
    ann, cyd = (user_differences(reader, UserId(user), ExplainConfig(min_peers=2)) for user in ("ann", "cyd"))
    places = [NAMES.index(name) for name in EQUAL]
    assert ann.n_items.tolist() == [15] * len(NAMES)
    assert cyd.n_items[places].tolist() == [0, 0]
    assert (cyd.p[places] == 1).all()
    assert cyd.n_items[NAMES.index("length")] == 15
    shown = evidence(reader, UserId("ann"), "word_variety")
    assert [one.above + one.below + one.equal for one in shown.items] == [2] * 15
    assert evidence(reader, UserId("cyd"), "word_variety").items == ()


def growing(shortest: int) -> InMemoryReviews:
    """Texts of one user that become longer from month to month, with others' of the same items."""
    rng = np.random.default_rng(3)
    rows = [
        Review(id=f"{user}{k}", user=user, item=f"i{k}", text=text(rng, n), timestamp=10**9 + 10**6 * k, order=k)
        for k in range(24)
        for user, n in (("ann", shortest + 3 * k), ("bob", 12), ("cyd", 12))
    ]
    return InMemoryReviews([Item(id=f"i{k}") for k in range(24)], rows, {}, encoder="none")


def test_longer_texts_are_no_trend_of_variety_or_repetition():
    for shortest in (9, 1):  # all long enough for a window, and not the first ones
        trends = {one.measure: one.direction for one in drift(growing(shortest), UserId("ann")).trends}
        assert trends["length"] == "rises"
        assert not trends.keys() & EQUAL.keys()


def test_a_longer_text_does_not_depart_in_variety_or_repetition():
    rng = np.random.default_rng(4)
    for sentences in (300, 2):
        found = _departures(
            text(rng, sentences),
            [text(rng, 14 - k) for k in range(6)],
            [Review(id=f"a{k}", user="ann", item=f"i{k}", text="-") for k in range(6)],
            [[Review(id=f"b{k}", user="bob", item=f"i{k}", text=text(rng, 9 + k))] for k in range(6)],
            np.isin(NAMES, ["length", *EQUAL]),
        )
        assert {one.measure for one in found} == {"length"}


def test_values_that_are_not_known_are_left_out_of_the_deviation_within_items():
    values = np.array([[1.0, 1.0], [2.0, np.nan], [4.0, 3.0], [5.0, 6.0], [1.0, np.nan]])
    items = np.array([0, 0, 0, 1, 1])
    known = ~np.isnan(values[:, 1])
    found = within_item_sd(values, items)
    assert found[0] == within_item_sd(values[:, :1], items)[0]
    assert found[1] == within_item_sd(values[known, 1:], items[known])[0]
    assert within_item_sd(np.full((2, 1), np.nan), items[:2]).tolist() == [0]
