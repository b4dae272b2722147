"""After ``forget`` no file of the library's holds a byte of the user, and every answer is as if they had never been."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from idiolect.cli.main import main
from idiolect.encoders import HashEncoder
from idiolect.erasure.files import erase_from
from idiolect.erasure.forget import _BEYOND, forget_user
from idiolect.erasure.traces import Traces
from idiolect.errors import ConfigError, NotFoundError
from idiolect.explain.run import explain_user
from idiolect.llm.base import Completion
from idiolect.llm.cache import Cache, Record
from idiolect.pipeline.write import write_review
from idiolect.store.embedding import embed_missing
from idiolect.store.ingestion import ingest_files
from idiolect.store.parquet import export_folder, export_store, import_folder
from idiolect.store.snapshot_build import build_snapshot
from idiolect.store.sql import SqlStore
from idiolect.types import Item, Review

USER, SENTENCE, TITLE, ID = (
    "zq7user",
    "Vortigern xylophones quibble under my porch at dawn",
    "Zq7title rules",
    "zq7review",
)
SENTINELS = [word.encode() for word in (USER, SENTENCE, SENTENCE.lower(), TITLE, ID, "Vortigern", "xylophones")]


def others() -> list[Review]:
    rng = np.random.default_rng(0)
    return [
        Review(id=f"{rng.random():.12f}", user=f"u{k % 17}", item=f"i{k % 9}", text=f"Fine thing {k}. " * (k % 40))
        for k in range(400)
    ]


def own() -> list[Review]:
    return [
        Review(
            id=f"{ID}{k * 37 % 100}", user=USER, item=f"i{k % 9}", text=f"{SENTENCE}, {k}. " * (1 + k % 30), title=TITLE
        )
        for k in range(60)
    ]


def fill(path: Path, reviews: list[Review]) -> None:
    with SqlStore(path) as store:
        for start in range(0, len(reviews), 50):  # several commits, so that the database moves rows between pages
            store.add([Item(id="i1", title="Tea")], reviews[start : start + 50])
        embed_missing(store, HashEncoder(16))


def mixed() -> list[Review]:
    both = [*others(), *own()]
    return [both[k] for k in np.random.default_rng(1).permutation(len(both))]


def write_outputs(folder: Path, store: SqlStore) -> None:
    """What runs leave: a split with a snapshot, an evaluation, rejects, a card, an export, an adapter."""
    members = store.review_frame().select("review_id", "user", role=pl.lit("profile"))
    split = folder / "split"
    split.mkdir(parents=True)
    members.write_parquet(split / "members.parquet")
    encoder = HashEncoder(16).name
    build_snapshot(store, members, phase="test", encoder=encoder, folder=split / "snapshots" / "test")
    samples = folder / "evaluation" / "samples"
    samples.mkdir(parents=True)
    rows = [
        {"user": "u1", "target": "r", "text": "Theirs."},
        {"user": USER, "target": "r"},
        {"user": "u1", "anchors": [f"{ID}0"]},
        {"user": "u2", "text": f"Somebody quotes: {SENTENCE[:-6].upper()}!"},
    ]
    (samples / "rag.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "evaluation" / "report.md").write_text(f"| {USER} | 0.3 |\n")
    (folder / "evaluation" / "result.json").write_text('{"rougeL": 0.3}')
    (folder / "rows.rejects.jsonl").write_text(json.dumps({"raw_start": f'{{"user": "{USER}'}) + "\n")
    (folder / f"{USER}.html").write_text("<p>a card</p>")
    (folder / "cards.html").write_text(f"<q>{SENTENCE.replace(' my', '&#32;my')}</q>")
    export_store(store, folder / "export")
    (folder / "sheet.csv").write_text(f'row,sample\n1,"[1] {SENTENCE}, 3."\n')
    (folder / "sheet.key.json").write_text(json.dumps({"rows": [{"row": "1", "user": USER}]}))
    write_unfinished(folder)
    (folder / "adapter").mkdir()
    (folder / "adapter" / "settings.json").write_text('{"encoder": "hash:16"}')
    (folder / "adapter" / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    (folder / "adapter" / "adapter.safetensors").write_bytes(b"\0" * 64)


def write_unfinished(folder: Path) -> None:
    """What calls that were killed leave: parts of files and folders, and a table that is cut short."""
    whole = folder / "export" / "reviews.parquet"
    for part in (folder / ".export-x1.partial" / "new", folder / "split" / "snapshots" / ".test-x2.partial" / "old"):
        part.mkdir(parents=True)
        shutil.copy(whole, part)
    shutil.copy(whole, folder / "split" / "members.parquet.77.partial")
    (folder / "export" / "cut.parquet").write_bytes(whole.read_bytes()[:-9])
    (folder / "evaluation" / "samples" / "cut.jsonl").write_bytes(SENTENCE.encode() + b"\xff")


def answers(path: Path) -> list[tuple]:
    encoder = HashEncoder(16).name
    with SqlStore(path, create=False) as store:
        items = [f"i{k}" for k in range(9)]
        sums = [store.peer_sums(items, exclude=user, encoder=encoder) for user in ("u3", USER)]
        frame = store.review_frame().sort("review_id")
        return [
            (store.fingerprint(), store.counts(), store.users(), store.encoders(), store.opted_out()),
            (frame.rows(), store.vectors(frame["review_id"].to_list(), encoder=encoder).tobytes()),
            tuple(part.tobytes() for pair in sums for part in pair),
            tuple(sorted(r.id for r in store.reviews_of(item, exclude="u3")) for item in items),
            (store.profile(USER), [(f.name, f.ok) for f in store.check()]),
        ]


def answer(text: str) -> Completion:
    return Completion(text=text, prompt_tokens=1, completion_tokens=1)


@pytest.fixture
def place(tmp_path):
    """A folder with a store, a cache and outputs that hold the user."""
    folder = tmp_path / "data"
    folder.mkdir()
    fill(folder / "store.db", mixed())
    with SqlStore(folder / "store.db") as store:
        write_outputs(folder / "runs", store)
        store.record_output(folder / "runs", "evaluation")
        store.record_output(folder / "moved", "split")
        store.record_output(folder / "alone", "export")
    (folder / ".alone-x3.partial" / "new").mkdir(parents=True)
    shutil.copy(folder / "runs" / "export" / "reviews.parquet", folder / ".alone-x3.partial" / "new")
    with Cache(folder / "idiolect-cache.db") as cache:
        cache.put([Record(f"{k}", answer(SENTENCE), frozenset({own()[k].id})) for k in range(40)])
        cache.put([Record("theirs", answer("Theirs."), frozenset({"r1"}))])
    return folder


def test_no_byte_of_a_forgotten_user_stays_and_every_answer_is_as_if_they_had_never_been(place, tmp_path):
    assert all(any(word in f.read_bytes() for f in place.rglob("*") if f.is_file()) for word in SENTINELS[:1])
    receipt = forget_user(str(place / "store.db"), USER)
    for file in place.rglob("*"):
        assert USER not in file.name
        for word in SENTINELS if file.is_file() else ():
            assert word not in file.read_bytes(), file
    fill(tmp_path / "never.db", others())
    assert answers(place / "store.db") == answers(tmp_path / "never.db")
    assert (receipt.store.reviews, receipt.store.vectors, receipt.store.vacuumed) == (60, 60, True)


def test_what_is_not_theirs_stays(place):
    forget_user(str(place / "store.db"), USER)
    kept = (place / "runs" / "evaluation" / "samples" / "rag.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in kept] == ["Theirs."]
    assert (place / "runs" / "evaluation" / "result.json").is_file()
    assert pl.read_parquet(place / "runs" / "split" / "members.parquet").height == 400
    assert pl.read_parquet(place / "runs" / "export" / "reviews.parquet").height == 400
    with Cache(place / "idiolect-cache.db") as cache:
        assert len(cache) == 1


def test_weights_of_a_fit_that_ended_during_the_erasure_are_named(place, monkeypatch):
    adapter, forget = place / "late", SqlStore.forget

    def forget_after_a_fit(store, *args, **options):
        adapter.mkdir()
        (adapter / "adapter.safetensors").write_bytes(b"weights")
        store.record_output(adapter, "adapter")
        return forget(store, *args, **options)

    monkeypatch.setattr(SqlStore, "forget", forget_after_a_fit)
    assert adapter in forget_user(str(place / "store.db"), USER).not_unlearned


def test_the_receipt_says_what_went_where_and_does_not_name_the_user(place, capsys):
    main(["forget", USER, "--store", str(place / "store.db"), "--json"])
    printed = capsys.readouterr().out
    receipt = json.loads(printed)
    assert not any(word.decode() in printed for word in SENTINELS)
    assert receipt["reviews"] == 60
    what = {(Path(e["path"]).name, e["what"]): e["count"] for e in receipt["erased"]}
    assert what["idiolect-cache.db", "answers"] == 40
    assert what["rag.jsonl", "rows"] == 3
    assert what["members.parquet", "rows"] == 60
    assert what["rows.rejects.jsonl", "file"] == 1
    assert what["test", "snapshot"] == 1
    assert receipt["not_unlearned"] == [str(place / "runs" / "adapter")]
    assert what["members.parquet.77.partial", "file"] == 1
    assert what[".alone-x3.partial", "folder"] == 1
    assert receipt["absent"] == [str(place / "moved"), str(place / "alone")]


def test_a_second_time_there_is_nothing_left_to_remove(place, capsys):
    forget_user(str(place / "store.db"), USER)
    receipt = forget_user(str(place / "store.db"), USER)
    assert (receipt.store.reviews, [e for e in receipt.erased if e.what != "file"]) == (0, [])
    main(["forget", USER, "--store", str(place / "store.db")])
    assert "0 reviews" in capsys.readouterr().out


def test_outputs_that_are_not_recorded_can_be_named(tmp_path):
    fill(tmp_path / "store.db", own())
    (tmp_path / "old.jsonl").write_text(json.dumps({"user": USER}) + "\n")
    receipt = forget_user(str(tmp_path / "store.db"), USER, outputs=[tmp_path / "old.jsonl"])
    assert [(e.what, e.count) for e in receipt.erased] == [("rows", 1)]


def test_outputs_that_are_not_there_or_hold_more_than_outputs_are_refused_before_anything_is_removed(tmp_path):
    fill(tmp_path / "store.db", own())
    (tmp_path / "input.csv").write_text(f"user,text\n{USER},some words\n")
    for wrong, error in ((tmp_path / "moved", NotFoundError), (tmp_path, ConfigError)):
        with pytest.raises(error, match=re.escape(str(wrong))):
            forget_user(str(tmp_path / "store.db"), USER, outputs=[wrong])
    assert (tmp_path / "input.csv").exists()
    assert forget_user(str(tmp_path / "store.db"), USER).store.reviews == len(own())


def test_a_name_that_nobody_has_is_said(tmp_path):
    fill(tmp_path / "store.db", own())
    assert "misspelled" in forget_user(str(tmp_path / "store.db"), "nobody").text
    assert "misspelled" not in forget_user(str(tmp_path / "store.db"), USER).text


def test_without_a_store_there_is_nothing_to_forget_from(tmp_path):
    with pytest.raises(NotFoundError):
        forget_user(str(tmp_path / "none.db"), USER)


def test_words_of_scripts_without_blanks_leave_traces_within_a_clause():
    traces = Traces.of(USER, [Review(id="1", user=USER, item="i", text="这家店的汤特别好喝，下次一定还会再来。")])
    assert traces.in_words("他写道:店的汤特别好喝，下次一定")
    assert not traces.in_words("汤特别好喝")


def test_anybodys_words_are_no_traces():
    traces = Traces.of(USER, [Review(id="1", user=USER, item="i", text="Great! I would buy it again.", title="Good")])
    assert not traces.in_words("Great! Good.")
    assert traces.in_words("they say: great, I WOULD buy it  again")
    assert not traces.in_value({"rating": 1, "text": "1 of 5"})
    assert traces.in_value({"stages": {"compared": "7 with 1, 9", "write": "Fine."}})
    assert not traces.in_value({"stages": {"compared": "7 with 11, 9"}})
    assert traces.in_value({"anchors": ["1"]})
    known = Traces.of("christine", [Review(id="a1b2c3d4e5", user="christine", item="i", text="Fine.")])
    assert known.in_value({"compared": "b2 with c9, a1b2c3d4e5"})
    assert not known.in_value({"text": "My friend christine likes it."})


def test_links_are_not_followed_and_stores_and_weights_are_left_alone(tmp_path):
    fill(tmp_path / "store.db", own())
    (tmp_path / "w.safetensors").write_bytes(USER.encode())
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_text(USER)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.txt").symlink_to(elsewhere)
    traces = Traces.of(USER, own())
    found = [e for p in (tmp_path / "store.db", tmp_path / "w.safetensors", folder) for e in erase_from(p, traces)]
    assert found == []
    assert elsewhere.exists()


def test_a_list_of_rejects_goes_whole_whatever_its_name(tmp_path):
    source, store = tmp_path / "r.jsonl", str(tmp_path / "s.db")
    rows = [{"user": USER, "item": "i", "text": "Fine."}, {"user": USER, "item": "i", "text": "x", "rating": 999}]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"user": "' + USER + '", "item": "cut\n')
    lists = [tmp_path / name for name in ("unusable.jsonl", "list", "rows.json", "rows.parquet")]
    for path in lists:
        ingest_files(source, store=store, rejects=path, max_rejects=1)
        assert USER in path.read_text()
    receipt = forget_user(store, USER)
    assert not any(path.exists() for path in lists)
    assert {found.path for found in receipt.erased} == set(lists)
    assert forget_user(store, USER).absent == ()


def write_lamp(folder: Path) -> Path:
    """Two users' e-mails with subjects, and one that both wrote about."""
    shared = {"id": "both", "title": "Hello", "text": "An open letter that everybody was sent in the spring"}
    rows = [
        {
            "id": f"{user}1",
            "user_id": user,
            "input": f"Write a subject for the following e-mail of somebody: {user} asks for a quiet room upstairs",
            "profile": [
                {"id": f"{user}p", "title": f"Subject {user}", "text": f"{user} will be in hospital from the 1st"},
                shared,
            ],
        }
        for user in (USER, "bob")
    ]
    (folder / "LaMP_6_questions.json").write_text(json.dumps(rows))
    golds = [{"id": f"{user}1", "output": "A subject"} for user in (USER, "bob")]
    (folder / "LaMP_6_outputs.json").write_text(json.dumps({"task": "LaMP_6", "golds": golds}))
    return folder / "LaMP_6_questions.json"


