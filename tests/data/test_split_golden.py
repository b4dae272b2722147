"""The split against what the DPL authors' own program makes of the same files."""

import functools
import json
from pathlib import Path

import polars as pl
import pytest

from idiolect.data import Split, SplitConfig, item_frame, make_split, open_items, open_reviews, review_frame

CASES = {
    "a1_split_digital_music_desc_ge1": "data/digital_music/{}.jsonl.gz",
    "a1_split_digital_music_desc_off": "data/digital_music/{}.jsonl.gz",
    "a1_split_synthetic_traps": "golden/a1_split_synthetic_traps/{}.jsonl",
}


def config_of(meta: dict) -> SplitConfig:
    t, (low, high) = meta["thresholds"], meta["description_chars"] or (None, None)
    return SplitConfig(
        min_text_chars=t["chars"],
        min_description_chars=low,
        max_description_chars=high,
        require_title=meta["review_title_required"],
        min_item_users=t["imin"],
        min_user_reviews=t["umin"],
        max_user_reviews=t["umax"],
        train=t["last"] - 2,
        min_peers=t["peers"],
        min_profile=t["prof"],
    )


@functools.cache
def frames(reviews: Path, items: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    return review_frame(open_reviews(reviews)), item_frame(open_items(items))


@pytest.fixture(params=CASES)
def case(request, shared: Path, golden: Path) -> tuple[Split, pl.DataFrame, dict]:
    folder = golden / request.param
    pattern = str(shared / CASES[request.param])
    reviews, items = frames(Path(pattern.format("reviews")), Path(pattern.format("items")))
    config = config_of(json.loads((folder / "meta.json").read_text()))
    return make_split(reviews, items, config), reviews, json.loads((folder / "expected.json").read_text())


def test_every_users_profile_and_targets_are_the_authors(case):
    split, reviews, expected = case
    named = split.members.join(reviews.select("review_id", "item"), on="review_id", maintain_order="left")
    assert named.height == split.members.height
    grouped = named.group_by("user", "role", maintain_order=True).agg("item").rows()
    found = {user: {"profile": [], "train": []} for user in expected["users"]}
    for user, role, items in grouped:
        found[user][role] = items
    for roles in found.values():
        (roles["val"],), (roles["test"],) = roles.pop("validation"), roles["test"]
    assert found == expected["users"]
    assert split.users == expected["user_order"]


def test_every_count_is_the_authors(case):
    split, _, expected = case
    counts, theirs = split.counts, expected["counts"]
    before_and_after = zip((counts.eligible, *counts.core_rounds), counts.core_rounds, strict=False)
    assert [[after, before] for before, after in before_and_after] == theirs[
        "kcore_iterations_[rows_after,rows_before]"
    ]
    users = zip(counts.peer_rounds, counts.peer_rounds[1:], strict=False)
    assert [list(pair) for pair in users] == theirs["split_iterations_[users_before,users_after]"]
    assert counts.users == theirs["n_users"]
    assert (counts.train, counts.validation, counts.test) == (theirs["n_train"], theirs["n_val"], theirs["n_test"])
    assert counts.core_items == theirs["n_meta_items_after"]
    assert counts.profile == theirs["profile_reviews_total"]


def test_ratebeer_splits_by_order_alone(shared: Path):
    reviews = review_frame(open_reviews(shared / "data/ratebeer/reviews.jsonl.gz"))
    items = item_frame(open_items(shared / "data/ratebeer/items.jsonl.gz"))
    # The known numbers are of a k-core over texts unique among all users, not only among each user's own.
    reviews = reviews.unique("text", keep="first", maintain_order=True)
    config = SplitConfig.preset("small", min_text_chars=100, min_user_reviews=10, min_item_users=5)
    split = make_split(reviews, items, config)
    assert (split.counts.core_rounds[-1], split.counts.core_items) == (9081, 856)
    assert split.counts.peer_rounds[0] == 473
    ordered = split.members.join(reviews.select("review_id", "order"), on="review_id", maintain_order="left")
    assert ordered.select((pl.col("order").diff().over("user").fill_null(1) > 0).all()).item()
