"""An erasure removes files from outputs, so no output is a folder that holds something else."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from idiolect.data import holdout, scan
from idiolect.data.output_files import check_output
from idiolect.data.rejects import Rejected, RejectsWriter
from idiolect.erasure.forget import forget_user
from idiolect.errors import ConfigError, InputError, OutputError
from idiolect.evaluation.compare import check_files
from idiolect.evaluation.runner import run_evaluate
from idiolect.experiments.demo import run_demo
from idiolect.experiments.study.config import StudyConfig
from idiolect.experiments.study.run import run_study
from idiolect.experiments.world import store_world
from idiolect.pipeline.commands import cache_path, pretrain_backbone, run_fit
from idiolect.pipeline.settings import Settings
from idiolect.sandbox.domain import WorldConfig
from idiolect.store import snapshot_files
from idiolect.store.ingestion import ingest_files
from idiolect.store.outputs import check_folder, claim_folder
from idiolect.store.parquet import export_folder
from idiolect.store.splitting import split_store
from idiolect.store.sql import SqlStore


@pytest.fixture
def store(job: Any, tmp_path: Path) -> str:
    """A copy in a folder with somebody's files."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "crm.csv").write_text("user,phone\nu1,555\n")
    return str(shutil.copy(job.store, tmp_path / "store.db"))


@pytest.mark.parametrize("folder", [".", "notes", ".."])
def test_no_command_writes_among_other_files(
    job: Any, store: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out, wrong = Path(folder), "holds other files" if folder == "notes" else "holds the store"
    with SqlStore(store) as database:
        before = database.outputs()
    for command in (
        lambda: split_store(store, out, changes=job.thresholds),
        lambda: run_fit(store, job.split, out, changes=job.settings, backbone=str(job.backbone)),
        lambda: run_evaluate(store, job.split, out, changes={"encoder": "hash:48"}, backbone="fake"),
        lambda: pretrain_backbone(store, out, split=job.split),
    ):
        with pytest.raises(ConfigError, match=wrong):
            command()
    with SqlStore(store) as database:
        assert database.outputs() == before


def test_a_split_that_fails_leaves_neither_files_nor_a_record(store: str, tmp_path: Path) -> None:
    with SqlStore(store) as database:
        before = database.outputs()
    names = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="no user is left"):
        split_store(store, tmp_path / "split", changes={"min_user_reviews": 500})
    with SqlStore(store) as database:
        assert database.outputs() == before
    assert sorted(tmp_path.iterdir()) == names


def test_an_erasure_finds_what_a_split_of_many_reviews_left_when_it_was_killed(
    job: Any, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqlStore(store) as database:
        database.drop_outputs(list(database.outputs()))  # the copied store must not reach the other tests' folders
    monkeypatch.setattr(scan, "BUCKET_ROWS", 50)
    monkeypatch.setattr(snapshot_files.shutil, "rmtree", lambda *_, **__: None)
    monkeypatch.setattr(holdout, "k_core", _killed)
    with pytest.raises(KeyboardInterrupt):
        split_store(store, tmp_path / "split", changes=job.thresholds)
    monkeypatch.undo()
    (left,) = tmp_path.glob(".split-*")
    assert list(left.glob("reviews-*.arrow"))
    with SqlStore(store) as database:
        user = database.users()[0]
    forget_user(store, user)
    assert not left.exists()


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_new_empty_and_own_folders_are_taken(store: str, tmp_path: Path) -> None:
    own = tmp_path / "own"
    with SqlStore(store) as database:
        claim_folder(database, store, own, "fit")
        own.mkdir()
        claim_folder(database, store, own, "fit")
        (own / "log.jsonl").write_text("{}\n")
        claim_folder(database, store, own, "evaluation")
        assert database.outputs()[own] == "evaluation"
        moved = tmp_path / "moved"
        moved.mkdir()
        (moved / "members.parquet").write_bytes(b"")
        claim_folder(database, store, moved, "split")


def content(folder: Path) -> dict[str, object]:
    """Everything in a folder: bytes of files, targets of links, kinds of the rest."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        if path.is_file() else path.stat().st_mode
        for path in sorted(folder.rglob("*"))
    }  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a file of reviews, a bad row among them, a store, and what is no file."""
    row = '{"user": "a", "item": "i", "text": "hello there"}\n'
    (tmp_path / "in.jsonl").write_text(f"{row}bad\n")
    (tmp_path / "good.jsonl").write_text(row)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "odd.jsonl").write_text('{"line": 1}\n')
    with SqlStore(tmp_path / "s.db") as store:
        store.add([], [])
    (tmp_path / "s.db-wal").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "link.jsonl").symlink_to("in.jsonl")
    os.link(tmp_path / "in.jsonl", tmp_path / "hard.jsonl")
    (tmp_path / "to-store").symlink_to("s.db")
    (tmp_path / "folder").mkdir()
    return tmp_path


