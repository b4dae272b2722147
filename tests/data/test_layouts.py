"""Published sets as they are distributed: the DPL authors', LaMP, LongLaMP, Yelp."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idiolect.data import open_items, open_reviews
from idiolect.data.published import published_roles
from idiolect.errors import InputError
from idiolect.store.ingestion import ingest_files
from idiolect.store.sql import SqlStore


def entry(k: int) -> dict[str, Any]:
    return {"rating": 5.0, "title": f"t{k}", "text": f"text {k}", "asin": f"B{k}", "timestamp": 1_600_000_000_000 + k}


def write(path: Path, *rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def dpl_rows(user: str) -> list[dict[str, Any]]:
    """The profiles grow by the target before, as in the authors' set."""
    return [{"user_id": user, "profile": [entry(k) for k in range(n)], "data": entry(n)} for n in (2, 3)]


def test_the_authors_set_gives_every_review_with_its_place_and_category(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(dpl_rows("u")[:1]), write(tmp_path / "Books" / "train-0.parquet"))
    write(tmp_path / "CDs_and_Vinyl" / "train.jsonl", *dpl_rows("u"))
    source = open_reviews(tmp_path)
    reviews = list(source)
    assert source.format == "dpl"
    assert [(r.item, r.order) for r in reviews[:3]] == [("Books/B0", 0), ("Books/B1", 1), ("Books/B2", 2)]
    assert [r.item for r in reviews[3:]] == [f"CDs_and_Vinyl/B{k}" for k in (0, 1, 2, 0, 1, 2, 3)]
    first = reviews[3]
    assert (first.user, first.text, first.rating, first.title) == ("CDs_and_Vinyl/u", "text 0", 5.0, "t0")
    assert first.timestamp == 1_600_000_000
    # What two rows of a user both show is the same review to the letter.
    assert reviews[3:6] == reviews[6:9]


def test_the_authors_items_get_the_same_ids(tmp_path: Path) -> None:
    write(tmp_path / "meta" / "Books.jsonl", {"asin": "B0", "title": "T", "description": "D"})
    (item,) = open_items(tmp_path / "meta", format="dpl")
    assert (item.id, item.title, item.description, item.category) == ("Books/B0", "T", "D", "Books")


@pytest.mark.parametrize(
    ("row", "reasons"),
    [
        ({"user_id": "u", "profile": [], "data": {}}, {"missing item": 1}),
        ({"user_id": "u", "profile": "x", "data": entry(1)}, {"wrong type: profile": 1}),
        ({"user_id": "u", "profile": None, "data": None}, {"missing profile": 1, "wrong type: data": 1}),
        ({"user_id": "u", "profile": [3, entry(0)], "data": entry(1)}, {"wrong type: profile entry": 1}),
        ({"user_id": None, "profile": [entry(0)], "data": entry(1)}, {"missing user": 2}),
    ],
)
def test_what_is_wrong_in_a_row_of_many_is_reported_one_by_one(
    tmp_path: Path, row: Any, reasons: dict[str, int]
) -> None:
    source = open_reviews(write(tmp_path / "r.jsonl", *dpl_rows("good"), row))
    list(source)
    assert source.summary.rejected == reasons
    assert source.summary.accepted + source.summary.lost == source.summary.read


PROFILES = {
    "LaMP_2": ({"id": "1", "description": "A plot", "tag": "classic"}, "classic", "A plot"),
    "LaMP_4": ({"id": "1", "text": "An article", "title": "A headline"}, "A headline", "An article"),
    "LaMP_5": ({"id": "1", "title": "A paper", "abstract": "We show"}, "A paper", "We show"),
    "LaMP_7": ({"id": "1", "text": "a tweet"}, "a tweet", None),
}


@pytest.mark.parametrize("task", PROFILES)
def test_lamp_questions_and_answers_become_reviews_of_what_they_are_about(tmp_path: Path, task: str) -> None:
    found, text, about = PROFILES[task]
    questions = [{"id": f"{k}", "input": f"question {k}", "profile": [found]} for k in range(2)]
    (tmp_path / "dev_questions.json").write_text(json.dumps(questions))
    golds = [{"id": f"{k}", "output": f"answer {k}"} for k in range(2)]
    (tmp_path / "dev_outputs.json").write_text(json.dumps({"task": task, "golds": golds}))
    source = open_reviews(tmp_path)
    reviews = list(source)
    assert source.format == "lamp"
    assert [(r.user, r.text, r.order) for r in reviews] == [
        ("0", text, 0),
        ("0", "answer 0", 1),
        ("1", text, 0),
        ("1", "answer 1", 1),
    ]
    items = {item.id: item.description for item in open_items(tmp_path)}
    assert [items.get(r.item) for r in reviews] == [about, "question 0", about, "question 1"]
    # Two people who wrote about the same thing share the item.
    assert (reviews[0].item == reviews[2].item) == (about is not None)


