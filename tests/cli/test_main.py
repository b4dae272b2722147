"""The command line as its users meet it: quick help, one-line errors, exit codes."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.cli.main import COMMANDS, EXAMPLES, build_app, main
from idiolect.cli.options import overrides
from idiolect.errors import ConfigError, json_safe, visible
from idiolect.store.sql import SqlStore
from idiolect.types import Review


def run(capsys: pytest.CaptureFixture[str], *tokens: str) -> tuple[int, str, str]:
    code = 0
    try:
        main(tokens)
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_help_names_every_command_and_loads_no_torch() -> None:
    script = (
        "import sys\nfrom idiolect.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'polars', 'sqlalchemy', 'nltk'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


def test_the_help_fits_on_one_screen(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    _, out, _ = run(capsys, "--help")
    assert len(out.splitlines()) <= 45
    assert "Example: idiolect" in out


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    code, out, _ = run(capsys, command, "--help")
    assert code == 0
    assert len(out.splitlines()) <= 40
    assert f"Example: {EXAMPLES[command]}" in " ".join(out.split())
    build_app().parse_args(shlex.split(EXAMPLES[command])[1:])
    assert COMMANDS[command].split(":")[0].split(",")[0] in " ".join(out.split()) or "Usage" in out


def test_every_command_explains_itself_in_an_installation_without_extras() -> None:
    script = (
        "import contextlib, io, sys\n"
        "for name in ('torch', 'transformers', 'sentence_transformers', 'nltk', 'fastapi', 'openai', 'pandas'):\n"
        "    sys.modules[name] = None\n"
        "from idiolect.cli.main import COMMANDS, main\n"
        "for command in COMMANDS:\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):\n"
        "        main([command, '--help'])\n"
        "    assert 'Usage' in out.getvalue(), command\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_interrupted_command_says_what_to_do(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("idiolect.cli.data.set_peer", interrupted)
    code, _, err = run(capsys, "peer", "ann")
    assert code == 130
    assert "run the same command again" in err


def test_a_place_that_cannot_be_written_to_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch, tmp_path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("a file")
    (tmp_path / "one.jsonl").write_text('{"user": "a", "item": "b", "text": "some words about it"}\n')
    (tmp_path / "folder").mkdir()
    code, _, err = run(capsys, "ingest", "one.jsonl", "--store", "s.db", "--rejects", "folder")
    assert (code, "Traceback" in err) == (8, False)
    assert "folder" in err
    code, _, err = run(capsys, "export", "--store", "s.db", "--out", "taken")
    assert code != 0
    assert "taken" in err


@pytest.mark.parametrize(
    ("tokens", "code", "message"),
    [
        (["split", "--store", "absent.db", "--out", "s"], 4, "absent.db"),
        (["ingest", "absent.jsonl", "--store", "x.db"], 3, "absent.jsonl"),
        (["split", "--store", "x.db", "--out", "s", "--set", "min_user=3"], 2, "min_user"),
        (["write", "--user", "u", "--item", "i", "--adapter", "nowhere"], 4, "nowhere"),
    ],
)
def test_a_mistake_is_one_line_with_a_remedy(
    tokens: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str], monkeypatch, tmp_path
) -> None:
    monkeypatch.chdir(tmp_path)
    got, _, err = run(capsys, *tokens)
    assert got == code
    assert message in err
    assert "Traceback" not in err
    assert "hint" in err


def test_an_unknown_setting_is_refused_with_the_nearest_name(
    capsys: pytest.CaptureFixture[str], tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "fit", "--split", "s", "--out", "o", "--set", "context.kk=3")
    assert code == 2
    assert "'k'" in err


def test_set_pairs_nest_and_parse_as_yaml() -> None:
    assert overrides(("fit.epochs=3", "fit.bf16=auto", "prompt.guidance=false")) == {
        "fit": {"epochs": 3, "bf16": "auto"},
        "prompt": {"guidance": False},
    }
    with pytest.raises(ConfigError, match="key=value"):
        overrides(("fit.epochs",))


def test_reviews_go_in_and_a_review_is_added(capsys: pytest.CaptureFixture[str], tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"user_id": f"u{i % 3}", "item_id": f"i{i % 2}", "text": f"text number {i}", "rating": 4} for i in range(6)]
    lines = [json.dumps(row) for row in rows] + ["not json", json.dumps({"user_id": "u1", "item_id": "i1"})]
    (tmp_path / "r.jsonl").write_text("\n".join(lines))
    code, out, _ = run(capsys, "ingest", "r.jsonl", "--store", "s.db", "--json")
    record = json.loads(out)
    assert code == 0
    assert (record["read"], record["accepted"], record["reviews_added"]) == (8, 6, 6)
    assert sum(record["rejected"].values()) == 2
    rejects = [json.loads(line) for line in (tmp_path / "r.jsonl.rejects.jsonl").read_text().splitlines()]
    assert [row["line"] for row in rejects] == [7, 8]
    code, out, _ = run(capsys, "ingest", "r.jsonl", "--store", "s.db", "--json")
    assert json.loads(out)["reviews_added"] == 0
    code, out, _ = run(capsys, "embed", "--store", "s.db", "--encoder", "hash:32", "--json")
    assert json.loads(out)["embedded"] == 6
    code, out, _ = run(
        capsys,
        "add",
        "--store",
        "s.db",
        "--user",
        "u9",
        "--item",
        "i0",
        "--text",
        "new",
        "--encoder",
        "hash:32",
        "--json",
    )
    assert code == 0
    assert json.loads(out)["user"] == "u9"


@pytest.mark.parametrize(("rating", "stored"), [("4/5", 4.0), ("4,5", 4.5), ("", None)])
def test_a_rating_is_read_as_files_have_it(capsys: pytest.CaptureFixture[str], tmp_path, rating, stored) -> None:
    store = str(tmp_path / "s.db")
    new = ["add", "--user", "u", "--item", "i", "--text", "new", "--id", "r1", "--store", store]
    code, *_ = run(capsys, *new, f"--rating={rating}")
    assert code == 0
    with SqlStore(store, create=False) as opened:
        assert [review.rating for review in opened.reviews(["r1"])] == [stored]


@pytest.mark.parametrize("rating", ["four", "nan", "1e999"])
def test_what_is_no_rating_is_named_in_a_line(capsys: pytest.CaptureFixture[str], tmp_path, rating) -> None:
    new = ["add", "--user", "u", "--item", "i", "--text", "new", "--store", str(tmp_path / "s.db")]
    code, _, err = run(capsys, *new, "--rating", rating)
    assert code == 3
    assert f"{rating!r} is no rating" in err
    assert "such as 4, 4.5 or 4/5" in err
    assert not (tmp_path / "s.db").exists()


def test_too_many_rejected_rows_fail_but_keep_the_good_ones(
    capsys: pytest.CaptureFixture[str], tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    good = json.dumps({"user": "u", "item": "i", "text": "fine"})
    (tmp_path / "r.jsonl").write_text("\n".join([good, "x", "y", "z"]))
    code, _, err = run(capsys, "ingest", "r.jsonl", "--store", "s.db")
    assert code == 3
    assert "3 of 4" in err
    code, out, _ = run(capsys, "embed", "--store", "s.db", "--encoder", "hash", "--json")
    assert json.loads(out)["embedded"] == 1


def test_it_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "idiolect", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: idiolect COMMAND")


DANGEROUS = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp\u2066\x7f\r"


def dangerous(text: str) -> set[str]:
    return set(text) & {chr(k) for k in (*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), 0x2066)}


@pytest.fixture
def hostile(tmp_path, monkeypatch) -> None:
    """A store in which user, item and texts hold sequences that a terminal would obey."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {"user": user, "item": f"i{k}{DANGEROUS}", "text": f"Wow!!! {DANGEROUS} So good!!! {'It is. ' * (user != EVE)}"}
        for user in (EVE, "a", "b", "c", "d", "e")
        for k in range(8)
    ]
    with SqlStore("s.db") as store:
        store.add([], [Review(id=f"r{n}", order=n, **row) for n, row in enumerate(rows)])


