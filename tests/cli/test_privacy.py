"""Pseudonyms and the flag "not a peer", as their users meet them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from idiolect.cli.main import main
from idiolect.store.sql import SqlStore

USER = "zq7-the-user"
ITEMS = ("tea", "cup", "pot")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with a file of reviews whose ids hold their users'; one row cannot be used."""
    rows: list[dict[str, Any]] = [
        {"user": user, "item": item, "text": f"{item} is {word}.", "review_id": f"{user}/{item}"}
        for user, word in ((USER, "mild"), ("bob", "bitter"), ("cid", "fine"))
        for item in ITEMS
    ]
    rows.append({"user": USER, "item": "tea", "text": ""})
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def call(work: Path, capsys: pytest.CaptureFixture[str]):
    """Runs a command on the folder's store and gives its exit code and output."""

    def run(command: str, *tokens: str) -> tuple[int, Any]:
        code = 0
        try:
            main([command, *tokens, "--store", str(work / "s.db"), "--json"])
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, err if code else json.loads(out)

    return run


@pytest.fixture
def ingested(work: Path, call) -> None:
    source, rejects = work.parent / "source" / "reviews.jsonl", work / "rejects.jsonl"
    key = str(work.parent / "key")
    assert call("ingest", str(source), "--rejects", str(rejects), "--pseudonyms", key)[0] == 0
    assert json.loads(rejects.read_text())["reason"] == "missing text"
    assert call("embed", "--encoder", "hash:16")[1]["embedded"] == 9


@pytest.fixture
def plain(work: Path, call) -> None:
    call("ingest", str(work.parent / "source" / "reviews.jsonl"))
    call("embed", "--encoder", "hash:16")


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.usefixtures("ingested")
def test_a_store_of_pseudonyms_never_sees_an_id_and_finds_its_user(work: Path, call) -> None:
    key = ["--pseudonyms", str(work.parent / "key")]
    code, added = call("add", "--user", USER, "--item", "jug", "--text", "Heavy.", "--encoder", "hash:16", *key)
    assert (code, added["user"]) == (0, USER)
    assert call("explain", USER, *key)[0] == 0
    assert call("peer", USER, "--exclude", *key)[1] == {"peer": False, "changed": True, "reviews": 4}
    assert call("correct", USER, "--difference", "length", *key)[1]["corrections"][0]["state"] == "muted"
    assert [path for path in files(work) if USER.encode() in path.read_bytes()] == []
    code, receipt = call("forget", USER, *key)
    assert (code, receipt["reviews"], receipt["vectors"]) == (0, 4, 4)
    assert call("ingest", str(work.parent / "source" / "reviews.jsonl"), *key)[1]["reviews_added"] == 3


@pytest.mark.usefixtures("ingested")
@pytest.mark.parametrize(
    "tokens",
    [
        ("forget", USER),
        ("explain", USER),
        ("peer", USER),
        ("correct", USER),
        ("add", "--user", USER, "--item", "tea", "--text", "Mild.", "--encoder", "hash:16"),
        ("write", "--user", USER, "--item", "tea", "--set", "encoder=hash:16"),
    ],
    ids=lambda tokens: tokens[0],
)
def test_an_id_where_pseudonyms_are_known_is_refused_with_the_remedy(call, tokens) -> None:
    code, said = call(*tokens)
    assert code == 2
    assert "--pseudonyms" in said


@pytest.mark.usefixtures("plain")
def test_pseudonyms_where_ids_are_known_are_refused(work: Path, call) -> None:
    source = str(work.parent / "source" / "reviews.jsonl")
    assert call("ingest", source, "--pseudonyms", str(work.parent / "key"))[0] == 2


@pytest.mark.usefixtures("plain")
def test_a_difference_is_muted_corrected_and_undone(call) -> None:
    assert call("correct", "bob") == (0, {"corrections": []})
    muted = {"difference": "exclamations", "state": "muted", "text": ""}
    assert call("correct", "bob", "--difference", "exclamations") == (0, {"corrections": [muted]})
    said = ("--difference", "length", "--text", "Long when I care.")
    assert call("correct", "bob", *said)[1]["corrections"][1]["text"] == "Long when I care."
    assert call("correct", "bob", "--difference", "length", "--undo") == (0, {"corrections": [muted]})
    assert call("correct", "bob", "--difference", "length", "--undo")[0] == 4
    assert call("correct", "bob", "--undo")[0] == 2
    assert call("correct", "bob", *said, "--undo")[0] == 2
    assert call("correct", "bob", "--difference", "shoe-size")[0] == 2
    assert call("correct", "nobody", "--difference", "length")[0] == 4


@pytest.mark.usefixtures("plain")
def test_whoever_is_excluded_can_be_included_again(work: Path, call) -> None:
    assert call("peer", "bob")[1] == {"peer": True, "changed": False, "reviews": 3}
    assert call("peer", "bob", "--exclude")[1]["changed"]
    with SqlStore(work / "s.db") as store:
        assert store.opted_out() == ["bob"]
    assert not call("peer", "bob", "--exclude")[1]["changed"]
    assert call("peer", "bob", "--include")[1] == {"peer": True, "changed": True, "reviews": 3}
    assert call("peer", "nobody", "--exclude")[0] == 4