def test_lamp_scores_are_ratings_and_labels_are_no_texts(tmp_path: Path) -> None:
    question = {
        "id": 7,
        "user_id": 3,
        "input": "?",
        "profile": [{"id": "1", "text": "fine", "score": "4", "date": "2014-05-01"}],
    }
    (tmp_path / "q_questions.json").write_text(json.dumps([question]))
    (tmp_path / "q_outputs.json").write_text(json.dumps({"task": "LaMP_3", "golds": [{"id": 7, "output": "4"}]}))
    (review,) = open_reviews(tmp_path / "q_questions.json")
    assert (review.user, review.rating, review.timestamp) == ("3", 4.0, 1_398_902_400)
    (tmp_path / "q_outputs.json").write_text("{")
    with pytest.raises(InputError, match="no LaMP file of outputs"):
        open_reviews(tmp_path / "q_questions.json")


@pytest.mark.parametrize("task", PROFILES)
@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_lamp_questions_with_their_answers_joined_are_those_of_two_files(
    tmp_path: Path, task: str, suffix: str
) -> None:
    found, _, _ = PROFILES[task]
    questions = [{"id": f"{k}", "input": f"question {k}", "profile": [found]} for k in range(2)]
    (tmp_path / "two").mkdir()
    (tmp_path / "two/dev_questions.json").write_text(json.dumps(questions))
    golds = [{"id": f"{k}", "output": f"answer {k}"} for k in range(2)]
    (tmp_path / "two/dev_outputs.json").write_text(json.dumps({"task": task, "golds": golds}))
    joined = [{**question, **gold} for question, gold in zip(questions, golds, strict=True)]
    path = tmp_path / f"dev.{suffix}"
    path.write_text(json.dumps(joined) if suffix == "json" else "\n".join(map(json.dumps, joined)) + "\n")
    source = open_reviews(path)
    assert (list(source), source.format) == (list(open_reviews(tmp_path / "two")), "lamp")
    assert list(open_items(path)) == list(open_items(tmp_path / "two"))
    assert set(published_roles(path).values()) == {"profile", "validation"}


@pytest.mark.parametrize("label", ["4", "[2]", 3, "5.0"])
def test_labels_joined_to_questions_of_lamp_are_no_texts(tmp_path: Path, label: object) -> None:
    row = {"id": "7", "input": "?", "profile": [{"id": "1", "text": "fine", "score": "4"}], "output": label}
    (review,) = open_reviews(write(tmp_path / "r.jsonl", row))
    assert review.text == "fine"


@pytest.mark.parametrize(
    "row",
    [
        {"id": "1", "name": "ann", "input": "Write it"},
        {"id": "1", "input": 'Generate an abstract for the title "Tea" using the following items: 1. cups'},
    ],
)
def test_rows_of_longlamp_may_have_an_id(tmp_path: Path, row: dict[str, Any]) -> None:
    entry = {"id": "p1", "title": "A title", "abstract": "It shines", "year": 2019}
    source = open_reviews(write(tmp_path / "r.jsonl", {**row, "output": "Written", "profile": [entry]}))
    assert ([review.text for review in source], source.format) == (["It shines", "Written"], "longlamp")


LONG = {
    "reviewerId": {"overall": 4, "summary": "s", "description": "A lamp", "reviewText": "It shines"},
    "name": {"id": "p1", "title": "A title", "abstract": "It shines", "year": 2019},
    "author": {"input": "A topic", "output": "It shines"},
    "user_id": {"title": "A subject", "text": "It shines"},
}


