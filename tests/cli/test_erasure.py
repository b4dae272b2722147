"""Erasure after the whole job: whatever the library wrote on the way is found without being told where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from idiolect.cli.main import main
from idiolect.store.sql import SqlStore

USER = "zq7-the-user"
SENTENCE = "Vortigern xylophones quibble under my porch at dawn"
SENTINELS = [text.encode() for text in (USER, SENTENCE, "Vortigern", "xylophones")]


@pytest.fixture
def source(job: Any, tmp_path: Path) -> Path:
    """A file of reviews in which one user has sentinels, and one row more that cannot be used."""
    with SqlStore(job.store) as store:
        rows = store.review_frame().sort("user", "order").select("user", "item", "text").to_dicts()
    theirs = rows[0]["user"]
    for place, row in enumerate(rows):
        if row["user"] == theirs:
            row |= {
                "user": USER,
                "review_id": f"{USER}/{place}",
                "text": f"{row['text']} {SENTENCE}, about {row['item']}.",
            }
    rows.append({"user": USER, "text": SENTENCE, "item": None})
    path = tmp_path / "source" / "reviews.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def sentinels_in(folder: Path) -> list[tuple[Path, bytes]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [(path, word) for path in files for word in SENTINELS if word in path.read_bytes()]


def test_after_the_whole_job_no_byte_of_a_forgotten_user_is_left(job: Any, source: Path, tmp_path, capsys) -> None:
    work = tmp_path / "work"
    store, split, adapter, out, cache = (
        str(work / name) for name in ("s.db", "split", "adapter", "results", "elsewhere/answers.db")
    )

    def call(*tokens: str) -> dict[str, Any]:
        main([*tokens, "--store", store, "--json"])
        return json.loads(capsys.readouterr().out)

    work.mkdir()
    rejects = str(tmp_path / "lists" / "rejects.rejects.jsonl")
    assert call("ingest", str(source), "--rejects", rejects)["rejected"] == {"missing item": 1}
    thresholds = [token for name, value in job.thresholds.items() for token in ("--set", f"{name}={value}")]
    call("split", "--out", split, *thresholds)
    call("embed", "--encoder", "hash:48")
    wanted = {**job.settings, "controls": [], "targets": {"max_validation": 2}}
    settings = [token for name, value in wanted.items() for token in ("--set", f"{name}={json.dumps(value)}")]
    call("fit", "--split", split, "--out", adapter, "--backbone", str(job.backbone), *settings)
    more = ["--set", f"cache={cache}", "--set", "methods=[drp]"]
    result = call("evaluate", "--split", split, "--out", out, "--adapter", adapter, *more)
    assert sum(result["peer_scopes"]["dep"].values()) > 0
    assert "past reviews compared with others on the same item" in (Path(out) / "report.md").read_text()
    assert call("explain", USER)["user"] == USER

    assert {path.name for path, word in sentinels_in(work) if word == SENTINELS[0]} >= {"s.db", "dep.jsonl"}
    assert sentinels_in(tmp_path / "lists")
    assert sentinels_in(work / "elsewhere")
    receipt = call("forget", USER)
    assert receipt["vacuumed"]
    assert adapter in receipt["not_unlearned"]  # and its checkpoints
    assert receipt["absent"] == []
    assert {"answers", "file", "rows", "snapshot"} == {erased["what"] for erased in receipt["erased"]}
    assert sentinels_in(work) == sentinels_in(tmp_path / "lists") == []
    assert call("forget", USER)["reviews"] == 0
