from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from idiolect.data.kcore import review_frame
from idiolect.difference.stylometry import measure
from idiolect.errors import InputError
from idiolect.evaluation.significance import Resamples, compare
from idiolect.metrics.fidelity import CLIP, FIDELITY, StyleTargets
from idiolect.sandbox.domain import WorldConfig
from idiolect.sandbox.world import World
from idiolect.types import Review, Sample


def review(user: str, item: str, text: str) -> Review:
    return Review(id=f"{user}-{item}-{len(text)}", user=user, item=item, text=text)


ITEMS = "abcde"
CROWD = [
    review(user, item, text)
    for user, text in (("calm", "It plays. It is old."), ("dry", "It rings, and it is old."), ("meek", "It is fine."))
    for item in ITEMS
]
LOUD = [review("loud", item, "It plays! So loud!") for item in ITEMS]
ASKED = Sample(user="loud", item="a")


def targets(samples: list[Sample], reviews: list[Review]) -> StyleTargets:
    return StyleTargets.of(samples, review_frame(reviews))


@pytest.fixture(scope="module")
def world() -> tuple[list[Review], list[Review]]:
    """Everything but each user's last review, and those."""
    made = World(WorldConfig(seed=7, n_users=120, n_items=60, reviews_per_user=(7, 9)))
    users = [list(made.reviews_of(k)) for k in range(120)]
    return [r for reviews in users for r in reviews[:-1]], [reviews[-1] for reviews in users]


def test_a_text_in_the_users_manner_is_faithful_and_one_in_the_crowds_is_not() -> None:
    scores = targets([ASKED] * 2, CROWD + LOUD[1:]).score(["What a hall! Loud! Long!", "It is old. It is fine."])
    assert scores[0] > 0.3 > 0 > scores[1]


def test_the_target_itself_changes_neither_crowd_nor_profile() -> None:
    without, leaked = (targets([ASKED], CROWD + LOUD[k:]) for k in (1, 0))
    np.testing.assert_array_equal(without.peer_mean, leaked.peer_mean)
    assert without.n_items.tolist() == leaked.n_items.tolist() == [4]


def test_the_crowd_is_the_mean_of_the_others_on_the_item() -> None:
    found = targets([ASKED, Sample(user="calm", item="a")], CROWD + LOUD)
    texts = {r.user: r.text for r in CROWD + LOUD if r.item == "a"}
    np.testing.assert_allclose(found.peer_mean[0], measure([texts[u] for u in ("calm", "dry", "meek")]).mean(0))
    np.testing.assert_allclose(found.peer_mean[1], measure([texts[u] for u in ("loud", "dry", "meek")]).mean(0))


def test_unknown_users_and_items_are_defined() -> None:
    samples = [Sample(user="nobody", item="a"), Sample(user="loud", item="nothing")]
    scores = targets(samples, CROWD + LOUD).score(["Oh! What!", "Oh! What!"])
    assert scores[0] == 0
    assert scores[1] > 0


def test_empty_texts_are_defined_and_departures_are_bounded() -> None:
    found = targets([ASKED] * 2, CROWD + LOUD)
    scores = found.score(["", "!" * 50 + "word " * 500])
    assert np.isfinite(scores).all()
    assert np.abs(found.differences(["", "word " * 500]) + found.centre).max() <= CLIP


def test_no_answer_is_faithful_to_nobody() -> None:
    for user in ("loud", "calm"):
        scores = targets([Sample(user=user, item="a")] * 2, CROWD + LOUD).score(["", " \n"])
        assert scores.tolist() == [0, 0]


def test_no_samples_give_no_scores() -> None:
    assert targets([], CROWD).score([]).shape == (0,)


def test_reviews_without_any_crowd_give_zeros() -> None:
    scores = targets([Sample(user="u", item="i")], [review("u", "i", "Alone!"), review("u", "j", "Alone!")]).score(
        ["So!"]
    )
    assert scores.tolist() == [0]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="2 texts for 1 samples"):
        targets([ASKED], CROWD).score(["one", "two"])
    with pytest.raises(InputError, match="no reviews"):
        StyleTargets.of([ASKED], pl.DataFrame(schema={"user": pl.String, "item": pl.String, "text": pl.String}))


def test_a_users_own_text_is_more_faithful_than_another_users_of_the_same_item(
    world: tuple[list[Review], list[Review]],
) -> None:
    seen, held_out = world
    found = StyleTargets.of([Sample.of(r) for r in held_out], review_frame(seen))
    by_item = {r.item: r for r in seen}
    chosen = [k for k, r in enumerate(held_out) if r.item in by_item and by_item[r.item].user != r.user]
    own = found.score([r.text for r in held_out])
    other = found.score([by_item[r.item].text if k in chosen else r.text for k, r in enumerate(held_out)])
    resamples = Resamples(len(chosen), np.random.default_rng(0), resamples=300)
    gain = compare(*(resamples.score(FIDELITY, scores[chosen]) for scores in (own, other)))
    assert gain.low > 0.1
    assert abs(other[chosen].mean()) < 0.08


GERMAN = "Es spielt sehr laut! Das ist nicht schön, aber auch nicht schlecht!"


def test_of_texts_that_are_not_english_nothing_is_known():
    german = [review("hans", item, GERMAN) for item in ITEMS]
    hans = Sample(user="hans", item="a", reference=GERMAN)
    alone, both = targets([ASKED], [*CROWD, *LOUD]), targets([ASKED, hans], [*CROWD, *LOUD, *german])
    assert (alone.known.tolist(), both.known.tolist()) == ([True], [True, False])
    np.testing.assert_array_equal(both.peer_mean[0], alone.peer_mean[0])
    np.testing.assert_array_equal(both.profile[0], alone.profile[0])
    said = "It plays! So loud!"
    assert alone.rows([said]).tolist() == alone.score([said]).tolist()
    assert FIDELITY.aggregate(both.rows([said, GERMAN])) == FIDELITY.aggregate(alone.rows([said])[:, None])
    assert FIDELITY.aggregate(np.array([[0.5, 1.0], [0.0, 0.0]])) == 0.5
    assert FIDELITY.aggregate(np.array([[0.0, 0.0], [0.0, 0.0]])) == 0.0
    assert alone.score([GERMAN]).tolist() == [0.0], "it departs nowhere that is known"


def test_without_any_english_text_there_is_no_target():
    hans = Sample(user="hans", item="a", reference=GERMAN)
    nothing = targets([hans], [review("hans", item, GERMAN) for item in ITEMS])
    assert nothing.known.tolist() == [False]
    assert nothing.rows([GERMAN]).tolist() == [[0.0, 0.0]]