@pytest.mark.parametrize("user", LONG)
def test_longlamp_profiles_and_outputs_become_reviews(tmp_path: Path, user: str) -> None:
    path = write(tmp_path / "r.jsonl", {user: "ann", "input": "Write it", "output": "Written", "profile": [LONG[user]]})
    source = open_reviews(path)
    first, target = source
    assert source.format == "longlamp"
    assert (first.user, first.text, first.order, target.text, target.order) == ("ann", "It shines", 0, "Written", 1)
    items = {item.id: (item.title, item.description) for item in open_items(path)}
    about = {
        "reviewerId": ("", "A lamp"),
        "name": ("A title", ""),
        "author": ("", "A topic"),
        "user_id": ("A subject", ""),
    }
    assert (items[first.item], items[target.item]) == (about[user], ("", "Write it"))
    assert (first.rating, first.title, first.timestamp) == {
        "reviewerId": (4.0, "s", None),
        "name": (None, "", 1_546_300_800),
    }.get(user, (None, "", None))


TAGS = "tags: [sci-fi, classic, dark comedy] description"
SECTIONS = "categories: [politics, food & drink] article"
LABEL = "Just answer with the {} name without further explanation."
INSTRUCTIONS = {
    "LaMP_2": f"Which tag does this movie relate to among the following tags? {LABEL.format('tag')} {TAGS}: ",
    "LaMP_2N": f"Which category does this article relate to among the following categories? "
    f"{LABEL.format('category')} {SECTIONS}: ",
    "LaMP_4": "Generate a headline for the following article: ",
    "LaMP_5": "Generate a title for the following abstract of a paper: ",
    "LaMP_6": "Generate a subject for the following email: ",
    "LaMP_7": "Paraphrase the following tweet without any explanation before or after it: ",
}
"""As the inputs of the distributed files begin."""
KEYS = {"LaMP_2": ("description", "tag"), "LaMP_5": ("abstract", "title")}


def lamp_of_two(folder: Path, task: str, text: str, before: str) -> Path:
    """Ann is asked to write about ``text``; Bob wrote about it before, and is asked to write about something else."""
    about, written = KEYS.get(task, ("text", "title"))
    profiles = {"ann": {about: "Another text", written: "Ann's"}, "bob": {about: text, written: "Bob's"}}
    inputs = {"ann": before + text, "bob": f"{before}A third text"}
    rows = [{"id": name, "user_id": name, "input": inputs[name], "profile": [profiles[name]]} for name in profiles]
    (folder / "dev_questions.json").write_text(json.dumps(rows))
    golds = [{"id": name, "output": f"{name}'s answer"} for name in profiles]
    (folder / "dev_outputs.json").write_text(json.dumps({"task": task, "golds": golds}))
    return folder / "dev_questions.json"


@pytest.mark.parametrize("task", sorted(set(INSTRUCTIONS) - {"LaMP_7"}))
def test_a_question_about_what_another_wrote_about_has_that_other_as_peer(tmp_path: Path, task: str) -> None:
    text = '"We show: a [tea] that is "mild"." Generate a headline for the following article: no'
    path = lamp_of_two(tmp_path, task, text, INSTRUCTIONS[task])
    report = ingest_files(path, store=str(tmp_path / "s.db"))
    assert (report.stored.items_added, report.stored.refused_items) == (3, ())
    with SqlStore(tmp_path / "s.db", create=False) as store:
        (target,) = [review for review in store.profile("ann") if review.text == "ann's answer"]
        assert [(r.user, r.text) for r in store.reviews_of(target.item, exclude="ann")] == [("bob", "Bob's")]
        assert store.items([target.item])[target.item].description == text


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(set(INSTRUCTIONS) - {"LaMP_7"})), TEXTS.filter(str.strip), st.sampled_from(["", " ", "\n"])
)
def test_whatever_two_wrote_about_is_one_item(tmp_path: Path, task: str, text: str, blank: str) -> None:
    path = lamp_of_two(tmp_path, task, text, INSTRUCTIONS[task] + blank)
    items = {(review.user, review.order): review.item for review in open_reviews(path)}
    assert items["ann", 1] == items["bob", 0]
    assert len(set(items.values())) == len({text.strip(), "Another text", "A third text"})


@pytest.mark.parametrize(
    "before", ["Write a headline for the following article: ", "Now generate a headline for the following article: "]
)
def test_an_instruction_of_unknown_wording_stays(tmp_path: Path, before: str) -> None:
    path = lamp_of_two(tmp_path, "LaMP_4", "An article", before)
    items = {item.id: item.description for item in open_items(path)}
    reviews = {review.text: items[review.item] for review in open_reviews(path)}
    assert (reviews["ann's answer"], reviews["Bob's"]) == (f"{before}An article", "An article")


