"""``idiolect score``: a fault of the file or of an option is one line, and no file of anybody's is replaced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from idiolect.api.evaluation import score
from idiolect.cli.main import main
from idiolect.errors import ConfigError, InputError

ROWS = [
    {"user": f"u{k % 3}", "method": method, "id": k, "prediction": f"tea {k} is fine", "reference": f"tea {k} was fine"}
    for method in ("rag", "dep")
    for k in range(6)
]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def scored(path: Path, *options: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["score", str(path), "--metrics", "rouge1", *options])
    return stop.value.code


@pytest.mark.parametrize("option", ["--csv", "--latex"])
def test_neither_what_is_scored_nor_anything_else_is_replaced(texts: Path, tmp_path: Path, option: str) -> None:
    (tmp_path / "link").symlink_to(texts)
    (tmp_path / "notes").write_text("mine\n")
    (tmp_path / "folder").mkdir()
    before = texts.read_bytes()
    for name in ("texts.jsonl", "link", "notes", "folder", "none/x"):
        assert scored(texts, option, str(tmp_path / name)) == 8, name
    assert scored(texts, "--csv", str(tmp_path / "x"), "--latex", str(tmp_path / "x")) == 8
    assert texts.read_bytes() == before
    assert (tmp_path / "notes").read_text() == "mine\n"
    assert {path.name for path in tmp_path.iterdir()} == {"texts.jsonl", "link", "notes", "folder"}


def test_an_earlier_table_is_replaced(texts: Path, tmp_path: Path) -> None:
    options = ["--csv", str(tmp_path / "s.csv"), "--latex", str(tmp_path / "s.tex"), "--resamples", "100"]
    for _ in range(2):
        main(["score", str(texts), "--metrics", "rouge1", *options])
    assert (tmp_path / "s.csv").read_text().count("rouge1") >= 2
    assert r"\begin{tabular}" in (tmp_path / "s.tex").read_text()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--resamples", "0"), 2),
        (("--resamples", "-5"), 2),
        (("--resamples", "1000000000000"), 2),
        (("--seed", "-1"), 2),
        (("--metrics", "os:getcwd"), 2),
        (("--metrics", "os:system"), 2),
        (("--column", "user=nobody"), 3),
    ],
)
def test_numbers_columns_and_metrics_that_are_none_are_one_line(texts: Path, options, code: int, capsys) -> None:
    assert scored(texts, *options) == code
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 2
    assert error[0].startswith("error: ")


def test_bytes_that_are_no_utf8_are_not_scored(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"user,prediction,reference\nu,fine,fine\nv,caf\xe9,caf\xe9\n")
    with pytest.raises(InputError, match=r"line 3: 'prediction' is not UTF-8 \(convert it: iconv -f CP1252"):
        score(str(tmp_path / "t.csv"))


def test_a_table_without_any_figure_is_none() -> None:
    with pytest.raises(InputError, match=r"no metric gives a figure: .*rouge1 is left out"):
        score(["words", "words"], [" ", ""], metrics=["rouge1"])


@pytest.mark.parametrize("where", ["https://me:hunter2@example.org/x.jsonl", "s3://me:hunter2@bucket/x"])
def test_an_address_is_no_file_and_its_password_is_not_reported(where: str) -> None:
    for given in (where, Path(where)):
        with pytest.raises(InputError, match="is an address, not a file") as caught:
            score(str(given))
        assert "hunter2" not in str(caught.value)


def test_a_metric_of_ones_own_that_fails_is_named() -> None:
    with pytest.raises(ConfigError, match="calling the metric 'os:system' failed: TypeError"):
        score(["a"], ["a"], metrics=["os:system"])
    with pytest.raises(ConfigError, match="'os:getcwd' returned no metric, but str"):
        score(["a"], ["a"], metrics=["os:getcwd"])
