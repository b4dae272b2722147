from __future__ import annotations

import pytest

from idiolect import errors
from idiolect.errors import IdiolectError, MissingDependencyError, require

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, IdiolectError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_shows_its_message_and_its_remedy(kind: type[IdiolectError]) -> None:
    error = kind("no such file 'x'", hint="check the path")
    assert str(error) == "no such file 'x' (check the path)"
    assert (error.message, error.hint) == ("no such file 'x'", "check the path")


def test_without_a_remedy_the_message_stands_alone() -> None:
    assert str(IdiolectError("broken")) == "broken"


def test_every_kind_has_an_exit_code_of_its_own() -> None:
    codes = [kind.exit_code for kind in KINDS]
    assert len(set(codes)) == len(codes)
    assert 0 not in codes


def test_an_installed_package_is_imported() -> None:
    assert require("json.decoder", extra="x").__name__ == "json.decoder"


def test_a_missing_package_names_the_line_that_installs_it() -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install 'idiolect\[metrics\]'") as caught:
        require("no_such_package.part", extra="metrics")
    assert "'no_such_package'" in caught.value.message


def test_what_an_installed_package_misses_itself_is_not_blamed_on_the_extra(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_installed.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        require("half_installed", extra="metrics")


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (
            "cannot open postgresql+psycopg://me:s3cret@host:5/db here",
            "cannot open postgresql+psycopg://host:5/db here",
        ),
        ("{'base_url': 'https://me:s3cr@et@host/v1'}", "{'base_url': 'https://host/v1'}"),
        ("mysql://host/db?user=me&password=s3cret&x=1", "mysql://host/db?user=me&password=***&x=1"),
        ("https://host/a@b and me@host", "https://host/a@b and me@host"),
        ("no such file: 'https:/me:s3cret@host/x.csv'", "no such file: 'https:/host/x.csv'"),
        ("C:/notes@home and a:/b@c", "C:/notes@home and a:/b@c"),
        ("a plain message: 1 // 2 @ 3", "a plain message: 1 // 2 @ 3"),
    ],
)
def test_no_error_tells_a_password(told: str, shown: str) -> None:
    error = IdiolectError(told, hint=told)
    assert (error.message, error.hint, error.args) == (shown, shown, (shown,))
