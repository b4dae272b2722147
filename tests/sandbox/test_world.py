from __future__ import annotations

import hashlib
import re
from itertools import islice, pairwise

import numpy as np
import pytest

from idiolect.config import build
from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.sandbox import NAMES, Truth, World, WorldConfig
from idiolect.sandbox import items as catalogue
from idiolect.sandbox.domain import DOMAINS


@pytest.fixture(scope="module")
def world() -> World:
    return World(WorldConfig(seed=3, n_users=120, n_items=60, domains=DOMAINS))


@pytest.fixture(scope="module")
def reviews(world):
    return list(world.reviews())


def test_the_same_configuration_gives_the_same_world():
    first, second = (World(WorldConfig(seed=9, n_users=5)) for _ in range(2))
    assert list(first.items()) == list(second.items())
    assert list(first.reviews()) == list(second.reviews())


def test_texts_are_the_same_on_every_machine():
    texts = "\n".join(
        f"{r.id}|{r.item}|{r.rating}|{r.timestamp}|{r.title}|{r.text}" for r in World(WorldConfig(n_users=20)).reviews()
    )
    assert hashlib.sha256(texts.encode()).hexdigest()[:16] == "56d07c79f3c5f673"


def test_a_world_with_more_users_starts_with_the_same_ones():
    few, many = World(WorldConfig(n_users=3)), World(WorldConfig(n_users=6))
    shared = list(few.reviews())
    assert list(islice(many.reviews(), len(shared))) == shared
    np.testing.assert_array_equal(many.truth.user_effects[:3], few.truth.user_effects)


def test_users_can_be_asked_for_in_any_order(world, reviews):
    assert list(world.reviews_of(7)) == [r for r in reviews if r.user == world.user_id(7)]


def test_worlds_of_different_seeds_share_ids_and_texts_with_nobody(reviews):
    other = World(WorldConfig(seed=4, n_users=120, n_items=60, domains=DOMAINS))
    others = list(other.reviews())
    for field in ("id", "user", "item", "text"):
        assert not {getattr(r, field) for r in reviews} & {getattr(r, field) for r in others}


def test_all_worlds_agree_on_genres(monkeypatch):
    first, second = (World(WorldConfig(seed=seed, n_users=1)).catalogue for seed in (1, 2))
    monkeypatch.setattr(catalogue, "LAW_SEED", 5)
    lawless = World(WorldConfig(seed=1, n_users=1)).catalogue
    np.testing.assert_array_equal(first.genre_effects, second.genre_effects)
    assert np.abs(first.genre_effects - lawless.genre_effects).max() > 1


def test_rows_are_well_formed(world, reviews):
    items = {item.id for item in world.items()}
    assert {r.rating for r in reviews} == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert {r.item for r in reviews} <= items
    assert len({r.id for r in reviews}) == len(reviews)
    for before, after in pairwise(reviews):
        if before.user == after.user:
            assert after.timestamp - before.timestamp >= 86_400
            assert after.order == before.order + 1
    assert len({(r.user, r.item) for r in reviews}) == len(reviews)


def test_texts_are_filled_in_and_tidy(world, reviews):
    items = [text for item in world.items() for text in (item.title, item.description)]
    for text in [*items, *(r.title for r in reviews), *(r.text for r in reviews)]:
        assert text
        assert text == text.strip()
        assert not re.search(r"[{}|]|  | [,.;!?]|\.\.|,,|\n\n\n|[+]", text), text
        assert not re.search(r"\b[Aa] [aeio]\w|\b[Aa]n [bcdfgjklmnpqrstvwxyz]\w", text), text


def test_no_two_reviews_are_alike_and_lengths_are_as_configured(reviews):
    words = np.array([len(r.text.split()) for r in reviews])
    assert len({r.text for r in reviews}) == len(reviews)
    assert 45 <= words.mean() <= 65
    assert words.min() >= 15
    assert words.max() <= 150


def test_length_follows_the_configuration():
    def mean(words: int) -> float:
        return float(np.mean([len(r.text.split()) for r in World(WorldConfig(n_users=30, words=words)).reviews()]))

    assert mean(90) > mean(40) + 20


def test_items_say_what_reviews_speak_of(world, reviews):
    topics = {about.item.id: about.fields["topic"] for about in world.catalogue.subjects}
    described = {item.id: item.description.lower() for item in world.items()}
    assert all(topic.lower() in described[item] for item, topic in topics.items())
    assert np.mean([topics[r.item].lower() in r.text.lower() for r in reviews]) > 0.8


def test_users_concentrate_on_their_favourite_genres(world, reviews):
    n_genres = len(world.catalogue.genres)
    genre = [int(r.item.rsplit("i", 1)[1]) % n_genres for r in reviews]
    of_user: dict[str, list[int]] = {}
    for r, g in zip(reviews, genre, strict=True):
        of_user.setdefault(r.user, []).append(g)
    top_two = [np.sort(np.bincount(genres, minlength=n_genres))[-2:].sum() / len(genres) for genres in of_user.values()]
    assert np.mean(top_two) > 4 / n_genres + 0.1


def test_ratings_follow_the_item(reviews):
    by_item: dict[str, list[float]] = {}
    for r in reviews:
        by_item.setdefault(r.item, []).append(r.rating)
    means = [np.mean(v) for v in by_item.values() if len(v) > 5]
    assert np.std(means) > 0.5


@pytest.mark.parametrize("n_items", [1, 7, 19])
def test_a_small_catalogue_is_used_up_and_no_more(n_items):
    world = World(WorldConfig(n_users=4, n_items=n_items, favourite_share=1.0, reviews_per_user=(19, 19)))
    for user in range(4):
        assert len({r.item for r in world.reviews_of(user)}) == n_items


def test_scores_are_found_by_review(world, reviews):
    np.testing.assert_array_equal(world.scores(reviews[3].id), world.realised(0)[3])
    assert world.realised(5).shape[1] == len(NAMES)
    for unknown in ("s3-u00000-999", "s3-u99999-000", "s4-u00000-000", "nonsense"):
        with pytest.raises(NotFoundError):
            world.scores(unknown)


def test_truth_survives_a_file(world, tmp_path):
    path = tmp_path / "truth.npz"
    world.save_truth(path)
    loaded = Truth.load(path)
    assert loaded.traits == NAMES
    assert loaded.users == world.truth.users
    assert loaded.items == world.truth.items
    np.testing.assert_array_equal(loaded.user_effects, world.truth.user_effects)
    np.testing.assert_array_equal(loaded.item_effects, world.truth.item_effects)


def test_a_file_that_holds_no_truth_is_refused(tmp_path):
    (path := tmp_path / "truth.npz").write_text("no zip")
    with pytest.raises(ArtifactError):
        Truth.load(path)
    np.savez(path, users=np.zeros(2))
    with pytest.raises(ArtifactError):
        Truth.load(path)


@pytest.mark.parametrize(
    "wrong", [{"reviews_per_user": [5, 3]}, {"domains": []}, {"domains": ["cars"]}, {"user_sd": -1}]
)
def test_impossible_worlds_are_refused(wrong):
    with pytest.raises(ConfigError):
        build(WorldConfig, wrong)