REVIEW = (
    'Generate the review text written by a reviewer who has {}given an overall rating of "{}" for a product with '
    'description "{}". The summary of the review text is "{}".'
)
PHRASES = " using the following items: 1. mild tea\n2. hot water\n"


@pytest.mark.parametrize(
    ("asked", "profile", "item", "review"),
    [
        ('Generate an abstract for the title "{}"' + PHRASES, {"title": "{}", "abstract": "x"}, ("{}", ""), ("", None)),
        ('Generate an abstract for the title "{}".', {"title": " {}", "abstract": "x"}, ("{}", ""), ("", None)),
        (
            REVIEW.format("a ", "4.0", "{}", 'So "so"'),
            {"description": "{}", "reviewText": "x", "summary": "s", "overall": "5.0"},
            ("", "{}"),
            ('So "so"', 4.0),
        ),
        (REVIEW.format("", 4, "{}", ""), {"description": "{}", "reviewText": "x"}, ("", "{}"), ("", 4.0)),
        ("Generate the content for a reddit post {}", {"summary": "{}", "content": "x"}, ("", "{}"), ("", None)),
        ("Generate the content for a Reddit post {}", {"input": "{}", "output": "x"}, ("", "{}"), ("", None)),
    ],
)
@pytest.mark.parametrize("text", ['A "mild" tea, and a lamp', "A [tea]\nof two lines. The title 5 is {x}"])
def test_an_output_of_longlamp_is_about_the_text_without_its_instruction(
    tmp_path: Path, asked: str, profile: Any, item: tuple[str, str], review: Any, text: str
) -> None:
    def said(value: str) -> str:
        return value.replace("{}", text)

    bobs = {name: said(value) for name, value in profile.items()}
    rows = [
        {"author": "ann", "input": said(asked), "output": "Ann's", "profile": []},
        {"author": "bob", "input": "Write it", "output": "Bob's", "profile": [bobs]},
    ]
    path = write(tmp_path / "r.jsonl", *rows)
    anns, bobs_first, _ = open_reviews(path)
    assert anns.item == bobs_first.item
    assert (anns.title, anns.rating) == review
    items = open_items(path)
    assert {(i.title, i.description) for i in items if i.id == anns.item} == {tuple(map(said, item))}
    report = ingest_files(path, store=str(tmp_path / "s.db"))
    assert (report.stored.items_added, report.stored.refused_items) == (2, ())


def test_a_target_that_stands_in_a_later_profile_is_the_same_review(tmp_path: Path) -> None:
    entry = {"overall": "4.0", "summary": "Fine", "description": "A lamp", "reviewText": "It shines."}
    first = {"reviewerId": "u", "input": REVIEW.format("a ", "4.0", "A lamp", "Fine"), "output": "It shines."}
    later = {"reviewerId": "u", "input": REVIEW.format("a ", "5.0", "Tea", "Ok"), "output": "Mild.", "profile": [entry]}
    write(tmp_path / "train.jsonl", {**first, "profile": []})
    write(tmp_path / "test.jsonl", later)
    assert sorted(published_roles(tmp_path).values()) == ["test", "train"]


@pytest.mark.parametrize(
    "time", [{"unixReviewTime": 1_541_808_000}, {"reviewTime": "11 10, 2018"}, {"timestamp": 1_541_808_000_000}]
)
def test_reviews_of_longlamp_are_dated_by_any_of_their_columns(tmp_path: Path, time: dict[str, Any]) -> None:
    entry = {"overall": 4, "summary": "s", "description": "A lamp", "reviewText": "It shines", **time}
    row = {"reviewerId": "u", "input": "x", "output": "y", "profile": [entry]}
    assert [review.timestamp for review in open_reviews(write(tmp_path / "r.jsonl", row))] == [1_541_808_000] * 2
    own = {**row, "profile": [], **time}
    assert [review.timestamp for review in open_reviews(write(tmp_path / "own.jsonl", own))] == [1_541_808_000]


