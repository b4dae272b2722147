from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from idiolect.errors import ConfigError
from idiolect.methods.stages import CaseBuilder, ComparisonConfig, Others
from idiolect.peers import InMemoryReviews
from idiolect.types import Item, Review, Sample


def ids(reviews):
    return [review.id for review in reviews]


def test_anchors_are_only_reviews_whose_item_enough_others_wrote_about(world):
    anchors = world.cases(retriever="recency").anchors(world.sample)
    assert ids(anchors) == ["u-i4", "u-i3", "u-i2", "u-i1", "u-i0"]
    assert ids(world.cases(retriever="recency", min_others=1).anchors(world.sample))[0] == "u-i5"
    assert world.cases(min_others=6).anchors(world.sample) == []


def test_whoever_is_nobodys_peer_is_in_no_case(world):
    items = [Item(id=f"i{k}") for k in range(6)]
    reviews = [review for user in ("u", "o0", "o1", "o2", "o3", "o4") for review in world.reader.profile(user)]
    vectors = {review.id: world.reader.vectors([review.id], encoder="e")[0] for review in reviews}
    reader = InMemoryReviews(items, reviews, vectors, encoder="e", opted_out={"o2"})
    config = ComparisonConfig(retriever="recency", representatives=2, min_others=4)
    (cases,) = CaseBuilder(reader, config, encoder="e").build([world.sample])
    assert cases
    assert "o2" not in {review.user for case in cases for review in (*case.crowd, *case.others)}
    (none,) = CaseBuilder(reader, config.model_copy(update={"min_others": 5}), encoder="e").build([world.sample])
    assert none == ()


def test_bm25_matches_the_targets_title_and_item(world):
    assert ids(world.cases(anchors=2).anchors(world.sample)) == ["u-i3", "u-i2"]


def test_the_review_that_is_asked_for_is_no_anchor(world):
    target = world.reader.profile("u")[3]
    assert "u-i3" not in ids(world.cases(retriever="recency").anchors(Sample.of(target)))


def test_a_case_shows_the_representatives_and_knows_everybody(world):
    (cases,) = world.cases(retriever="recency", anchors=2, representatives=3).build([world.sample])
    assert [case.own.id for case in cases] == ["u-i4", "u-i3"]
    for case in cases:
        assert ids(case.crowd) == [f"o{k}-{case.item.id}" for k in range(5)]
        assert len(case.others) == 3
        assert set(case.others) < set(case.crowd)
        assert case.item.title == f"Item {case.item.id}"
        assert case.shown.peers == tuple(other.text for other in case.others)
        assert len(case.whole.peers) == 5


def test_representatives_are_chosen_from_stored_vectors(world):
    (cases,) = world.cases(retriever="recency", anchors=1, representatives=1, min_others=4).build([world.sample])
    vectors = world.reader.vectors(ids([cases[0].own, *cases[0].crowd]), encoder="e").astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert cases[0].others == (cases[0].crowd[int(np.argmin(unit[1:] @ unit[0]))],)


def test_a_large_crowd_is_measured_by_a_draw_that_does_not_change(world):
    config = {"retriever": "recency", "representatives": 4, "max_crowd": 3}
    (cases,), (again,) = (world.cases(**config).build([world.sample]) for _ in range(2))
    assert cases == again
    assert all(len(case.crowd) == 3 and len(case.others) == 4 for case in cases)
    assert all(ids(case.crowd) == sorted(ids(case.crowd)) for case in cases)


def test_clusters_choose_at_most_as_many_as_asked(world):
    (cases,) = world.cases(retriever="recency", selector="kmeans", representatives=2).build([world.sample])
    assert all(1 <= len(case.others) <= 2 for case in cases)


def test_without_an_encoder_no_vector_is_read(world):
    reader = InMemoryReviews([], [r for u in ("u", "o0", "o1") for r in world.reader.profile(u)], {}, encoder="e")
    (cases,) = CaseBuilder(reader, ComparisonConfig(representatives=2), encoder=None).build([world.sample])
    assert len(cases) == 5
    assert all(len(case.others) == 2 for case in cases)


def test_a_user_without_history_has_no_cases_and_costs_nobody_else_theirs(world):
    stranger = Sample(user="nobody", item="new")
    nothing, cases = world.cases().build([stranger, world.sample])
    assert nothing == ()
    assert len(cases) == 5


def test_cases_are_the_same_whatever_samples_are_beside_them(world):
    samples = [world.sample, Sample(user="o0", item="new"), Sample(user="o1", item="i0"), world.sample] * 10
    builder = world.cases(selector="kmeans", representatives=2)
    assert builder.build(samples) == [cases for sample in samples for cases in builder.build([sample])]


def test_a_prolific_user_is_one_voice():
    def review(user, n):
        return Review(id=f"{user}{n}", user=user, item="i", text="", order=n)

    reader = InMemoryReviews([], [review("b", 0), review("a", 1), review("b", 2), review("u", 3)], {}, encoder="e")
    assert ids(Others(reader).of(review("u", 3))) == ["a1", "b2"]


def test_a_time_cut_leaves_out_whoever_wrote_later():
    def review(user, time):
        return Review(id=user, user=user, item="i", text=user, timestamp=time)

    reviews = [review("u", 1), review("a", 2), review("b", 9)]
    reader = InMemoryReviews([Item(id="i")], reviews, {}, encoder="e")
    target = Sample.of(Review(id="t", user="u", item="j", text="", timestamp=5))
    cut = ComparisonConfig(peers_before=True, representatives=2, min_others=1)
    (cases,) = CaseBuilder(reader, cut, encoder=None).build([target])
    assert ids(cases[0].crowd) == ["a"]
    undated = Sample(user="u", item="j", target="t")
    with pytest.raises(ConfigError, match="no time cut"):
        CaseBuilder(reader, cut, encoder=None).build([undated])


@pytest.mark.parametrize("name", ["digital_music_desc_ge1", "digital_music_desc_off"])
def test_anchors_are_the_authors(shared, golden, name):
    def rows(file):
        with gzip.open(shared / "data" / "digital_music" / file, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    reviews = {
        (row["user_id"], row["item_id"]): Review(
            id=str(order), user=row["user_id"], item=row["item_id"], text="", title=row["title"] or "",
            order=order, timestamp=row["timestamp"],
        )
        for order, row in enumerate(rows("reviews.jsonl.gz"))
    }  # fmt: skip
    items = [Item(id=row["item_id"], description=row["description"] or "") for row in rows("items.jsonl.gz")]
    users = json.loads((golden / f"a1_split_{name}" / "expected.json").read_text())["users"]
    visible = [
        reviews[user, item]
        for user, split in users.items()
        for item in [*split["profile"], *split["train"], split["val"]]
    ]
    builder = CaseBuilder(InMemoryReviews(items, visible, {}, encoder="e"), encoder=None)
    expected = json.loads((golden / f"a2_anchors_{name}" / "expected.json").read_text())["samples"]
    for one in expected:
        anchors = builder.anchors(Sample.of(reviews[one["user_id"], one["target_asin"]]))
        assert [anchor.item for anchor in anchors] == one["anchor_top8_stable_rule"]
