from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from idiolect.cli.main import main
from idiolect.cli.screens import print_card
from idiolect.experiments.world import store_world
from idiolect.explain.run import explain_user
from idiolect.sandbox.domain import WorldConfig


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("world") / "reviews.db")
    store_world(path, WorldConfig(seed=9, n_users=40, n_items=24, reviews_per_user=(12, 14)))
    return path


def run(capsys: pytest.CaptureFixture[str], *tokens: str) -> tuple[int, str, str]:
    code = 0
    try:
        main(tokens)
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_card_is_text_json_or_markdown_and_says_the_same(capsys, store):
    told = ["explain", "s9-u00000", "--store", store]
    (_, text, _), (_, page, _), (code, record, _) = (
        run(capsys, *told, *more) for more in ([], ["--markdown"], ["--json"])
    )
    found = json.loads(record)
    assert code == 0
    assert found["measured"]
    for claim in found["measured"]:
        assert claim["phrase"] in text
        assert claim["phrase"] in page
        assert claim["low"] < claim["effect"] < claim["high"]
    assert page.startswith("# How s9-u00000 differs")
    assert "\x1b" not in text


def test_a_terminal_gets_colours_and_lines_that_fit(store):
    console = Console(file=io.StringIO(), force_terminal=True, width=60, highlight=False)
    print_card(explain_user(store, "s9-u00000"), console)
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert "\x1b[" in printed
    assert all(len(Console().render_str(line).plain) <= 80 for line in printed.splitlines()[:3])


def test_settings_reach_the_card(capsys, store):
    _, out, _ = run(capsys, "explain", "s9-u00000", "--store", store, "--set", "min_effect=99", "--json")
    assert json.loads(out)["abstains"]


def test_a_sheet_goes_out_and_ratings_come_back(capsys, store, tmp_path: Path):
    sheet = tmp_path / "sheet.csv"
    code, out, _ = run(capsys, "explain", "--rating-sheet", str(sheet), "--users", "4", "--store", store, "--json")
    assert code == 0
    assert json.loads(out)["users"] == 4
    key = json.loads((tmp_path / "sheet.key.json").read_text())["rows"]
    rated = [tmp_path / f"r{k}.csv" for k in (1, 2)]
    for path in rated:
        path.write_text(
            "row,answer\n" + "".join(f"{row['row']},{'yes' if row['kind'] == 'claim' else 'no'}\n" for row in key)
        )
    code, out, _ = run(capsys, "explain", "--ratings", *map(str, rated))
    assert code == 0
    assert "precision of the claims:  100%" in out
    code, out, _ = run(
        capsys, "explain", "--ratings", *map(str, rated), "--key", str(tmp_path / "sheet.key.json"), "--json"
    )
    assert json.loads(out)["alpha"]["value"] == 1


@pytest.mark.parametrize(
    ("tokens", "code", "said"),
    [
        (["s9-u001"], 4, "did you mean"),
        ([], 2, "one of USER"),
        (["s9-u00000", "--ratings", "x.csv"], 2, "one of USER"),
        (["--ratings", "x.csv"], 3, "x.csv"),
        (["--rating-sheet", "x.txt"], 2, "x.txt"),
        (["s9-u00000", "--set", "least=1"], 2, "min_effect"),
        (["s9-u00000", "--answers", "none.jsonl"], 3, "none.jsonl"),
    ],
)
def test_a_mistake_is_one_line_with_a_remedy(capsys, store, tokens, code, said):
    got, _, err = run(capsys, "explain", *tokens, "--store", store)
    assert got == code
    assert said in err
    assert "hint" in err
    assert "Traceback" not in err