def test_yelp_is_read_as_it_comes(tmp_path: Path) -> None:
    review = {
        "review_id": "r",
        "user_id": "u",
        "business_id": "b",
        "stars": 4.0,
        "text": "x",
        "date": "2018-07-07 22:09:11",
    }
    business = {"business_id": "b", "name": "Bar", "city": "Reno", "stars": 3.5, "categories": "Bars, Food"}
    source = open_reviews(write(tmp_path / "review.json", review))
    (found,) = source
    assert (source.format, found.id, found.item, found.rating) == ("yelp", "r", "b", 4.0)
    assert found.timestamp == 1_531_001_351
    (item,) = open_items(write(tmp_path / "business.json", business))
    assert (item.title, item.description) == ("Bar", "Bars, Food")


@pytest.mark.parametrize(
    "dates", [["2010-03-01", "2012", "2011-07"], [2010, 2012, 2011], [10, 12, 11], ["1971", "1972"]]
)
def test_the_answer_is_newer_than_every_entry_of_the_profile(tmp_path: Path, dates: list[Any]) -> None:
    profile = [{"id": str(k), "text": f"article {k}", "title": f"t{k}", "date": date} for k, date in enumerate(dates)]
    questions = [{"id": 7.0, "user_id": "u", "input": "?", "profile": profile}]
    (tmp_path / "q_questions.json").write_text(json.dumps(questions))
    golds = [{"id": "7", "output": "the answer"}]
    (tmp_path / "q_outputs.json").write_text(json.dumps({"task": "LaMP_4", "golds": golds}))
    row = {"name": "u", "input": "?", "output": "the answer"}
    row["profile"] = [{"title": f"t{k}", "abstract": f"a{k}", "year": date} for k, date in enumerate(dates)]
    for path in (tmp_path / "q_questions.json", write(tmp_path / "long.jsonl", row)):
        reviews = sorted(open_reviews(path), key=lambda review: review.moment)
        assert reviews[-1].text == "the answer"
        assert reviews[-1].timestamp == reviews[-2].timestamp is not None


def test_a_target_of_the_authors_without_a_time_is_newest_too(tmp_path: Path) -> None:
    target = {**entry(9), "timestamp": None}
    row = {"user_id": "u", "profile": [entry(0), entry(1)], "data": target}
    reviews = list(open_reviews(write(tmp_path / "r.jsonl", row)))
    assert max(reviews, key=lambda review: review.moment).text == "text 9"


def test_an_entry_that_is_no_text_costs_itself_alone(tmp_path: Path) -> None:
    profile = [{"title": "\ud800", "text": "lost"}, {"title": "fine", "text": "kept"}]
    path = write(tmp_path / "r.jsonl", {"name": "ann", "input": "x", "output": "y", "profile": profile})
    source = open_reviews(path)
    assert [review.text for review in source] == ["kept", "y"]
    assert source.summary.rejected == {"not UTF-8": 1}
    items = open_items(path)
    assert [item.title for item in items] == ["fine", ""]
    assert items.summary.rejected == {"not UTF-8": 1}


def test_an_answer_that_is_no_text_is_listed(tmp_path: Path) -> None:
    questions = [{"id": k, "input": "?", "profile": [{"id": "1", "text": "a tweet"}]} for k in range(3)]
    (tmp_path / "q_questions.json").write_text(json.dumps(questions))
    golds = [{"id": 0, "output": None}, {"id": 1, "output": 4}]
    (tmp_path / "q_outputs.json").write_text(json.dumps({"task": "LaMP_7", "golds": golds}))
    source = open_reviews(tmp_path / "q_questions.json")
    assert len(list(source)) == 3
    assert source.summary.rejected == {"missing text": 1, "wrong type: text": 1}


def test_pgraphrag_profiles_are_reviews_by_their_place(tmp_path: Path) -> None:
    hotel = {"review_title": "Fine", "review_text": "Good beds.", "overall_rating": 4.0, "product_id": 125081570}
    shop = {"title": "Ok", "text": "It works.", "rating": 5, "pid": "B1"}
    path = tmp_path / "hotel_dev.json"
    path.write_text(json.dumps([{"id": "ann", "profile": [hotel, shop]}, {"id": "bob", "profile": [hotel]}]))
    source = open_reviews(path)
    found = [(r.user, r.item, r.text, r.title, r.rating, r.timestamp, r.order) for r in source]
    assert source.format == "pgraphrag"
    assert found == [
        ("ann", "125081570", "Good beds.", "Fine", 4.0, None, 0),
        ("ann", "B1", "It works.", "Ok", 5.0, None, 1),
        ("bob", "125081570", "Good beds.", "Fine", 4.0, None, 0),
    ]
    with pytest.raises(InputError, match="does not say which reviews are train"):
        published_roles(path)


