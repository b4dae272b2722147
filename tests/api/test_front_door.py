"""The scripts of the README: a DataFrame in, texts, tables and cards out."""

from __future__ import annotations

import inspect
import json
import random
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

import idiolect as idl
from idiolect.cli.main import main
from idiolect.errors import ConfigError, InputError, NotFoundError

WORDS = ["good", "bad", "fine", "odd", "great", "poor", "tea", "cup", "well", "never"]


def rows():
    rng = random.Random(0)
    return [
        {
            "reviewerID": f"u{user}",
            "asin": f"i{item}",
            "reviewText": f"User {user} on item {item}: "
            + " ".join(rng.choices(WORDS, k=12 + user))
            + "!" * (user % 3),
            "overall": float(rng.randint(1, 5)),
            "unixReviewTime": 1_300_000_000 + 86_400 * item + user,
        }
        for user in range(12)
        for item in range(10)
    ]


@pytest.fixture
def store(tmp_path):
    made = idl.Store(tmp_path / "people.db")
    made.add(pd.DataFrame(rows()), user="reviewerID", item="asin", text="reviewText")
    return made


def test_the_root_exports_lazily_and_loads_no_torch():
    code = "import sys, idiolect as idl; idl.Store, idl.RAG, idl.DEP, idl.score; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False")
    assert all(getattr(idl, name) is not None for name in idl.__all__)
    assert dir(idl) == sorted(idl.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Stroe'") as found:
        _ = idl.Stroe
    assert (found.value.name, found.value.obj) == ("Stroe", idl)  # from these Python says "Did you mean: 'Store'?"


TABLES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "arrow": pa.Table.from_pylist,
    "dicts": list,
    "generator": iter,
    "columns": lambda found: {name: [row[name] for row in found] for name in found[0]},
    "path": None,
}


@pytest.mark.parametrize("kind", TABLES)
def test_every_kind_of_table_gives_the_same_store(tmp_path, store, kind):
    data = rows()
    if kind == "path":
        data = tmp_path / "reviews.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    else:
        data = TABLES[kind](data)
    other = idl.Store(str(tmp_path / "other.db"))
    report = other.add(data, user="reviewerID", item="asin", text="reviewText")
    assert (report.read, report.accepted, report.rejected) == (120, 120, 0)
    with store.open() as one, other.open() as two:
        assert one.fingerprint() == two.fingerprint()


def test_bad_rows_of_a_table_are_listed_next_to_the_store(tmp_path):
    store = idl.Store(tmp_path / "s.db")
    frame = pd.DataFrame(
        {
            "user": ["ann", None, "bob", "cyd"],
            "item": [1, 2, 3, np.int64(4)],
            "text": ["Fine.", "Lost.", float("nan"), "Odd."],
            "rating": [np.float32(4), 2, 3, float("nan")],
            "timestamp": pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03", None]),
        }
    )
    report = store.add(frame)
    assert (report.accepted, report.rejected) == (2, 2)
    assert report.rejects == tmp_path / "s.db.table.rejects.jsonl"
    assert len(report.rejects.read_text().splitlines()) == 2
    (review,) = store.profile("ann")
    assert (review.item, review.rating, review.timestamp) == ("1", 4.0, 1_577_836_800)
    assert store.profile("cyd")[0].rating is None
    assert store.profile("cyd")[0].timestamp is None


def test_mixed_pandas_columns_that_arrow_has_no_type_for(tmp_path):
    frame = pd.DataFrame({"user": ["ann", 7], "item": ["tea", "mug"], "text": ["Fine.", "Odd."], "x": [object(), {1}]})
    store = idl.Store(tmp_path / "s.db")
    assert store.add(frame).accepted == 2
    assert store.users() == ["7", "ann"]


