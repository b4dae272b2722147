"""``doctor --store``, ``export`` and ``import`` as their users meet them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from idiolect.cli.main import main
from idiolect.store.sql import SqlStore
from idiolect.types import Review


@pytest.fixture
def store(tmp_path):
    with SqlStore(tmp_path / "a.db") as store:
        store.add([], [Review(id="a", user="ann", item="tea", text="Mild.")])
    return str(tmp_path / "a.db")


def test_a_store_in_order_is_said_to_be(store, capsys):
    main(["doctor", "--store", store])
    out = capsys.readouterr().out
    assert "1 reviews, fingerprint" in out
    assert "wrong" not in out


def test_a_store_that_is_not_in_order_ends_with_the_remedy_and_an_exit_code(store, capsys):
    with closing(sqlite3.connect(store)) as raw:
        raw.execute("UPDATE reviews SET text = 'Strong.'")
        raw.commit()
    with pytest.raises(SystemExit) as stop:
        main(["doctor", "--store", store, "--json"])
    assert stop.value.code == 5
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert not rows["ok"]
    assert rows["remedy"]


def test_a_store_goes_out_and_in_again(store, tmp_path, capsys):
    main(["export", "--store", store, "--out", str(tmp_path / "out")])
    assert "1 reviews" in capsys.readouterr().out
    main(["import", str(tmp_path / "out"), "--store", str(tmp_path / "b.db"), "--json"])
    assert json.loads(capsys.readouterr().out)["equal"]


def test_importing_what_is_no_export_makes_no_store(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["import", str(tmp_path), "--store", str(tmp_path / "b.db")])
    assert stop.value.code == 4
    assert not (tmp_path / "b.db").exists()


def test_importing_a_damaged_export_makes_no_store(store, tmp_path, capsys):
    main(["export", "--store", store, "--out", str(tmp_path / "out")])
    path = tmp_path / "out" / "reviews.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SystemExit):
        main(["import", str(tmp_path / "out"), "--store", str(tmp_path / "new.db")])
    assert "is damaged" in capsys.readouterr().err
    assert not (tmp_path / "new.db").exists()
