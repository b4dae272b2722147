from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from idiolect.errors import ConfigError, InputError, NotFoundError
from idiolect.experiments.world import store_world
from idiolect.explain.card import ExplainConfig
from idiolect.explain.ratings import COLUMNS, Entry, key_path, rate, read_key, read_sheet, report, write_sheet
from idiolect.explain.run import find_all_differences
from idiolect.sandbox.domain import WorldConfig
from idiolect.store.sql import SqlStore
from idiolect.types import UserId

CONFIG = ExplainConfig()


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("world") / "reviews.db")
    store_world(path, WorldConfig(seed=9, n_users=50, n_items=30, reviews_per_user=(12, 14)))
    return path


@pytest.fixture(scope="module")
def sheet(store, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sheet") / "sheet.csv"
    write_sheet(store, path, users=6, seed=1, config=CONFIG)
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def key_of(path: Path) -> dict[str, dict[str, str]]:
    return {row["row"]: row for row in json.loads(key_path(path).read_text())["rows"]}


def fill(sheet: Path, path: Path, answer) -> Path:
    rows = rows_of(sheet)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, delimiter=";")
        table.writeheader()
        table.writerows({**row, "answer": answer(row["row"])} for row in rows)
    return path


def test_raters_see_neither_users_nor_which_statements_are_decoys(sheet, store):
    rows, key = rows_of(sheet), key_of(sheet)
    assert {row["row"] for row in rows} == key.keys()
    shown = json.dumps(rows)
    assert not any(entry["user"] in shown for entry in key.values())
    assert all(tuple(row) == COLUMNS and row["answer"] == "" for row in rows)
    kinds = [key[row["row"]]["kind"] for row in rows]
    assert kinds != sorted(kinds)


def test_there_are_about_as_many_decoys_as_claims_and_each_is_what_it_is_called(sheet, store):
    entries = list(key_of(sheet).values())
    kinds = Counter(entry["kind"] for entry in entries)
    assert kinds["claim"] > 5
    assert kinds["claim"] - kinds["reversed"] - kinds["other user's"] <= 3
    users = sorted({entry["user"] for entry in entries})
    with SqlStore(store) as database:
        found = {one.compared.user: one for one in find_all_differences(database, map(UserId, users), CONFIG)}
    opposite = {"more": "less", "less": "more"}
    for entry in entries:
        claims = {claim.measure.name: claim.direction for claim in found[entry["user"]].claims}
        if entry["kind"] == "claim":
            assert claims[entry["measure"]] == entry["direction"]
        elif entry["kind"] == "reversed":
            assert claims[entry["measure"]] == opposite[entry["direction"]]
        else:
            assert entry["measure"] not in claims
    assert max(Counter((entry["user"], entry["measure"]) for entry in entries).values()) == 1


def test_raters_read_the_persons_own_reviews_only(sheet, store):
    key = key_of(sheet)
    with SqlStore(store) as database:
        for row in rows_of(sheet):
            own = [" ".join(one.text.split()) for one in database.profile(UserId(key[row["row"]]["user"]))]
            samples = [" ".join(part.split()) for part in row["reviews"].split("\n\n[")]
            for sample in samples:
                text = sample.partition("] ")[2].removesuffix(" [...]")
                assert any(one.startswith(text) for one in own)


def test_a_seed_gives_one_sheet(sheet, store, tmp_path):
    again = write_sheet(store, tmp_path / "sheet.csv", users=6, seed=1, config=CONFIG)
    assert again.sheet.read_bytes() == sheet.read_bytes()
    assert again.key.read_bytes() == key_path(sheet).read_bytes()
    other = write_sheet(store, tmp_path / "other.csv", users=6, seed=2, config=CONFIG)
    assert other.sheet.read_bytes() != sheet.read_bytes()


def test_a_sheet_that_raters_may_be_at_work_on_is_not_written_over(store, tmp_path):
    path = tmp_path / "sheet.csv"
    write_sheet(store, path, users=6, seed=1, config=CONFIG)
    before = path.read_bytes(), key_path(path).read_bytes()
    with pytest.raises(ConfigError, match="is there already"):
        write_sheet(store, path, users=4, seed=2, config=CONFIG)
    assert (path.read_bytes(), key_path(path).read_bytes()) == before