def test_reviews_and_items_as_values(tmp_path):
    store = idl.Store(tmp_path / "s.db")
    review = idl.Review(id="r", user="ann", item="tea", text="Fine.", rating=3.0, timestamp=5)
    assert store.add([review], items=[idl.Item(id="tea", title="Green tea")]).accepted == 1
    assert store.profile("ann") == [review]
    assert store.item("tea").title == "Green tea"
    assert store.item("mug") is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (7, "int is no table"),
        ([{"user": "a"}, "b"], "a row of the table is a str"),
        ({"user": ["a"], "item": ["t", "u"], "text": ["x"]}, "different lengths: user 1, item 2, text 1"),
        (pd.DataFrame({"user": ["a"], "item": ["t"]}), "text"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(tmp_path, data, message):
    with pytest.raises(InputError, match=message):
        idl.Store(tmp_path / "s.db").add(data)
    assert not (tmp_path / "s.db").exists()


def test_write_evaluate_explain_and_forget(store, tmp_path, caplog):
    split = store.split(tmp_path / "split")
    assert repr(idl.Split(str(tmp_path / "split"), store.path)) == repr(split)
    assert split.users == store.users() or set(split.users) <= set(store.users())
    with idl.RAG("fake", k=2) as rag:
        written = rag.write(store, user="u1", item="i2", rating="4/5")
        assert written.text
        assert len(written.anchors) == 2
        assert "already reviewed" in caplog.text
        result = idl.evaluate([rag, idl.PAG("fake", k=2)], split, tmp_path / "out", settings={"encoder": "hash"})
    assert {"rag", "pag (measured)", "nonpersonalized"} == set(result.to_pandas()["method"])
    assert "rouge1" in result.table() == repr(result)
    assert result.report.is_file()
    assert result.to_polars().filter(pl.col("method") == "rag")["baseline"].is_null().all()
    assert store.explain("u1").user == "u1"
    assert store.forget("u1").record()["reviews"] == 10
    assert store.profile("u1") == []
    with pytest.raises(NotFoundError):
        store.explain("u1")


def test_a_muted_difference_counts_for_whoever_writes_from_the_store(store):
    """The past texts in a prompt are then those that show it least; undone, the prompt is as before."""
    rag = idl.RAG("fake", k=2, settings={"context": {"retriever": "recency"}})

    def written():
        found = rag.write(store, user="u1", item="i2")
        return found.prompt, found.anchors, [note for note in found.notes if "exclamations" in note]

    store.add_review(
        user="u1", item="i11", text="I had it with tea, and it was what it is.", timestamp=1, encoder="hash"
    )
    before = written()
    store.correct("u1", "exclamations")
    assert [one.state for one in store.corrections("u1")] == ["muted"]
    prompt, _, notes = written()
    assert "what it is." in prompt
    assert "what it is." not in before[0]
    assert notes == ["muted: exclamations; past texts that show it least come first"]
    assert store.undo_correction("u1", "exclamations")
    assert written() == before
    with pytest.raises(ConfigError, match="unknown difference"):
        store.correct("u1", "shoe-size")
    with pytest.raises(NotFoundError):
        store.correct("nobody", "exclamations")


def test_dep_is_fitted_saved_and_read_back(store, tmp_path):
    split = store.split(tmp_path / "split")
    settings = {"fit": {"max_steps": 1}, "controls": [], "sampling": {"max_new_tokens": 8}}
    dep = idl.DEP(encoder="hash", k=1, settings=settings)
    with pytest.raises(ConfigError, match="not fitted"):
        dep.write(store, user="u1", item="i2")
    dep.fit(split)
    assert dep.adapter == tmp_path / "split-dep"
    first = dep.write(store, user="u1", item="i2", rating=4)
    saved = dep.save_pretrained(tmp_path / "copy")
    assert {path.name for path in saved.iterdir()} >= {"config.json", "adapter.safetensors", "settings.json"}
    again = idl.DEP.from_pretrained(saved).write(store, user="u1", item="i2", rating=4)
    assert (again.method, again.text) == ("dep", first.text)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files"):
        dep.save_pretrained(tmp_path / "mine")


def test_the_least_table_of_the_readme_can_be_split(tmp_path):
    small = idl.Store(tmp_path / "small.db")
    small.add([{"user": u, "item": i, "text": f"{u} has a thing to say about {i}."} for u in "abc" for i in "wxyz"])
    with pytest.raises(InputError, match="no user is left"):
        small.split(tmp_path / "none")
    least = {"min_user_reviews": 4, "min_item_users": 2, "min_peers": 2, "min_profile": 1, "min_text_chars": 1}
    assert small.split(tmp_path / "split", **least).users == ["a", "b", "c"]


def test_results_are_readable_and_say_what_was_new(tmp_path):
    table = pd.DataFrame(
        {
            "user": ["ann", "ann", "bob", "bob"],
            "item": ["tea", "tea", "tea", "mug"],
            "text": ["Fine.", "Fine.", "Good.", "Well."],
            "rating": [4.0, 4.0, float("nan"), 2.0],
        }
    )
    small = idl.Store(tmp_path / "small.db")
    report = small.add(table)
    assert (report.read, report.accepted, report.added, report.unchanged, report.rejected) == (4, 4, 3, 1, 0)
    assert repr(report) == report.text
    assert "1 rows are in the store already, or twice in the data" in report.text
    assert "1 of 4 reviews have no rating" in report.text
    receipt = small.forget("ann")
    assert repr(receipt) == receipt.text
    assert receipt.text.startswith("1 reviews and 0 vectors removed")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"timestamp": "yesterday"}, "the timestamp cannot be read: 'yesterday'"),
        ({"timestamp": [1]}, "the timestamp is a list, not a number"),
        ({"timestamp": True}, "the timestamp is a bool"),
        ({"rating": "good"}, "'good' is no rating"),
        ({"rating": [4]}, "the rating is a list, not a number"),
        ({"title": 3}, "the title is a int, not a text"),
    ],
)
def test_a_review_of_wrong_types_is_refused_in_one_line(tmp_path, wrong, message):
    small = idl.Store(tmp_path / "small.db")
    with pytest.raises(InputError, match=message):
        small.add_review("ann", "tea", "Fine.", encoder="hash", **wrong)
    with pytest.raises(InputError, match="timestamp is a int, not a column's name"):
        small.add([{"user": "ann", "item": "tea", "text": "Fine."}], timestamp=3)


