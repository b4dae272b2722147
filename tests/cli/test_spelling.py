"""One name of an argument in the library, another on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

import idiolect as idl
from idiolect.cli.main import main
from idiolect.cli.spelling import as_flags
from idiolect.errors import ConfigError, IdiolectError

OPTIONS = {"--adapter", "--method", "--set", "--store", "--include-own-review", "--backbone", "--restart"}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("pass adapter=FOLDER, or another method=", "pass --adapter FOLDER, or another --method"),
        ("method=nonpersonalized writes", "--method nonpersonalized writes"),
        ("include it with include_own_review=True)", "include it with --include-own-review)"),
        ("name it: context.retriever=NAME", "name it: --set context.retriever=NAME"),
        ("try adapter_method=dep", "try --set adapter_method=dep"),
        ("name a hub model with model=", "name a hub model with --backbone"),
        ("start anew with resume=False", "start anew with --restart"),
        ("for instance --set fit.epochs=3", "for instance --set fit.epochs=3"),
        ("the file 'store=x' and http://a/?store=b", "the file 'store=x' and http://a/?store=b"),
        ("else=where", "else=where"),
        ("give store='a b'", "give --store a b"),
    ],
)
def test_arguments_become_options_of_the_command(said: str, shown: str) -> None:
    assert as_flags(said, OPTIONS) == shown


def test_columns_become_pairs_where_the_command_has_columns() -> None:
    assert as_flags("name it: text='NAME'", {"--column", "--format"}) == "name it: --column text=NAME"
    assert as_flags("one object a line is format=jsonl", {"--column", "--format"}) == (
        "one object a line is --format jsonl"
    )


def test_columns_of_items_have_an_option_of_their_own() -> None:
    said, options = "name it: item_columns={'item': 'NAME'}", {"--column", "--item-column"}
    assert as_flags(said, options) == "name it: --item-column item=NAME"


@pytest.fixture
def store(tmp_path: Path) -> idl.Store:
    found = idl.Store(tmp_path / "people.db")
    found.add([{"user": user, "item": "tea", "text": f"{user} thinks well of it."} for user in ("ann", "bob")])
    return found


def test_the_library_speaks_of_arguments_and_the_command_line_of_options(
    store: idl.Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    table = tmp_path / "x.csv"
    table.write_text("who,what\na,b\n")
    with pytest.raises(IdiolectError) as caught:
        store.add(table)
    assert "user='NAME'" in str(caught.value)
    assert "--" not in str(caught.value)
    with pytest.raises(SystemExit):
        main(["ingest", str(table), "--store", store.path])
    assert "--column user=NAME" in capsys.readouterr().err
    idl.RAG("fake").write(store, user="ann", item="tea")
    assert "include_own_review=True" in caplog.text
    assert "--include" not in caplog.text


def test_a_column_of_items_is_named_as_the_command_takes_it(
    store: idl.Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reviews, items = tmp_path / "r.csv", tmp_path / "i.csv"
    reviews.write_text("user,item,text\nann,tea,Fine.\n")
    items.write_text("code,title\ntea,Tea\n")
    command = ["ingest", str(reviews), "--items", str(items), "--store", store.path, "--quiet"]
    with pytest.raises(SystemExit):
        main(command)
    assert "name it: --item-column item=NAME" in capsys.readouterr().err
    with pytest.raises(IdiolectError, match=r"item_columns=\{'item': 'NAME'\}"):
        store.add(reviews, items=items)
    main([*command, "--item-column", "item=code"])
    shown = capsys.readouterr().out.split("\n")
    assert shown[1:3] == [
        "columns: user=user item=item text=text; no rating, title, timestamp",
        "columns of items: item=code title=title",
    ]
    assert store.add(reviews, items=items, item_columns={"item": "code"}).stored.items_known == 1


def test_settings_are_called_so_from_python(store: idl.Store) -> None:
    with pytest.raises(ConfigError, match=r"^settings: unknown setting 'contxt'"):
        idl.RAG("fake", settings={"contxt": {}}).write(store, user="ann", item="tea")