EVE = f"eve{DANGEROUS}"
WRITE = ("write", "--user", EVE, "--item", f"i0{DANGEROUS}", "--backbone", "fake", "--set", "encoder=hash:16")


@pytest.mark.parametrize(
    "tokens",
    [
        ("explain", EVE),
        ("explain", EVE, "--markdown"),
        ("explain", EVE, "--json"),
        ("explain", "nobody" + DANGEROUS),
        ("write", "--user", EVE, "--item", f"i0{DANGEROUS}", "--backbone", "fake", "--set", "encoder=hash:16"),
        (
            "write",
            "--user",
            EVE,
            "--item",
            f"i0{DANGEROUS}",
            "--backbone",
            "fake",
            "--set",
            "encoder=hash:16",
            "--json",
        ),
        ("write", "--user", "no" + DANGEROUS, "--item", "i", "--backbone", DANGEROUS),
        ("peer", "no" + DANGEROUS),
        ("forget", "no" + DANGEROUS, "--outputs", DANGEROUS),
        ("ingest", DANGEROUS),
        ("ingest", "--set" + DANGEROUS),
        (DANGEROUS,),
        ("compare", DANGEROUS),
        ("compare", "x", "--csv", DANGEROUS, "--no" + DANGEROUS),
        ("doctor", "--store", DANGEROUS),
        ("export", "--out", DANGEROUS, "--json"),
        ("split", "--out", "s", "--set", f"{DANGEROUS}={DANGEROUS}"),
        ("add", "--user", EVE, "--item", DANGEROUS, "--text", "x", "--encoder", DANGEROUS),
        ("import", DANGEROUS),
    ],
)
def test_no_command_prints_what_a_terminal_obeys(
    tokens: tuple[str, ...], hostile: None, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *tokens)
    assert not dangerous(out + err)
    assert "Traceback" not in err
    if "--json" in tokens and code == 0:
        json.loads(out)


