import re
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from idiolect.data import ITEM_SCHEMA, REVIEW_SCHEMA, Split, SplitConfig, holdout, make_split, scan
from idiolect.data.kcore import (
    RowBuckets,
    Rows,
    eligible,
    joined,
    k_core,
    newest,
    newest_unique,
    numbered,
    oldest_first,
    with_texts,
)
from idiolect.data.scan import collapse_whitespace
from idiolect.data.split import write_split
from idiolect.errors import InputError
from idiolect.types import Review

OPEN = SplitConfig(
    min_text_chars=1, require_title=False, require_rating=False, require_timestamp=False, require_item_title=False,
    min_description_chars=None, max_description_chars=None, min_item_users=2, min_user_reviews=3, max_user_reviews=9,
    train=1, validation=1, test=1, min_peers=2, min_profile=1,
)  # fmt: skip
NO_ITEMS = pl.DataFrame(schema=ITEM_SCHEMA)


def table(*rows: tuple, timed: bool = True) -> pl.DataFrame:
    """Reviews of (user, item, text, time); without ``timed`` the time is the order."""
    return pl.DataFrame(
        {
            "review_id": [f"r{n}" for n in range(len(rows))],
            "user": [r[0] for r in rows],
            "item": [r[1] for r in rows],
            "rating": [4.0] * len(rows),
            "title": ["t"] * len(rows),
            "text": [r[2] for r in rows],
            "timestamp": [r[3] if timed else None for r in rows],
            "order": [n if timed else r[3] for n, r in enumerate(rows)],
        },
        schema=REVIEW_SCHEMA,
    )