TAKEN = ["in.jsonl", "good.jsonl", "notes.txt", "odd.jsonl", "s.db", "s.db-wal", "s.db-shm", "s.db-journal", "pipe"]
TAKEN += ["loop", "link.jsonl", "hard.jsonl", "to-store", "folder"]


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("source", ["in.jsonl", "good.jsonl"])
def test_rejects_replace_nothing_that_is_not_a_list_of_rejects(place: Path, name: str, source: str) -> None:
    before = content(place)
    with pytest.raises(OutputError) as caught:
        ingest_files(place / source, store=str(place / "s.db"), rejects=place / name)
    assert caught.value.hint
    assert content(place) == before


def test_rejects_of_items_replace_nothing_either(place: Path) -> None:
    (place / "items.r.jsonl").write_text("mine")
    before = content(place)
    with pytest.raises(OutputError):
        ingest_files(place / "in.jsonl", store=str(place / "s.db"), rejects=place / "r.jsonl")
    assert content(place) == before


def test_a_list_of_rejects_that_is_read_is_not_replaced(place: Path) -> None:
    listed = place / "r.jsonl"
    ingest_files(place / "in.jsonl", store=str(place / "s.db"), rejects=listed)
    before = listed.read_text()
    with pytest.raises(OutputError, match="otherwise"):
        ingest_files(listed, store=str(place / "s.db"), rejects=place / "folder" / ".." / "r.jsonl")
    assert listed.read_text() == before


def test_an_earlier_list_is_replaced_or_removed_and_a_link_to_it_stays(place: Path) -> None:
    listed, link = place / "r.jsonl", place / "list"
    link.symlink_to(listed)
    (place / "bad.jsonl").write_text("bad\nworse\n")
    for source, lines in (("in.jsonl", 1), ("bad.jsonl", 2), ("in.jsonl", 1)):
        ingest_files(place / source, store=str(place / "s.db"), rejects=link, max_rejects=1)
        assert len(listed.read_text().splitlines()) == lines
    ingest_files(place / "good.jsonl", store=str(place / "s.db"), rejects=link)
    assert link.is_symlink()
    assert not listed.exists()


def test_the_key_of_pseudonyms_is_not_made_where_the_store_is(place: Path) -> None:
    with pytest.raises(ConfigError, match="are both"):
        ingest_files(place / "in.jsonl", store=str(place / "n.db"), pseudonyms=place / "n.db")
    assert not (place / "n.db").exists()


def test_two_writers_of_one_list_both_finish(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with RejectsWriter(path) as first, RejectsWriter(path) as second:
        first(Rejected(1, "a", "b"))
        second(Rejected(2, "a", "b"))
    assert [json.loads(line)["line"] for line in path.read_text().splitlines()] == [1]
    with RejectsWriter(path, keep_empty=False), RejectsWriter(path) as other:
        other(Rejected(3, "a", "b"))
    assert json.loads(path.read_text())["line"] == 3  # the one that listed nothing leaves the other's list
    assert list(tmp_path.iterdir()) == [path]


def test_two_ingests_of_one_file_both_finish(place: Path) -> None:
    errors: list[BaseException] = []

    def ingest() -> None:
        try:
            ingest_files(place / "in.jsonl", store=str(place / "s.db"))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=ingest) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert errors == []
    assert len((place / "in.jsonl.rejects.jsonl").read_text().splitlines()) == 1
    assert not list(place.glob("*.partial"))


@pytest.mark.parametrize("name", TAKEN)
def test_the_truth_of_a_world_replaces_nothing_else(place: Path, name: str) -> None:
    before = content(place)
    with pytest.raises(OutputError):
        store_world(str(place / "s.db"), WorldConfig(), truth=place / name)
    assert content(place) == before