def test_columns_and_files_are_shown_escaped(tmp_path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"a{DANGEROUS}.json").write_text(json.dumps([{f"user{DANGEROUS}": "a", "text": "b", "item": "c"}]))
    code, out, err = run(capsys, "ingest", f"a{DANGEROUS}.json", "--store", "s.db")
    assert code == 3
    assert not dangerous(out + err)
    assert r"\x1b" in err


def test_log_lines_are_shown_escaped() -> None:
    script = (
        "import logging, sys\nfrom idiolect.cli.main import main\n"
        "try: main(['--version'])\nexcept SystemExit: pass\n"
        "logging.getLogger('x').warning('a%s', chr(27) + chr(0x9b) + chr(0xd800))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.stderr.decode() == "a\\x1b\\x9b\\ud800\n"


@given(st.text())
def test_what_is_shown_holds_no_control_character_and_json_keeps_its_value(text: str) -> None:
    assert not dangerous(visible(text))
    assert not dangerous(visible(text, one_line=True))
    assert "\n" not in visible(text, one_line=True)
    plain = json.dumps({text: text}, ensure_ascii=False)
    assert json.loads(json_safe(plain)) == {text: text}
    assert not dangerous(json_safe(plain))
    if text.isprintable():
        assert visible(text) == text


@pytest.mark.parametrize("user", ["-1BSzztQ", "-_abc", "-5", "-", "--x", "-a=b"])
def test_ids_that_begin_with_a_dash(user: str, tmp_path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    add = ("add", "--user", user, "--item", user, "--text", user, "--title", user, "--encoder", "hash:16")
    code, out, _ = run(capsys, *add, "--id", user, "--json")
    assert (code, json.loads(out)["user"]) == (0, user)
    place = ("--", user) if user.startswith("--") else (user,)
    code, out, _ = run(capsys, "peer", "--json", *place)
    assert (code, json.loads(out)["reviews"]) == (0, 1)
    code, out, _ = run(capsys, "forget", "--json", "--", user)
    assert (code, json.loads(out)["reviews"]) == (0, 1)


@pytest.mark.parametrize("tokens", [("forget", "--jsno"), ("explain", "--stoer", "x"), ("peer", "ann", "--josn")])
def test_a_mistyped_option_is_no_id(tokens: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, *tokens)
    assert code == 1
    assert "nknown option" in err
    assert f"idiolect {tokens[0]} [options] -- ID" in err


@pytest.mark.parametrize(
    "tokens",
    [
        ("explain", "\udcff"),
        ("forget", "\udcff"),
        ("peer", "\udcff"),
        ("add", "--user", "\udcff", "--item", "i", "--text", "x", "--encoder", "hash:16"),
        ("export", "--out", "o\udcff"),
        ("forget", "zz", "--outputs", "a\0b"),
        ("compare", "a\0b"),
        ("explain", "--ratings", "a\0b"),
        ("explain", "--ratings", "long.csv"),
        ("explain", "--rating-sheet", "q.csv", "--seed", "-1"),
        ("embed", "--encoder", "hash:" + "9" * 5000),
        ("export", "--store", "postgresql://h:abc/x", "--out", "z"),
        ("split", "--out", "o", "--set", "a=" + "[" * 5000),
        ("split", "--out", "o", "--set", "seed=" + "9" * 6000),
    ],
)
def test_what_cannot_be_read_is_one_line_and_a_hint(
    tokens: tuple[str, ...], tmp_path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "long.csv").write_text("x" * 200_000)
    with SqlStore("idiolect.db") as store:
        store.add([], [Review(id="1", user="a", item="i", text="x")])
    code, _, err = run(capsys, *tokens)
    assert code in (1, 2, 3, 4)
    assert [line[:5] for line in err.splitlines()] == ["error", "hint:"]


def test_a_damaged_row_or_file_is_no_traceback(tmp_path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    bad = json.dumps({"name": "a", "input": "x", "output": "y", "profile": [{"title": "\ud800", "text": "own text"}]})
    good = json.dumps({"name": "b", "input": "x", "output": "y", "profile": [{"title": "A title", "text": "own text"}]})
    (tmp_path / "l.jsonl").write_text(f"{bad}\n{good}\n")
    code, out, _ = run(capsys, "ingest", "l.jsonl", "--store", "s.db", "--json")
    assert code == 0
    assert json.loads(out)["reviews_added"] >= 2
    assert json.loads(out)["rejected"] == {"not UTF-8": 1}
    literal = "{'reviewerID': 'a', 'asin': 'i', 'reviewText': 'x', 0x" + "f" * 6000 + ": 1}\n"
    (tmp_path / "a.json").write_text(literal)
    code, out, _ = run(capsys, "ingest", "a.json", "--store", "t.db", "--json")
    assert (code, json.loads(out)["reviews_added"]) == (0, 1)
    odd = "r\udcff.jsonl"
    (tmp_path / odd).write_text('{"user": "a", "item": "i", "text": "x"}\nbad\n')
    code, out, _ = run(capsys, "ingest", odd, "--store", "u.db", "--json")
    assert (code, json.loads(out)["reviews_added"]) == (0, 1)
    with SqlStore("u.db") as store:
        assert {path.name for path in store.outputs()} >= {f"{odd}.rejects.jsonl"}
