from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from idiolect.peers import InMemoryReviews, peers_of
from idiolect.retrieval import BM25, bm25_scores
from idiolect.types import Item, ItemId, Review, ReviewId, Sample, UserId


def read_rows(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def reviews(shared):
    """(user, item) to review: nobody reviewed an item twice here."""
    rows = read_rows(shared / "data" / "digital_music" / "reviews.jsonl.gz")
    return {
        (row["user_id"], row["item_id"]): Review(
            id=ReviewId(str(order)),
            user=UserId(row["user_id"]),
            item=ItemId(row["item_id"]),
            text=row["text"],
            title=row["title"] or "",
            timestamp=row["timestamp"],
            order=order,
        )
        for order, row in enumerate(rows)
    }


@pytest.fixture(scope="module")
def items(shared):
    rows = read_rows(shared / "data" / "digital_music" / "items.jsonl.gz")
    return {
        ItemId(row["item_id"]): Item(
            id=ItemId(row["item_id"]), title=row["title"] or "", description=row["description"] or ""
        )
        for row in rows
    }


class Case:
    """One golden split: the profiles at test time, and the authors' lists."""

    def __init__(self, golden, name, reviews, items):
        users = json.loads((golden / f"a1_split_{name}" / "expected.json").read_text())["users"]
        self.samples = json.loads((golden / f"a2_anchors_{name}" / "expected.json").read_text())["samples"]
        self.profiles = {
            user: [reviews[user, item] for item in [*split["profile"], *split["train"], split["val"]]]
            for user, split in users.items()
        }
        visible = [review for profile in self.profiles.values() for review in profile]
        self.reader = InMemoryReviews(items.values(), visible, {}, encoder="none")


@pytest.fixture(scope="module", params=["digital_music_desc_ge1", "digital_music_desc_off"])
def case(request, golden, reviews, items):
    return Case(golden, request.param, reviews, items)


@pytest.mark.parametrize("which", ["profile_top8", "anchor_top8"])
def test_lists_and_scores_are_the_authors(case, reviews, items, which):
    for expected in case.samples:
        sample = Sample.of(reviews[expected["user_id"], expected["target_asin"]])
        profile = case.profiles[sample.user]
        assert len(profile) == expected["n_profile"]
        if which == "anchor_top8":
            profile = [own for own in profile if len({peer.user for peer in peers_of(case.reader, own)}) >= 4]
            assert len(profile) == expected["n_anchor_pool"]
        found = BM25().retrieve(sample, profile, items, 8)
        scores = dict(zip([review.id for review in profile], bm25_scores(sample, profile, items), strict=True))
        names = [review.item for review in found]
        assert names == expected[f"{which}_stable_rule"]
        np.testing.assert_allclose([scores[review.id] for review in found], expected[f"{which}_scores"], atol=1e-8)
        if not expected[f"{which}_order_tied"]:
            assert names == expected[which]
        if not expected[f"{which}_set_tied"]:
            assert set(names) == set(expected[which])


def test_case_is_kept_and_blanks_separate():
    items = {ItemId(key): Item(id=ItemId(key)) for key in "abcd"}
    profile = [
        Review(id=ReviewId(title), user=UserId("u"), item=ItemId(key), text="", title=title)
        for key, title in zip("abc", ["Loud music", "loud music", "other\twords"], strict=True)
    ]
    sample = Sample(user=UserId("u"), item=ItemId("d"), title="loud")
    assert (bm25_scores(sample, profile, items) > 0).tolist() == [False, True, False]


def test_a_pool_without_words_scores_zero():
    items = {ItemId("a"): Item(id=ItemId("a"))}
    profile = [Review(id=ReviewId("r"), user=UserId("u"), item=ItemId("a"), text="t")] * 3
    assert bm25_scores(Sample(user=UserId("u"), item=ItemId("a"), title="x"), profile, items).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("titles", "asked"),
    [
        (["普洱茶叶礼盒", "无线蓝牙耳机", "儿童雨衣"], "头戴式蓝牙耳机"),
        (["緑茶のティーバッグ", "ワイヤレスイヤホン", "子供用レインコート"], "防水イヤホン"),
        (["ชาเขียวใบ", "หูฟังไร้สาย", "เสื้อกันฝนเด็ก"], "หูฟังครอบหู"),
    ],
)
def test_scripts_without_blanks_are_compared_by_parts_of_a_title(titles, asked):
    items = {ItemId(key): Item(id=ItemId(key)) for key in "abcd"}
    profile = [
        Review(id=ReviewId(title), user=UserId("u"), item=ItemId(key), text="", title=title)
        for key, title in zip("abc", titles, strict=True)
    ]
    sample = Sample(user=UserId("u"), item=ItemId("d"), title=asked)
    assert [one.title for one in BM25().retrieve(sample, profile, items, 1)] == [titles[1]]
    assert bm25_scores(sample, profile, items)[1] > 0