@pytest.mark.parametrize("name", ["notes.txt", "s.db", "s.db-wal", "s.db-shm", "s.db-journal", "pipe", "loop"])
def test_recorded_answers_replace_nothing_else(place: Path, name: str) -> None:
    before = content(place)
    with pytest.raises(OutputError):
        cache_path(Settings(cache=place / name), str(place / "s.db"))
    with pytest.raises(OutputError):
        cache_path(Settings(cache=place / name), f"sqlite:///{place / 's.db'}")
    assert content(place) == before


@pytest.mark.parametrize("name", [name for name in TAKEN if not name.startswith("s.db-")])
@pytest.mark.parametrize("option", ["csv", "latex", "scores"])
def test_tables_replace_no_other_file(place: Path, name: str, option: str) -> None:
    before = content(place)
    with pytest.raises(OutputError):
        check_files(**{option: place / name})
    assert content(place) == before


def test_tables_replace_earlier_ones_and_not_each_other(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("evaluation,folder,method,control,user,item,target,meteor\n")
    (tmp_path / "b").write_text("% a note\n\\begin{tabular}{lr}\n")
    found = check_files(scores=tmp_path / "a", latex=tmp_path / "b", csv=tmp_path / "new")
    assert found == {"scores": tmp_path / "a", "latex": tmp_path / "b", "csv": tmp_path / "new"}
    with pytest.raises(OutputError):
        check_files(csv=tmp_path / "c", scores=tmp_path / "." / "c")


@pytest.mark.parametrize("name", ["notes.txt", "pipe", "loop", "folder"])
def test_an_export_replaces_nothing_else(place: Path, name: str) -> None:
    (place / "folder" / "mine").touch()
    before = content(place)
    with pytest.raises((InputError, OutputError)):
        export_folder(str(place / "s.db"), place / name)
    kept = {name: value for name, value in before.items() if not name.startswith("s.db")}
    assert kept.items() <= content(place).items()


def test_an_export_with_other_files_in_it_stays(place: Path) -> None:
    out, link = place / "out", place / "link"
    export_folder(str(place / "s.db"), out)
    link.symlink_to(out)
    export_folder(str(place / "s.db"), link)
    assert link.is_symlink()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"mine\.txt"):
        export_folder(str(place / "s.db"), out)
    assert (out / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("mark", ["settings.json", "claim.json", "pretrain.json"])
def test_somebody_elses_file_of_a_common_name_marks_no_output(place: Path, mark: str) -> None:
    (place / "folder" / mark).write_text('{"editor.tabSize": 4}')
    kind: Any = {"settings.json": "fit", "claim.json": "evaluation", "pretrain.json": "backbone"}[mark]
    with SqlStore(place / "s.db") as database:
        with pytest.raises(ConfigError, match="other files"):
            check_folder(database, str(place / "s.db"), place / "folder", kind)
        with pytest.raises(ConfigError, match="is a file"):
            check_folder(database, str(place / "s.db"), place / "notes.txt", kind)
        with pytest.raises(ConfigError, match="which is read"):
            check_folder(database, str(place / "s.db"), place / "new", kind, apart=[place / "new" / "split"])
        with pytest.raises(ConfigError, match="holds the store"):
            check_folder(database, f"sqlite:///{place / 's.db'}", place, kind)


def test_demo_and_study_write_among_no_other_files(place: Path) -> None:
    before = content(place)
    for run in (lambda: run_demo(place, say=print), lambda: run_study(place, StudyConfig(), say=print)):
        with pytest.raises(ConfigError, match="holds other files"):
            run()
    assert content(place) == before


def test_what_is_not_text_is_nobodys_output(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(b"\xff" * 9)
    with pytest.raises(OutputError):
        RejectsWriter(tmp_path / "r")
    with pytest.raises(OutputError):
        check_output(Path("a\0b"), ours=lambda _: True, what="a list")


def test_rejects_in_a_folder_without_a_name_are_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    for name in (".", "..", "/"):
        with pytest.raises(OutputError, match="a folder"):
            ingest_files(Path("in.jsonl"), store="s.db", rejects=Path(name))