def test_texts_that_became_items_go_with_their_only_author(tmp_path):
    (source := tmp_path / "source").mkdir()
    store, samples = str(tmp_path / "s.db"), tmp_path / "samples.jsonl"
    ingest_files(write_lamp(source), store=store)
    export_folder(store, tmp_path / "export")
    with SqlStore(store) as database:
        item = database.items_alone(USER)[0].id
        database.record_output(samples, "evaluation")
    rows = [{"user": "bob", "item": item}, {"prompt": f"{USER} asks for a quiet ROOM upstairs"}]
    rows += [{"prompt": "Write a subject for the following e-mail of somebody: bob asks"}, {"item": ["no", "id"]}]
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    receipt = forget_user(store, USER)
    assert (receipt.store.items_removed, receipt.store.items_shared) == (2, 1)
    assert "1 items that others wrote about too" in receipt.text
    assert samples.read_text() == "".join(json.dumps(row) + "\n" for row in rows[2:])
    with SqlStore(store) as database:
        assert sorted(row["description"][:3] for row in database.item_frame().to_dicts()) == ["An ", "Wri", "bob"]
        assert database.counts().items == 3
        assert all(finding.ok for finding in database.check())
    assert pl.read_parquet(tmp_path / "export" / "items.parquet").height == 3
    assert not any(f"{USER} will be".encode() in file.read_bytes() for file in tmp_path.glob("s.db*"))


