"""An erasure removes files from outputs, so no output is a folder that holds something else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from idiolect.errors import ConfigError
from idiolect.experiments.commands import run_evaluate, run_fit
from idiolect.experiments.outputs import claim_folder
from idiolect.experiments.pretrain import pretrain_backbone
from idiolect.experiments.split import split_store
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