def test_a_review_takes_dates(tmp_path):
    small = idl.Store(tmp_path / "small.db")
    for at, item in ((date(2018, 11, 10), "a"), ("2018-11-10", "b"), (np.int64(1_541_808_000), "c")):
        assert small.add_review("ann", item, "Fine.", encoder="hash", timestamp=at).timestamp == 1_541_808_000


def test_a_store_without_items_says_that_bm25_had_nothing_to_go_by(tmp_path):
    small = idl.Store(tmp_path / "small.db")
    texts = [{"user": u, "item": i, "text": f"{u} has a thing to say about {i}."} for u in "abcde" for i in "xy"]
    small.add(texts, items=[{"item": "y", "title": "Tea", "description": "Green tea."}])
    drp = idl.DRP("fake", encoder="hash")
    assert any("BM25" in note for note in drp.write(small, user="a", item="x").notes)
    assert not drp.write(small, user="a", item="y").notes
    assert not idl.RAG("fake").write(small, user="a", item="x").notes


def test_methods_of_different_models_are_not_compared(store, tmp_path):
    split = store.split(tmp_path / "split")
    with pytest.raises(ConfigError, match=r"different models: RAG\('fake'\) and PAG\('sandbox'\)"):
        idl.evaluate([idl.RAG("fake"), idl.PAG()], split, tmp_path / "out")


def test_an_adapter_is_compared_with_methods_of_the_model_it_was_fitted_to(store, tmp_path):
    split = store.split(tmp_path / "split")
    settings = {"fit": {"max_steps": 1, "metric": "nll"}, "controls": [], "sampling": {"max_new_tokens": 8}}
    settings |= {"targets": {"max_test": 2, "max_validation": 2}, "backbone": {"max_prompt_tokens": 256}}
    idl.DEP("sandbox", encoder="hash", k=1, settings=settings).fit(split)
    dep = idl.DEP.from_pretrained(tmp_path / "split-dep")
    assert repr(dep) == "DEP('sandbox')"
    result = idl.evaluate([idl.RAG("sandbox"), dep], split, tmp_path / "out", settings={"negative_controls": False})
    assert {"rag", "dep"} <= set(result.to_pandas()["method"])
    with pytest.raises(ConfigError, match=r"different models: RAG\('fake'\) and DEP\('sandbox'\)"):
        idl.evaluate([idl.RAG("fake"), dep], split, tmp_path / "other")


def test_budgets_do_not_make_another_model(store, tmp_path):
    split = store.split(tmp_path / "split")
    larger = idl.DEP("fake", settings={"backbone": {"max_prompt_tokens": 900, "batch_size": 4}})
    with pytest.raises(ConfigError, match="is not fitted"):
        idl.evaluate([idl.RAG("fake"), larger], split, tmp_path / "out")
    other = idl.DEP("fake", settings={"backbone": {"max_prompt_tokens": 900, "revision": "x"}})
    with pytest.raises(ConfigError, match="different models"):
        idl.evaluate([idl.RAG("fake"), other], split, tmp_path / "out")


PREDICTIONS = {"a": ["good green tea", "no", "well said"], "b": ["tea", "yes", "said"]}
REFERENCES = ["good green tea", "no", "well said indeed"]


def test_score_gives_intervals_tests_and_signatures():
    found = idl.score(PREDICTIONS, REFERENCES, users=["u", "v", "w"], baseline="b", metrics=["rouge1"], seed=3)
    frame = found.to_pandas().set_index("method")
    assert frame.loc["a", "value"] == pytest.approx((1 + 1 + 0.8) / 3)
    assert frame.loc["a", "difference"] == pytest.approx((0.5 + 1 + 0.3) / 3)
    assert frame.loc["a", "units"] == 3
    assert "metric:rouge1" in found.table()
    assert "metric:rouge1" in found.to_markdown()