@st.composite
def tables(draw) -> pl.DataFrame:
    """Dense enough that something survives, with many repeated items and texts and tied times."""
    n = draw(st.integers(1, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    texts = draw(st.sampled_from([10, 60, 1000]))
    drawn = rng.integers(0, [5, 8, texts, 20], size=(n, 4))
    rows = [(f"u{user}", f"i{item}", f"text {text}", int(time) + 1) for user, item, text, time in drawn]
    return table(*rows, timed=draw(st.booleans()))


def greedy(frame: pl.DataFrame) -> list[str]:
    """The rule as it is written down: newest first, dropped when a kept review has the item or the text."""
    seen, kept = set(), []
    for id_, user, item, text in frame.select("review_id", "user", "item", "text").rows():
        if (user, item, 0) not in seen and (user, text, 1) not in seen:
            seen |= {(user, item, 0), (user, text, 1)}
            kept.append(id_)
    return kept


def rows_of(frame: pl.DataFrame) -> pl.DataFrame:
    codes = (frame[name].rank("dense").cast(pl.Int32) for name in ("user", "item"))
    return with_texts(numbered(*codes), frame["text"].hash() % 2**32, lambda at: frame["text"].gather(at))


def kept_of(frame: pl.DataFrame) -> pl.DataFrame:
    return frame[newest_unique(rows_of(frame))["place"].sort()]


@settings(deadline=None, max_examples=50)
@given(tables())
def test_deduplication_is_the_sequential_rule(frame):
    assert kept_of(frame)["review_id"].to_list() == greedy(frame)


@settings(deadline=None, max_examples=50)
@given(tables())
def test_deduplication_keeps_one_review_an_item_and_a_text(frame):
    kept = kept_of(frame)
    for column in ("item", "text"):
        assert not kept.select(pl.struct("user", column).is_duplicated().any()).item()
    lost = frame.join(kept, on="review_id", how="anti")
    for user, item, text in lost.select("user", "item", "text").rows():
        assert kept.filter(pl.col("user") == user, (pl.col("item") == item) | (pl.col("text") == text)).height


def test_dropping_one_repeat_can_save_another():
    frame = table(("u", "i1", "t1", 3), ("u", "i2", "t1", 2), ("u", "i2", "t3", 1))
    assert kept_of(frame)["review_id"].to_list() == ["r0", "r2"]


def core_of(frame: pl.DataFrame) -> tuple[Rows, tuple[int, ...]]:
    buckets = RowBuckets(1, None)
    buckets[0] = rows_of(frame)
    core = k_core(buckets, frame["item"].n_unique() + 1, OPEN)
    assert core.items == frame[joined(buckets[0])["place"]]["item"].n_unique()
    return buckets[0], core.rounds


@settings(deadline=None, max_examples=50)
@given(tables())
def test_the_k_core_is_the_largest_fixed_point(frame):
    frame = frame[newest(frame)]
    rows, rounds = core_of(frame)
    reviews = frame[joined(rows)["place"]]
    support = kept_of(reviews).group_by("user").len()["len"]
    assert support.is_between(OPEN.min_user_reviews, OPEN.max_user_reviews or 0).all()
    assert (reviews.group_by("item").agg(pl.col("user").n_unique())["user"] >= OPEN.min_item_users).all()
    assert support.len() == reviews["user"].n_unique()
    assert rounds[-1] == reviews.height
    assert sorted(rounds, reverse=True) == list(rounds)
    assert core_of(reviews)[1] == (reviews.height,)


@settings(deadline=None, max_examples=50)
@given(tables())
def test_split_roles_are_disjoint_and_ordered(frame):
    try:
        split = make_split(frame, NO_ITEMS, OPEN)
    except InputError as error:
        event(error.message.split(":")[0])
        return
    event("users are left")
    members = split.members.join(frame, on=["review_id", "user"], maintain_order="left")
    assert members["review_id"].is_unique().all()
    for _, own in members.group_by("user", maintain_order=True):
        assert own["role"].to_list()[-3:] == ["train", "validation", "test"]
        assert set(own["role"][:-3]) == {"profile"}
        assert own["item"].is_unique().all()
        assert own["text"].is_unique().all()
        times = own.select(pl.struct("timestamp", "order"))
        assert times.equals(times.sort("timestamp"))
    profile = members.filter(pl.col("role") == "profile")
    assert (profile.group_by("item").len()["len"] >= OPEN.min_peers).all()


class Slices:
    """The reviews of a frame, three at a time."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame
        self.height = frame.height

    def batches(self, *columns: str) -> Iterator[pl.DataFrame]:
        return self.frame.select(columns).iter_slices(3)


@settings(deadline=None, max_examples=30)
@given(tables(), st.sampled_from([1, 3, 2**32]), st.sampled_from([2, 17, 10**6]))
def test_reviews_read_in_batches_and_buckets_split_as_in_memory_also_if_hashes_collide(frame, hashes, rows):
    try:
        split = make_split(frame, NO_ITEMS, OPEN)
    except InputError as error:
        event("no user is left")
        with pytest.raises(InputError, match=re.escape(error.message)):
            make_split(Slices(frame), NO_ITEMS, OPEN)
        return
    event("users are left")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(scan, "_HASHES", hashes)
        patched.setattr(scan, "BUCKET_ROWS", rows)
        patched.setattr(holdout, "_PART_ROWS", 7)
        read = make_split(Slices(frame), NO_ITEMS, OPEN)
    assert read.members.equals(split.members)
    assert read.counts == split.counts


def test_a_parquet_file_splits_as_its_table_does(tmp_path):
    rows = [(f"u{user}", f"i{item}", f"text {user} {item}", item) for item in range(9) for user in range(6)]
    table(*rows).write_parquet(tmp_path / "reviews.parquet")
    split = make_split(scan.ParquetScan(tmp_path / "reviews.parquet"), NO_ITEMS, OPEN)
    assert split.members.equals(make_split(table(*rows), NO_ITEMS, OPEN).members)


@pytest.mark.parametrize("rows", [5, 10**6])
def test_a_split_that_is_written_in_parts_is_the_one_in_memory(tmp_path, monkeypatch, rows):
    drawn = [(f"u{user}", f"i{item}", f"text {user} {item}", item) for item in range(9) for user in range(6)]
    table(*drawn).write_parquet(tmp_path / "reviews.parquet")
    split = make_split(table(*drawn), NO_ITEMS, OPEN)
    split.save(tmp_path / "whole", fingerprint="f")
    monkeypatch.setattr(scan, "BUCKET_ROWS", rows)
    monkeypatch.setattr(holdout, "_PART_ROWS", rows)
    (work := tmp_path / "work").mkdir()
    reviews = scan.ParquetScan(tmp_path / "reviews.parquet")
    counts = write_split(reviews, NO_ITEMS, OPEN, tmp_path / "parts", work=work, fingerprint="f")
    loaded = Split.load(tmp_path / "parts", fingerprint="f")
    assert loaded.members.equals(split.members)
    assert loaded.counts == counts == split.counts
    if rows > len(drawn):
        assert (tmp_path / "parts" / "members.parquet").read_bytes() == (
            tmp_path / "whole" / "members.parquet"
        ).read_bytes()


@pytest.mark.parametrize("written", [None, "text"])
def test_what_is_no_parquet_of_reviews_is_refused(tmp_path, written):
    path = tmp_path / "reviews.parquet"
    pl.DataFrame({"text": ["a"]}).write_parquet(path) if written else path.write_text("{}")
    with pytest.raises(InputError, match="no column 'review_id'" if written else "not a readable Parquet file"):
        scan.ParquetScan(path)


def many_users(n_users: int, n_items: int, lengths: list[int]) -> pl.DataFrame:
    """Every user reviews items in an order of their own."""
    rng = np.random.default_rng(3)
    drawn = ((f"u{u}", rng.permutation(n_items)[: lengths[u % len(lengths)]]) for u in range(n_users))
    return table(*((user, f"i{item}", f"{user} {k}", k + 1) for user, items in drawn for k, item in enumerate(items)))


@pytest.mark.parametrize("in_buckets", [False, True])
def test_long_profiles_give_more_training_targets_and_nobody_drops_out(monkeypatch, in_buckets):
    frame = many_users(60, 14, [5, 6, 7, 12])
    fewest = OPEN.model_copy(update={"min_profile": 2, "min_peers": 4, "max_user_reviews": None, "train": 1})
    if in_buckets:
        monkeypatch.setattr(scan, "BUCKET_ROWS", 50)
    before, after = (
        make_split(frame, NO_ITEMS, config)
        for config in (fewest, fewest.model_copy(update={"train": 3, "min_train": 1}))
    )
    assert after.users == before.users
    assert before.counts.train == before.counts.users
    roles = {user: roles for user, roles in after.members.group_by("user").agg("role").iter_rows()}
    for user, own in roles.items():
        train = own.count("train")
        assert own == ["profile"] * (len(own) - train - 2) + ["train"] * train + ["validation", "test"]
        assert 1 <= train <= 3
        assert own.count("profile") >= 2
        if int(user[1:]) % 4 == 0:  # five reviews
            assert train == 1
    assert after.counts.train > 2 * after.counts.users
    profile = after.members.filter(role="profile").join(frame, on="review_id")
    assert (profile.group_by("item").len()["len"] >= 4).all()
    assert set(after.members["review_id"]) == set(before.members["review_id"])


@settings(deadline=None, max_examples=50)
@given(tables(), st.integers(0, 1), st.integers(1, 3))
def test_further_training_targets_leave_every_profile_item_its_peers(frame, fewest, most):
    config = OPEN.model_copy(update={"train": fewest})
    try:
        before = make_split(frame, NO_ITEMS, config)
    except InputError:
        return
    after = make_split(frame, NO_ITEMS, config.model_copy(update={"train": max(fewest, most), "min_train": fewest}))
    assert after.users == before.users
    assert after.members["review_id"].equals(before.members["review_id"])
    counts = after.members.group_by("user").agg(
        train=(pl.col("role") == "train").sum(), profile=(pl.col("role") == "profile").sum()
    )
    assert counts["train"].is_between(fewest, max(fewest, most)).all()
    assert (counts["profile"] >= OPEN.min_profile).all()
    profile = after.members.filter(role="profile").join(frame, on="review_id")
    assert (profile.group_by("item").len()["len"] >= OPEN.min_peers).all()
    event("some give more" if after.counts.train > before.counts.train else "nobody gives more")


@settings(deadline=None, max_examples=30)
@given(tables(), st.integers(0, 3))
def test_as_many_training_targets_for_everybody_is_what_min_train_is_by_default(frame, train):
    config = OPEN.model_copy(update={"train": train})
    try:
        everybody = make_split(frame, NO_ITEMS, config).members
    except InputError:
        everybody = None
    try:
        stated = make_split(frame, NO_ITEMS, config.model_copy(update={"min_train": train})).members
    except InputError:
        stated = None
    assert (stated is None) == (everybody is None)
    assert stated is None or stated.equals(everybody)


def test_no_user_left_is_an_error_that_tells_what_was_left():
    with pytest.raises(InputError, match="1 reviews, 1 after the filters, 0 in the k-core"):
        make_split(table(("u", "i", "x", 1)), NO_ITEMS, OPEN)


def test_ties_stand_in_table_order_in_both_directions():
    frame = table(("u", "i", "a", 1), ("u", "j", "b", 2), ("u", "k", "c", 1), ("u", "l", "d", 2))
    assert oldest_first(frame)["text"].to_list() == ["a", "c", "b", "d"]
    assert frame[newest(frame)]["text"].to_list() == ["b", "d", "a", "c"]


def test_order_decides_where_there_are_no_timestamps():
    frame = table(("u", "i", "a", 1), ("u", "j", "b", 3), ("u", "k", "c", 2), timed=False)
    assert oldest_first(frame)["text"].to_list() == ["a", "c", "b"]
    assert frame[newest(frame)]["text"].to_list() == ["b", "c", "a"]


def test_an_order_field_breaks_the_ties_of_timestamps():
    frame = table(("u", "i", "a", 1), ("u", "j", "b", 1)).with_columns(order=pl.Series([5, 2]))
    assert oldest_first(frame)["text"].to_list() == ["b", "a"]


@pytest.mark.parametrize(
    ("switch", "change"),
    [
        ({"require_title": True}, {"title": ""}),
        ({"require_rating": True}, {"rating": 0.0}),
        ({"require_rating": True}, {"rating": None}),
        ({"require_timestamp": True}, {"timestamp": 0}),
        ({"require_timestamp": True}, {"timestamp": None}),
        ({"require_item_title": True}, {"item": "unknown"}),
        ({"require_item_title": True}, {"item": "untitled"}),
        ({"min_description_chars": 2}, {"item": "terse"}),
        ({"max_description_chars": 3}, {"item": "wordy"}),
        ({"min_text_chars": 2}, {"text": "é"}),
    ],
)
def test_each_filter_can_be_switched(switch: dict, change: dict):
    items = pl.DataFrame(
        [("good", "t", "ddd", ""), ("untitled", "", "ddd", ""), ("terse", "t", "d", ""), ("wordy", "t", "dddd", "")],
        schema=ITEM_SCHEMA,
        orient="row",
    )
    good = table(("u", "good", "text", 1))
    bad = good.with_columns(**{name: pl.lit(value, REVIEW_SCHEMA[name]) for name, value in change.items()})
    both = pl.concat([good, bad])
    assert eligible(both, items, OPEN).height == 2
    assert eligible(both, items, OPEN.model_copy(update=switch)).equals(good)


@given(st.lists(st.text(st.sampled_from("ab \t\n\x0b\x1c\u00a0\u2003\u3000")), min_size=1))
def test_whitespace_collapses_as_pythons_split_does(texts):
    assert collapse_whitespace(pl.Series(texts)).to_list() == [" ".join(text.split()) for text in texts]


def test_an_unknown_time_is_older_than_every_known_one_and_never_the_newest():
    frame = table(("u", "a", "a", None), ("u", "b", "b", 0), ("u", "c", "c", None), ("u", "d", "d", 5))
    assert oldest_first(frame)["text"].to_list() == ["a", "c", "b", "d"]
    assert frame[newest(frame)]["text"].to_list() == ["d", "b", "c", "a"]


@given(st.lists(st.tuples(st.none() | st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=20))
def test_the_order_of_a_table_is_the_order_of_moments(times):
    frame = table(*[("u", f"i{k}", f"t{k}", time) for k, (time, _) in enumerate(times)]).with_columns(
        order=pl.Series([order for _, order in times], dtype=pl.Int64)
    )
    moments = [
        Review(id="r", user="u", item="i", text="", timestamp=row[0], order=row[1]).moment
        for row in oldest_first(frame).select("timestamp", "order").rows()
    ]
    assert moments == sorted(moments)


def test_a_split_counts_its_reviews_without_a_time():
    rows = [
        (f"u{u}", f"i{i}", f"text {u} {i}", None if (u, i) == (0, 4) else i + 1) for u in range(3) for i in range(6)
    ]
    split = make_split(table(*rows), NO_ITEMS, OPEN.model_copy(update={"min_peers": 1}))
    assert split.counts.undated == 1
    roles = dict(split.members.select("review_id", "role").rows())
    assert roles["r4"] == "profile"


@pytest.mark.parametrize(
    ("changes", "named", "not_named"),
    [
        ({"min_text_chars": 999}, "min_text_chars", "min_peers"),
        ({"require_title": True}, "require_title=false", "min_user_reviews"),
        ({"min_description_chars": 5}, "min_description_chars=null", "min_user_reviews"),
        ({"min_user_reviews": 9}, "min_user_reviews", "min_text_chars"),
        ({"min_profile": 9}, "min_profile", "min_item_users"),
    ],
)
def test_the_hint_names_the_settings_that_left_nobody(changes, named, not_named):
    rows = [
        {"review_id": f"{u}{i}", "user": u, "item": i, "text": f"{u} on {i}", "rating": None, "title": "",
         "timestamp": None, "order": 0} for u in "abc" for i in "uvwxy"
    ]  # fmt: skip
    reviews, items = pl.DataFrame(rows, schema=REVIEW_SCHEMA), pl.DataFrame([], schema=ITEM_SCHEMA)
    with pytest.raises(InputError) as caught:
        make_split(reviews, items, OPEN.model_copy(update=changes))
    assert named in caught.value.hint
    assert not_named not in caught.value.hint
    with pytest.raises(InputError, match="holds no reviews"):
        make_split(reviews.clear(), items, OPEN)