@pytest.mark.parametrize("again", [False, True])
def test_an_export_is_an_export_of_what_is_left(tmp_path, again):
    store, export = str(tmp_path / "s.db"), tmp_path / "export"
    fill(tmp_path / "s.db", mixed())
    with SqlStore(store) as database:
        database.set_peer(USER, False)
        database.set_peer("u3", False)
    head = export_folder(store, export)
    if again:  # as an erasure leaves it that was killed after the tables, before the numbers
        old = (export / "store.json").read_text()
        forget_user(store, USER)
        (export / "store.json").write_text(old)
    receipt = forget_user(store, USER)
    assert [(e.what, e.path, e.count) for e in receipt.erased] == ([] if again else [("rows", export, 121)])
    now = json.loads((export / "store.json").read_text())
    assert (head["reviews"], now["reviews"], now["items"]) == (460, 400, 1)
    report = import_folder(export, str(tmp_path / "new.db"))
    assert (report.equal, report.vectors, report.added.reviews_added) == (True, 400, 400)


def test_an_export_that_polars_wrote_back_can_be_imported(tmp_path):
    fill(tmp_path / "s.db", own())
    export_folder(str(tmp_path / "s.db"), tmp_path / "export")
    for path in (tmp_path / "export").glob("*.parquet"):
        pl.read_parquet(path).write_parquet(path)
    assert import_folder(tmp_path / "export", str(tmp_path / "new.db")).equal


