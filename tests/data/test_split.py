import json
from pathlib import Path

import polars as pl
import pytest

from idiolect.data import MEMBER_SCHEMA, PRESETS, Split, SplitCounts
from idiolect.data import split as split_module
from idiolect.errors import ArtifactError, NotFoundError

COUNTS = SplitCounts(
    reviews=4, eligible=4, core_rounds=(4, 4), core_items=3, peer_rounds=(1, 1), users=1, profile=1, train=1,
    validation=1, test=1,
)  # fmt: skip


@pytest.fixture
def split() -> Split:
    members = pl.DataFrame(
        {"review_id": ["a", "b", "c", "d"], "user": ["u"] * 4, "role": ["profile", "train", "validation", "test"]}
    )
    return Split(source=members, config=PRESETS["small"], counts=COUNTS)


def test_a_split_survives_saving(split: Split, tmp_path: Path):
    split.save(tmp_path / "s", fingerprint="f")
    loaded = Split.load(tmp_path / "s", fingerprint="f")
    assert loaded.members.equals(split.members)
    assert (loaded.config, loaded.counts, loaded.fingerprint) == (split.config, split.counts, "f")
    assert sorted(p.name for p in (tmp_path / "s").iterdir()) == ["members.parquet", "split.json"]


def test_a_split_can_be_saved_again(split: Split, tmp_path: Path):
    split.save(tmp_path, fingerprint="f")
    split.save(tmp_path, fingerprint="g")
    assert Split.load(tmp_path).fingerprint == "g"


def test_roles_and_users_are_reported(split: Split):
    assert split.users == ["u"]
    assert split.ids("profile", "test") == ["a", "d"]


def edit(folder: Path, **changes: object) -> None:
    head = json.loads((folder / "split.json").read_text())
    (folder / "split.json").write_text(json.dumps(head | changes))


DAMAGES = {
    "no members": lambda f: (f / "members.parquet").unlink(),
    "members of another split": lambda f: pl.DataFrame(schema=MEMBER_SCHEMA).write_parquet(f / "members.parquet"),
    "members cut": lambda f: (f / "members.parquet").write_bytes((f / "members.parquet").read_bytes()[:20]),
    "not json": lambda f: (f / "split.json").write_text("{"),
    "a list": lambda f: (f / "split.json").write_text("[]"),
    "another version": lambda f: edit(f, version=99),
    "an unknown key": lambda f: edit(f, more=1),
    "a setting that does not exist": lambda f: edit(f, config={"min_luck": 3}),
    "no counts": lambda f: edit(f, counts={}),
    "counts of the wrong kind": lambda f: edit(f, counts=[]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_split_is_refused(split: Split, tmp_path: Path, damage: str):
    split.save(tmp_path, fingerprint="f")
    DAMAGES[damage](tmp_path)
    with pytest.raises(ArtifactError, match="cannot use"):
        Split.load(tmp_path)


def test_a_split_that_is_not_there_is_not_called_damaged(tmp_path: Path):
    with pytest.raises(NotFoundError, match="there is no split"):
        Split.load(tmp_path / "nowhere")


def test_a_split_of_another_store_is_refused(split: Split, tmp_path: Path):
    split.save(tmp_path, fingerprint="f")
    with pytest.raises(ArtifactError, match="another state of the store"):
        Split.load(tmp_path, fingerprint="g")


def test_members_are_read_from_the_file_that_was_checked(split: Split, tmp_path: Path):
    split.save(tmp_path, fingerprint="f")
    loaded = Split.load(tmp_path)
    split.save(tmp_path, fingerprint="f")
    with pytest.raises(ArtifactError, match="changed since"):
        loaded.ids("test")
    (tmp_path / "members.parquet").unlink()
    with pytest.raises(ArtifactError, match="cannot use"):
        loaded.users  # noqa: B018


def test_a_user_in_two_batches_is_one_user(monkeypatch: pytest.MonkeyPatch, split: Split, tmp_path: Path):
    monkeypatch.setattr(split_module, "_BATCH", 3)
    split.save(tmp_path, fingerprint="f")
    for one in (split, Split.load(tmp_path)):
        assert [batch.height for batch in one.batches()] == [3, 1]
        assert one.users == ["u"]
        assert one.ids("profile", "test") == ["a", "d"]