def test_a_sheet_needs_two_users_with_claims_and_a_csv_name(store, tmp_path):
    with pytest.raises(ConfigError, match="1 users"):
        write_sheet(store, tmp_path / "a.csv", users=1)
    with pytest.raises(ConfigError, match="no CSV"):
        write_sheet(store, tmp_path / "a.xlsx")
    with pytest.raises(InputError, match="0 of 50 users"):
        write_sheet(store, tmp_path / "a.csv", config=ExplainConfig(min_effect=99))
    with pytest.raises(NotFoundError):
        write_sheet(str(tmp_path / "none.db"), tmp_path / "a.csv")
    assert not list(tmp_path.iterdir())


def test_raters_who_are_always_right_give_full_marks(sheet):
    key = key_of(sheet)
    files = [
        fill(sheet, sheet.with_name(f"right{k}.csv"), lambda row: "Yes" if key[row]["kind"] == "claim" else "no")
        for k in (1, 2)
    ]
    found = rate(files)
    assert tuple(found.precision) == (1, 1, 1)
    assert tuple(found.false_alarms) == (0, 0, 0)
    assert found.alpha.value == 1
    assert (found.raters, found.statements, found.answers, found.unsure) == (2, len(key), 2 * len(key), 0)
    json.dumps(found.record(), allow_nan=False)
    assert "100%" in found.text


def test_raters_who_agree_with_everything_show_nothing(sheet):
    files = [fill(sheet, sheet.with_name(f"yes{k}.csv"), lambda row: "y") for k in (1, 2)]
    found = rate(files, key=key_path(sheet))
    assert found.precision.value == found.false_alarms.value == 1
    assert np.isnan(found.alpha.value)
    assert found.record()["alpha"]["value"] is None
    assert "not defined" in found.text


def test_guessing_raters_do_not_agree():
    rng = np.random.default_rng(0)
    kinds = ("claim", "reversed", "other user's")
    entries = [
        Entry(row=str(k), kind=kinds[k % 3], user=f"u{k % 20}", measure="m", direction="more", statement="s")
        for k in range(240)
    ]
    sheets = [{entry.row: ("no", "yes", "unsure")[rng.integers(3)] for entry in entries} for _ in range(3)]
    found = report(entries, sheets, rng)
    assert abs(found.alpha.value) < 0.15
    assert found.alpha.low < 0 < found.alpha.high
    assert found.precision.low < 0.5 < found.precision.high
    assert found.unsure + found.answers == 720


def test_one_rater_has_nobody_to_agree_with(sheet):
    found = rate([fill(sheet, sheet.with_name("one.csv"), lambda row: "unsure" if row.endswith("1") else "no")])
    assert np.isnan(found.alpha.value)
    assert "two raters" in found.text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no column 'row'"),
        ("row,reply\nx,yes\n", "no column 'answer'"),
        ("row,answer\na,perhaps\n", "row 'a': 'perhaps' is no answer"),
        ("row,answer\na,yes\na,no\n", "'a' is there twice"),
        ("row,answer\na,\nb\n", "has no answer"),
        (b"\xff\xfe\x00", "cannot read"),
        (b"row,answer\n\x00,yes", None),
    ],
)
def test_a_bad_sheet_is_one_line(content, said, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if said is None:
        read_sheet(path)
        return
    with pytest.raises(InputError, match=said) as caught:
        read_sheet(path)
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_blank_lines_below_a_table_are_no_rows(tmp_path):
    path = tmp_path / "rated.csv"
    path.write_text("row,answer\na,yes\n,\n , \n,\n")
    assert read_sheet(path) == {"a": "yes"}


def test_nobody_agrees_with_themselves(sheet, tmp_path):
    one = fill(sheet, tmp_path / "one.csv", lambda row: "no")
    with pytest.raises(InputError, match="named twice"):
        rate([one, tmp_path / "." / "one.csv"], key=key_path(sheet))
    with pytest.raises(InputError, match="is a folder"):
        rate([tmp_path], key=key_path(sheet))


def test_sheets_without_their_key_are_refused(sheet, tmp_path):
    alone = fill(sheet, tmp_path / "alone.csv", lambda row: "no")
    with pytest.raises(NotFoundError, match="no key"):
        rate([alone])
    with pytest.raises(NotFoundError, match="no key"):
        rate([alone], key=tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text('{"rows": [{"row": 1}]}')
    with pytest.raises(InputError, match="is no key"):
        read_key(tmp_path / "broken.json", alone, {})
    (tmp_path / "other.json").write_text('{"rows": []}')
    with pytest.raises(InputError, match="is not in the key"):
        rate([alone], key=tmp_path / "other.json")
    with pytest.raises(InputError, match="no file"):
        rate([tmp_path / "none.csv"])
    with pytest.raises(InputError, match="no ratings"):
        rate([])