BOUGHT = {
    "parent_asin": "B1",
    "asin": "B1x",
    "rating": 5,
    "title": "T",
    "text": "Good.",
    "timestamp": 1_700_000_000_000,
}


def test_memorycd_interactions_are_reviews_and_their_domain_is_the_items_category(tmp_path: Path) -> None:
    other = {**BOUGHT, "parent_asin": "C1", "text": "Bad.", "negative_parent_asins": ["B2", "B3"]}
    path = write(tmp_path / "users.jsonl", {"user_id": "u", "interactions": {"Books": [BOUGHT], "Beauty": [other]}})
    source = open_reviews(path)
    found = [(r.user, r.item, r.text, r.title, r.rating, r.timestamp, r.order) for r in source]
    assert source.format == "memorycd"
    assert source.carries_items
    assert found == [
        ("u", "B1", "Good.", "T", 5.0, 1_700_000_000, 0),
        ("u", "C1", "Bad.", "T", 5.0, 1_700_000_000, 1),
    ]
    assert [(item.id, item.category) for item in open_items(path)] == [("B1", "Books"), ("C1", "Beauty")]
    meta = {"parent_asin": "B1", "title": "A book", "main_category": "Books", "description": ["About", "tea"]}
    (item,) = open_items(write(tmp_path / "meta" / "meta_Books.jsonl", meta))
    assert (item.id, item.title, item.description, item.category) == ("B1", "A book", "About tea", "Books")


@pytest.mark.parametrize(
    ("row", "reasons"),
    [
        ({"user_id": "u", "interactions": None}, {"missing interactions": 1}),
        ({"user_id": "u", "interactions": [BOUGHT]}, {"wrong type: interactions": 1}),
        ({"user_id": "u", "interactions": {"Books": BOUGHT}}, {"wrong type: interactions": 1}),
        ({"user_id": "u", "interactions": {"Books": [7, BOUGHT]}}, {"wrong type: interactions entry": 1}),
        ({"user_id": None, "interactions": {"Books": [BOUGHT]}}, {"missing user": 1}),
        ({"user_id": "u", "interactions": {"Books": [{}]}}, {"missing item": 1}),
        ({"user_id": "u", "interactions": {}}, {}),
    ],
)
def test_what_is_wrong_in_a_user_of_memorycd_is_told_one_by_one(tmp_path: Path, row: Any, reasons: Any) -> None:
    good = {"user_id": "good", "interactions": {"Books": [BOUGHT]}}
    source = open_reviews(write(tmp_path / "r.jsonl", good, row))
    list(source)
    assert source.summary.rejected == reasons


hostile = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["pid", "text", "title", "rating", "timestamp", "parent_asin", "review_text", "category", "user"]
)
reviews_of = st.lists(hostile | st.dictionaries(names, hostile, max_size=5), max_size=3)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hostile | reviews_of, hostile | st.dictionaries(st.text(max_size=4), hostile | reviews_of, max_size=2), hostile)
def test_every_row_is_accepted_or_listed_whatever_stands_in_it(tmp_path: Path, profile, interactions, user) -> None:
    """And every record that is accepted has a user, an item and a text, in both formats."""
    graph = [{"id": "ok", "profile": [{"pid": "p", "text": "t"}]}, {"id": user, "profile": profile}]
    (tmp_path / "g.json").write_text(json.dumps(graph))
    users = [{"user_id": "ok", "interactions": {"Books": [BOUGHT]}}, {"user_id": user, "interactions": interactions}]
    for path, format in ((tmp_path / "g.json", "pgraphrag"), (write(tmp_path / "m.jsonl", *users), "memorycd")):
        listed: list[Any] = []
        source = open_reviews(path, on_reject=listed.append)
        found = list(source)
        assert source.format == format
        assert found[0].user == "ok"
        assert all(review.user and review.item and review.text.strip() for review in found)
        assert source.summary.accepted == len(found)
        assert source.summary.read == len(found) + len(listed)
        if format == "memorycd":
            assert all(item.id for item in open_items(path))