@pytest.mark.parametrize(
    ("named", "others"),
    [
        ("ann", ["ann ", " ann", "ANN", "an\u200bn", "\uff41nn"]),
        ("Jos\u00e9", ["Jose\u0301", "jos\u00e9"]),
        ("a b", ["a  b", "a\u00a0b"]),
        ("stra\u00dfe", ["STRASSE"]),
    ],
)
def test_users_whose_ids_look_the_same_are_named_and_left(tmp_path, capsys, named, others):
    users = [named, *others, "bob", "anna"]
    store = str(tmp_path / "s.db")
    with SqlStore(store) as database:
        database.add([], [Review(id=f"r{k}", user=user, item="i", text="Tea.") for k, user in enumerate(users)])
    assert explain_user(store, named).alike == tuple(sorted(others))
    main(["explain", named, "--store", store, "--markdown"])
    assert "looks the same" in (out := capsys.readouterr().out) or "look the same" in out
    receipt = forget_user(store, named)
    assert list(receipt.alike) == receipt.record()["alike"] == sorted(others)
    assert ascii(sorted(others)[0]) in receipt.text
    with SqlStore(store) as database:
        assert set(database.users()) == set(users) - {named}
    for call in (lambda: explain_user(store, named), lambda: write_review(store, user=named, item="i")):
        with pytest.raises(NotFoundError) as error:
            call()
        assert ascii(sorted(others)[0]) in error.value.hint
    assert "alike" not in explain_user(store, "bob").record()


