from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from idiolect.errors import ConfigError
from idiolect.methods import peer_comparison
from idiolect.methods.peer_comparison import AllPeers, ComparisonConfig, PeerComparisonBuilder
from idiolect.peers import InMemoryReviews
from idiolect.types import Item, Review, Sample


def ids(reviews):
    return [review.id for review in reviews]


def test_anchors_are_only_reviews_whose_item_enough_others_wrote_about(world):
    anchors = world.comparisons(retriever="recency").anchors(world.sample)
    assert ids(anchors) == ["u-i4", "u-i3", "u-i2", "u-i1", "u-i0"]
    assert ids(world.comparisons(retriever="recency", representatives=1).anchors(world.sample))[0] == "u-i5"
    assert world.comparisons(representatives=6).anchors(world.sample) == []


def test_whoever_is_nobodys_peer_is_in_no_case(world):
    items = [Item(id=f"i{k}") for k in range(6)]
    reviews = [review for user in ("u", "o0", "o1", "o2", "o3", "o4") for review in world.reader.profile(user)]
    vectors = {review.id: world.reader.vectors([review.id], encoder="e")[0] for review in reviews}
    reader = InMemoryReviews(items, reviews, vectors, encoder="e", opted_out={"o2"})
    config = ComparisonConfig(retriever="recency", representatives=4)
    (comparisons,) = PeerComparisonBuilder(reader, config, encoder="e").build([world.sample])
    assert comparisons
    assert "o2" not in {
        review.user for comparison in comparisons for review in (*comparison.all_peers, *comparison.representatives)
    }
    (none,) = PeerComparisonBuilder(reader, config.model_copy(update={"representatives": 5}), encoder="e").build(
        [world.sample]
    )
    assert none == ()


def test_bm25_matches_the_targets_title_and_item(world):
    assert ids(world.comparisons(anchors=2).anchors(world.sample)) == ["u-i3", "u-i2"]


def test_the_review_that_is_asked_for_is_no_anchor(world):
    target = world.reader.profile("u")[3]
    assert "u-i3" not in ids(world.comparisons(retriever="recency").anchors(Sample.of(target)))


def test_a_case_shows_the_representatives_and_knows_everybody(world):
    (comparisons,) = world.comparisons(retriever="recency", anchors=2, representatives=3).build([world.sample])
    assert [comparison.own.id for comparison in comparisons] == ["u-i4", "u-i3"]
    for comparison in comparisons:
        assert ids(comparison.all_peers) == [f"o{k}-{comparison.item.id}" for k in range(5)]
        assert len(comparison.representatives) == 3
        assert set(comparison.representatives) < set(comparison.all_peers)
        assert comparison.item.title == f"Item {comparison.item.id}"
        assert comparison.visible_texts.peers == tuple(other.text for other in comparison.representatives)
        assert len(comparison.all_texts.peers) == 5


def test_representatives_are_chosen_from_stored_vectors(world):
    (comparisons,) = world.comparisons(retriever="recency", anchors=1, representatives=1).build([world.sample])
    vectors = world.reader.vectors(ids([comparisons[0].own, *comparisons[0].all_peers]), encoder="e").astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert comparisons[0].representatives == (comparisons[0].all_peers[int(np.argmin(unit[1:] @ unit[0]))],)


def test_a_large_crowd_is_measured_by_a_draw_that_does_not_change(world, monkeypatch):
    monkeypatch.setattr(peer_comparison, "MAX_PEERS", 3)
    config = {"retriever": "recency", "representatives": 4}
    (comparisons,), (again,) = (world.comparisons(**config).build([world.sample]) for _ in range(2))
    assert comparisons == again
    assert all(len(comparison.all_peers) == 3 and len(comparison.representatives) == 4 for comparison in comparisons)
    assert all(ids(comparison.all_peers) == sorted(ids(comparison.all_peers)) for comparison in comparisons)


def test_clusters_choose_at_most_as_many_as_asked(world):
    (comparisons,) = world.comparisons(retriever="recency", selector="kmeans", representatives=2).build([world.sample])
    assert all(1 <= len(comparison.representatives) <= 2 for comparison in comparisons)


def test_without_an_encoder_no_vector_is_read(world):
    reader = InMemoryReviews([], [r for u in ("u", "o0", "o1") for r in world.reader.profile(u)], {}, encoder="e")
    (comparisons,) = PeerComparisonBuilder(reader, ComparisonConfig(representatives=2), encoder=None).build(
        [world.sample]
    )
    assert len(comparisons) == 5
    assert all(len(comparison.representatives) == 2 for comparison in comparisons)


def test_a_user_without_history_has_no_comparisons_and_others_keep_theirs(world):
    stranger = Sample(user="nobody", item="new")
    nothing, comparisons = world.comparisons().build([stranger, world.sample])
    assert nothing == ()
    assert len(comparisons) == 5


def test_comparisons_are_the_same_whatever_samples_come_with_them(world):
    samples = [world.sample, Sample(user="o0", item="new"), Sample(user="o1", item="i0"), world.sample] * 10
    builder = world.comparisons(selector="kmeans", representatives=2)
    assert builder.build(samples) == [comparisons for sample in samples for comparisons in builder.build([sample])]


def test_a_prolific_user_counts_once():
    def review(user, n):
        return Review(id=f"{user}{n}", user=user, item="i", text="", order=n)

    reader = InMemoryReviews([], [review("b", 0), review("a", 1), review("b", 2), review("u", 3)], {}, encoder="e")
    assert ids(AllPeers(reader).of(review("u", 3))) == ["a1", "b2"]


def test_a_time_cut_leaves_out_whoever_wrote_later():
    def review(user, time):
        return Review(id=user, user=user, item="i", text=user, timestamp=time)

    reviews = [review("u", 1), review("a", 2), review("b", 9)]
    reader = InMemoryReviews([Item(id="i")], reviews, {}, encoder="e")
    target = Sample.of(Review(id="t", user="u", item="j", text="", timestamp=5))
    cut = ComparisonConfig(representatives=1)
    (comparisons,) = PeerComparisonBuilder(reader, cut, encoder=None, peers_before=True).build([target])
    assert ids(comparisons[0].all_peers) == ["a"]
    undated = Sample(user="u", item="j", target="t")
    with pytest.raises(ConfigError, match="no time cut"):
        PeerComparisonBuilder(reader, cut, encoder=None, peers_before=True).build([undated])


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
    builder = PeerComparisonBuilder(InMemoryReviews(items, visible, {}, encoder="e"), encoder=None)
    expected = json.loads((golden / f"a2_anchors_{name}" / "expected.json").read_text())["samples"]
    for one in expected:
        anchors = builder.anchors(Sample.of(reviews[one["user_id"], one["target_asin"]]))
        assert [anchor.item for anchor in anchors] == one["anchor_top8_stable_rule"]
