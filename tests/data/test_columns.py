"""Which column is taken for which field, and what is said of the others."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import idiolect as idl
from idiolect.data import open_items, open_reviews
from idiolect.data.readers import items_in
from idiolect.data.records import REVIEW_ALIASES, Columns, resolve_columns
from idiolect.data.rejects import Rejected
from idiolect.data.values import without_reply_marks
from idiolect.errors import InputError
from idiolect.store.ingestion import ingest_files
from idiolect.store.sql import SqlStore
from idiolect.types import Item

REQUIRED = ("user", "item", "text")


def taken(*present: str, **named: str) -> Columns:
    return resolve_columns(REVIEW_ALIASES, named, present, required=REQUIRED, where="file")


def of(columns: Columns) -> dict[str, str]:
    return {field: name for field, name in columns.of.items() if field not in columns.absent}


@pytest.mark.parametrize(
    ("present", "fields"),
    [
        ("Id,ProductId,UserId,ProfileName,Score,Time,Summary,Text", "UserId,ProductId,Text,Score,Summary,Time"),
        (
            "User ID,Item ID,Review Text,Rating,Review Title,Date",
            "User ID,Item ID,Review Text,Rating,Review Title,Date",
        ),
        ("user, item, text, rating", "user, item, text, rating"),
        (
            "asins,name,reviews.date,reviews.rating,reviews.text,reviews.title,reviews.username,product_id",
            "reviews.username,product_id,reviews.text,reviews.rating,reviews.title,reviews.date",
        ),
        (
            "Title,User_id,product_id,review/score,review/time,review/summary,review/text",
            "User_id,product_id,review/text,review/score,review/summary,review/time",
        ),
        ("USER_ID,ASIN,REVIEWTEXT,reviewTime", "USER_ID,ASIN,REVIEWTEXT,,,reviewTime"),
    ],
)
def test_names_are_compared_without_case_and_punctuation(present: str, fields: str) -> None:
    names = ("user", "item", "text", "rating", "title", "timestamp")
    expected = {field: name for field, name in zip(names, fields.split(","), strict=False) if name}
    assert of(taken(*present.split(","))) == expected


@given(st.data())
def test_any_spelling_of_a_usual_name_will_do(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(REVIEW_ALIASES["rating"]))
    letters = [data.draw(st.sampled_from([c, c.upper(), f"_{c}", f" {c}", f"{c}-"])) for c in name]
    assert of(taken("user", "item", "text", "".join(letters)))["rating"] == "".join(letters)


def test_what_was_taken_and_what_was_left_is_reported() -> None:
    columns = taken("UserId", "item", "text", "Time", "Helpful")
    assert columns.text(("rating", "title", "timestamp")) == (
        "user=UserId item=item text=text timestamp=Time; no rating, title; not used: Helpful"
    )
    assert "rating=" not in taken("user", "item", "text", "stars", rating="-").text(("rating",))


def test_two_columns_that_may_be_meant_are_refused_unless_one_is_named() -> None:
    with pytest.raises(InputError, match=r"several columns that may hold 'text': 'Text', 'text'") as caught:
        taken("user", "item", "Text", "text")
    assert "text='Text'" in str(caught.value.hint)
    assert of(taken("user", "item", "Text", "text", text="text"))["text"] == "text"
    assert of(taken("user", "item", "text", "Helpful", "helpful"))["text"] == "text"
    assert of(taken("user", "item", "Body", text="body"))["text"] == "Body"


@pytest.mark.parametrize("mark", ["{", '"', "'", ",", "\\\\", "\\t"])
def test_a_damaged_row_brings_no_second_column(tmp_path: Path, mark: str) -> None:
    rows = [f'{{"user": "u", "item": "i{k}", "{mark if k == 1 else ""}text": "words {k}"}}\n' for k in range(3)]
    if mark == '"':
        rows[1] = rows[1].replace('""text', '"\\"text')
    (tmp_path / "r.jsonl").write_text("".join(rows))
    rejects: list[Rejected] = []
    source = open_reviews(tmp_path / "r.jsonl", on_reject=rejects.append)
    assert [review.text for review in source] == ["words 0", "words 2"]
    assert [(reject.line, reject.reason) for reject in rejects] == [(2, "missing text")]
    assert len(source.parts[0].columns.unused) == 1


def test_a_table_with_two_columns_of_one_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("user,item,text,text\nu,i,one,two\n")
    table = pa.table([pa.array([x]) for x in ("u", "i", "one", "two")], names=["user", "item", "text", "text"])
    pq.write_table(table, tmp_path / "r.parquet")
    for name in ("r.csv", "r.parquet"):
        with pytest.raises(InputError, match="two columns called 'text'"):
            list(open_reviews(tmp_path / name))
    (tmp_path / "r.csv").write_text("user,item,text,,\nu,i,one,,\n")
    assert [review.text for review in open_reviews(tmp_path / "r.csv")] == ["one"]


def test_members_of_objects_are_columns(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"author": {"id": "u"}, "item": "i", "review": {"text": "words", "rating": "4,5"}, "x": 1}\n')
    source = open_reviews(path, columns={"user": "author.id"})
    (review,) = source
    assert (review.user, review.text, review.rating) == ("u", "words", 4.5)
    assert source.parts[0].columns.unused == ("x",)


MAIL = ("from", "subject", "body", "date")


@pytest.mark.parametrize(
    ("present", "user", "item"),
    [
        (MAIL, "from", "subject"),
        (("From", "Subject", "Body"), "From", "Subject"),
        (("author", "link_id", "body", "created_utc", "id", "parent_id", "subreddit_id"), "author", "link_id"),
        (("username", "thread_id", "post_id", "text"), "username", "thread_id"),
        # A file of another kind keeps its columns.
        ((*MAIL, "author", "product_id"), "author", "product_id"),
        ((*MAIL, "user_name", "pid", "thread_id", "link_id"), "user_name", "pid"),
        ((*MAIL, "thread_id", "link_id"), "from", "thread_id"),
        ((*MAIL, "link_id"), "from", "link_id"),
    ],
)
def test_posts_and_mails_have_a_user_and_an_item(present: tuple[str, ...], user: str, item: str) -> None:
    found = of(taken(*present))
    assert (found["user"], found["item"]) == (user, item)


@given(
    st.lists(st.sampled_from(["author", "product_id", "item", "asin", "user_id", "pid", "username"]), unique=True),
    st.lists(st.sampled_from(["from", "subject", "thread_id", "link_id"]), unique=True),
)
def test_columns_of_posts_and_mails_come_after_all_others(usual: list[str], more: list[str]) -> None:
    before = {"user": "-", "item": "-", **of(resolve_columns(REVIEW_ALIASES, {}, usual, required=(), where="file"))}
    after = {"user": "-", "item": "-", **of(resolve_columns(REVIEW_ALIASES, {}, usual + more, required=(), where="x"))}
    assert all(after[field] == before[field] for field in ("user", "item") if before[field] != "-")


MARKS = st.sampled_from(["Re", "RE", "re", "Fwd", "FW", "AW", "Aw", "WG", "Antw", "Re[2]", "Re (3)", "SV"])


@given(st.lists(st.tuples(MARKS, st.sampled_from([":", ": ", " : ", "：", ":\n "]))))
def test_a_reply_is_about_the_subject_that_it_replies_to(marks: list[tuple[str, str]]) -> None:
    said = "".join(f"{mark}{colon}" for mark, colon in marks)
    for subject in ("Tea", "Regarding: tea", "Reply to all", "Tea: re: which?", "AWS: prices", "re", "2: a lamp"):
        assert without_reply_marks(f"{said}{subject}") == subject


def test_replies_have_one_item_only_where_it_is_a_subject(tmp_path: Path) -> None:
    subjects = ["Tea", "Re: Tea", "RE: Re:  Tea", "Fwd: Tea", "AW: Antw: Tea", "Re:"]
    columns = {"From": "ann", "Subject": "", "Body": "words", "product_id": "Re: Tea"}
    rows = [{**columns, "Subject": subject, "Body": f"words {k}"} for k, subject in enumerate(subjects)]
    path, mails = tmp_path / "r.csv", [{k: v for k, v in row.items() if k != "product_id"} for row in rows]
    pl.DataFrame(mails).write_csv(path)
    source = open_reviews(path)
    assert {(review.user, review.item) for review in source} == {("ann", "Tea")}
    assert source.summary.rejected == {"missing item": 1}
    pl.DataFrame(rows).write_csv(path)
    assert {review.item for review in open_reviews(path)} == {"Re: Tea"}
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"headers": {"subject": "Re: Tea"}, "author": "ann", "text": "words"}) + "\n")
    assert [review.item for review in open_reviews(path, columns={"item": "headers.subject"})] == ["Tea"]


def post(user: str, thread: object, text: str, **more: object) -> dict[str, object]:
    return {
        "author": user,
        "thread_id": thread,
        "body": text,
        "title": f"title of {text}",
        "id": f"post {text}",
        **more,
    }


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_rows_that_hold_their_thread_bring_it_as_item(tmp_path: Path, suffix: str) -> None:
    tea = {"thread_title": "Which tea?", "first_post": "I like it mild."}
    rows = [post("ann", 1, "a", **tea), post("bob", 1, "b", **tea), post("ann", 2, "c", thread_title="", first_post="")]
    path, frame = tmp_path / f"posts.{suffix}", pl.DataFrame(rows)
    {"jsonl": frame.write_ndjson, "csv": frame.write_csv, "parquet": frame.write_parquet}[suffix](path)
    report = ingest_files(path, store=str(tmp_path / "s.db"))
    assert (report.stored.reviews_added, report.stored.items_added, report.stored.refused) == (3, 1, ())
    assert "not used: id\n" in report.text
    assert "columns of items: item=thread_id title=thread_title description=first_post\n" in report.text
    with SqlStore(tmp_path / "s.db", create=False) as store:
        (peer,) = store.reviews_of("1", exclude="ann")
        assert (peer.user, peer.title) == ("bob", "title of b")
        assert store.items(["1"])["1"] == Item(id="1", title="Which tea?", description="I like it mild.")
        assert store.items(["2"]) == {}


def test_items_of_threads_have_the_ids_of_the_posts(tmp_path: Path) -> None:
    rows = [post("ann", "7.0", "a", topic_title="Tea", forum="Kitchen"), "no row"]
    path = tmp_path / "posts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for columns, id in (({}, "7"), ({"category": "forum"}, "Kitchen/7"), ({"item": "title"}, "title of a")):
        file = open_reviews(path, columns=columns, category="")
        assert [review.item for review in file] == [id]
        assert [(item.id, item.title) for item in items_in(file)] == ([] if "item" in columns else [(id, "Tea")])
        assert file.carries_items == ("item" not in columns)


def test_a_folder_of_posts_and_of_other_rows_brings_the_items_of_the_posts(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text(json.dumps(post("ann", "t1", "a", link_title="Tea")) + "\n")
    (tmp_path / "in" / "b.csv").write_text("user,item,text\nann,i,words\n")
    lamp = [{"id": "q", "input": "?", "profile": [{"id": "1", "text": "An article", "title": "A headline"}]}]
    (tmp_path / "in" / "c_questions.json").write_text(json.dumps(lamp))
    report = ingest_files(tmp_path / "in", store=str(tmp_path / "s.db"))
    assert (report.stored.reviews_added, report.stored.items_added, report.skipped) == (3, 2, {})


def test_comments_of_reddit_are_of_the_threads_of_its_submissions(tmp_path: Path) -> None:
    comments, threads = tmp_path / "RC.jsonl", tmp_path / "RS.jsonl"
    rows = [
        {"author": "ann", "body": "So do I.", "link_id": "t3_8xyz1", "parent_id": "t1_c1", "id": "c2"},
        {"author": "bob", "body": "Mild, mostly.", "link_id": " t3_8xyz1", "parent_id": "t3_8xyz1", "id": "c1"},
        {"author": "cyd", "body": "Ask Ann.", "link_id": "t3_Ann's", "parent_id": None, "id": "c3"},
    ]
    comments.write_text("".join(json.dumps({**row, "subreddit": "tea"}) + "\n" for row in rows))
    thread = {"author": "ann", "title": "Which tea?", "selftext": "I like it mild.", "subreddit": "tea"}
    threads.write_text(json.dumps({**thread, "id": "8xyz1", "name": "t3_8xyz1"}) + "\n")
    report = idl.Store(tmp_path / "s.db").add(comments, items=threads)
    assert (report.known.known, report.known.reviews) == (2, 3)
    for columns in ({}, {"item": "name"}):
        (item,) = open_items(threads, columns=columns)
        assert (item.id, item.title, item.description) == ("8xyz1", "Which tea?", "I like it mild.")
    assert [review.item for review in open_reviews(comments)] == ["8xyz1", "8xyz1", "t3_Ann's"]
    assert [review.item for review in open_reviews(comments, columns={"item": "parent_id"})] == ["c1", "8xyz1"]


def test_ids_that_look_like_reddits_stay_in_files_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("user,product_id,text\nann,t3_a,Fine.\n")
    assert [review.item for review in open_reviews(path)] == ["t3_a"]
    path.write_text("id,title\nt3_a,Tea\n")
    assert [item.id for item in open_items(path)] == ["t3_a"]


def test_comments_that_hold_their_threads_title_bring_it_as_item(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"author": "ann", "body": "Ha.", "link_id": "t3_a", "link_title": "Tea?"}) + "\n")
    report = idl.Store(tmp_path / "s.db").add(path)
    assert (report.known.known, report.an_item) == (1, "a")