def test_what_was_not_reached_is_listed(place, monkeypatch):
    runs, elsewhere = place / "runs", place.parent / "elsewhere.txt"
    elsewhere.write_text(USER)
    (runs / "link.txt").symlink_to(elsewhere)
    with SqlStore(runs / "copy.db") as copy:
        copy.add([], own())
    unlink = Path.unlink

    def refuse(path: Path, **how: bool) -> None:
        if path.name == "cards.html":
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, **how)

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(Cache, "_secure_vacuum", lambda _: False)
    monkeypatch.setattr("idiolect.store.sql.secure_vacuum", lambda _: False)
    receipt = forget_user(str(place / "store.db"), USER)
    found = receipt.record()["not_reached"]
    listed = {Path(one.get("path", "/store")).name: one["what"] for one in found[: -len(_BEYOND)]}
    assert set(listed) == {
        *("link.txt", "copy.db", "cards.html", "idiolect-cache.db"),
        *("moved", "alone", "adapter", "store"),
    }
    assert "Permission denied" in listed["cards.html"]
    assert "same command again" in listed["idiolect-cache.db"]
    assert found[-len(_BEYOND) :] == [{"what": what} for what in _BEYOND]
    assert all(one["what"] in receipt.text for one in found[-len(_BEYOND) :])
    with SqlStore(place / "store.db") as store:
        assert [finding.name for finding in store.check() if not finding.ok] == ["erasures"]


def test_a_name_with_blanks_or_in_another_form_finds_who_was_read_without(tmp_path):
    store = str(tmp_path / "s.db")
    with SqlStore(store) as database:
        database.add(
            [], [Review(id="r", user="Jos\u00e9", item="i", text="Tea."), Review(id="s", user="b", item="i", text="")]
        )
    assert explain_user(store, " Jose\u0301 ").user == "Jos\u00e9"
    assert forget_user(store, "Jose\u0301 ").store.reviews == 1


def test_a_record_of_an_item_without_texts_stays(tmp_path):
    store = str(tmp_path / "s.db")
    with SqlStore(store) as database:
        items = [Item(id="bare", category="tea"), Item(id="told", description="A long e-mail of mine")]
        database.add(items, [Review(id=item.id, user=USER, item=item.id, text="") for item in items])
    export_folder(store, tmp_path / "export")
    forget_user(store, USER)
    with SqlStore(store) as database:
        assert database.item_frame()["item"].to_list() == ["bare"]
    assert pl.read_parquet(tmp_path / "export" / "items.parquet")["item"].to_list() == ["bare"]


@pytest.mark.parametrize("name", ["", "  ", "\ufeff"])
def test_a_user_without_a_name_is_not_forgotten_in_silence(tmp_path: Path, name: str) -> None:
    """An unset variable in a shell must not look like an erasure."""
    with SqlStore(tmp_path / "s.db") as store:
        store.add([], others())
    with pytest.raises(ConfigError, match="no user is named"):
        forget_user(str(tmp_path / "s.db"), name)