TEXTS = st.lists(st.sampled_from(["good", "green", "tea", "no", "cup."]), min_size=4, max_size=9).map(" ".join)


@settings(deadline=None, max_examples=30)
@given(TEXTS, TEXTS, TEXTS)
def test_one_sample_has_scores_without_intervals_and_tests(one, other, reference):
    found = idl.score({"a": [one], "b": [other]}, [reference], baseline="b", metrics=["rouge1", "bleu"])
    cells = [row.cells[1] for row in found.scores.rows]
    bleu = [BLEU().corpus_score([text], [[reference]]).score for text in (one, other)]
    assert [(cell.score.value, cell.versus) for cell in cells if cell] == [(pytest.approx(one), None) for one in bleu]
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert {(own["low"], own["high"]) for run in record["methods"] for own in run["scores"].values()} == {(None, None)}
    assert found.to_polars()["low"].to_list() == [None] * 4
    for text in (found.table(), found.to_markdown(), found.to_latex()):
        assert "1 sample; intervals and tests resample samples, and need at least two" in text
        assert "nan" not in text
    assert "nan" not in found.to_csv()


def test_one_user_has_scores_without_intervals():
    alone = idl.score(PREDICTIONS, REFERENCES, users=["u"] * 3, baseline="b", metrics=["rouge1"])
    assert alone.to_pandas().set_index("method").loc["a", "value"] == pytest.approx((1 + 1 + 0.8) / 3)
    assert "3 samples of one user; intervals and tests resample users" in alone.table()


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_file_of_predictions_is_scored_on_the_command_line(tmp_path, capsys, suffix):
    table = pl.DataFrame(
        [
            {"method": method, "output": text, "label": reference, "user": user}
            for method, texts in PREDICTIONS.items()
            for text, reference, user in zip(texts, REFERENCES, "uvw", strict=True)
        ]
    )
    path = tmp_path / f"predictions.{suffix}"
    write = {"jsonl": table.write_ndjson, "csv": table.write_csv, "parquet": table.write_parquet}[suffix]
    write(path)
    main(["score", str(path), "--baseline", "b", "--metrics", "rouge1", "--json"])
    found = json.loads(capsys.readouterr().out)
    expected = idl.score(PREDICTIONS, REFERENCES, users=list("uvw"), baseline="b", metrics=["rouge1"]).to_dict()
    assert found == json.loads(json.dumps(expected))
    assert idl.score(table, baseline="b", metrics=["rouge1"]).to_dict() == expected


def test_methods_are_aligned_by_sample_and_others_are_refused():
    table = [
        {"method": method, "prediction": text, "reference": reference, "id": place}
        for method, texts in PREDICTIONS.items()
        for place, (text, reference) in enumerate(zip(texts, REFERENCES, strict=True))
    ]
    straight = idl.score(table, metrics=["rouge1"]).to_dict()
    assert idl.score(table[:3] + table[:2:-1], metrics=["rouge1"]).to_dict() == straight
    with pytest.raises(InputError, match="b has other samples than a"):
        idl.score(table[:-1], metrics=["rouge1"])


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        (["a"], ["b", "c"], "1 entries and there are 2 references"),
        ("text", ["b"], "predictions is one text"),
        ([None], ["b"], "holds a NoneType"),
        ([], [], "nothing to score"),
        ([{"text": "a"}], None, "no column for the reference"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_line(predictions, references, message):
    with pytest.raises(InputError, match=message):
        idl.score(predictions, references, metrics=["rouge1"])


def test_paths_may_be_strings_everywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    store = idl.Store("s.db")
    store.add("r.jsonl")
    split = store.split("split", preset="small")
    store.embed("hash", split="split")
    assert store.export("export")["reviews"] == 120
    assert idl.Store("t.db").import_export("export").added.reviews_added == 120
    assert all(check.ok for check in store.check())
    assert split.counts.users == 12


def test_a_method_refuses_wrong_settings_before_anything_is_loaded():
    for make, message in (
        (lambda: idl.RAG("fake", k="many"), "context.k"),
        (lambda: idl.DEP(settings={"fit": {"max_stps": 2}}), "unknown setting 'fit.max_stps'"),
        (lambda: idl.DRP(config="missing.yaml"), "missing.yaml"),
    ):
        with pytest.raises(ConfigError, match=message):
            make()
    assert set(inspect.signature(idl.DEP).parameters) == set(inspect.signature(idl.RAG).parameters)


def test_what_was_written_prints_as_its_text(store):
    with idl.RAG("fake") as rag:
        written = rag.write(store, user="u1", item="i1")
    assert str(written) == written.text
    assert repr(written) == f"Written(user='u1', item='i1', method='rag', {written.text!r})"
