"""Errors that a user can cause, each with the remedy in ``hint``."""

from __future__ import annotations

import importlib
import re
from types import ModuleType

_UNSHOWN = "\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
"""Control characters but line feed and tab, overrides of the writing direction, and halves of surrogate pairs."""
_IN_TEXTS, _IN_LINES = re.compile(f"[{_UNSHOWN}]"), re.compile(f"[{_UNSHOWN}\t\n\u2028\u2029]")
_ACCOUNT = re.compile(r"(://|\b[A-Za-z][A-Za-z0-9+.-]+:/)[^/\s]*@")
"""In an address; a path takes one of its slashes away."""
_SECRET = re.compile(
    r"([?&;](?:[a-z]*password|passwd|pwd|api_?key|access_?token|token|secret)=)[^&;\s'\"]+", re.IGNORECASE
)


def without_passwords(text: str) -> str:
    """``text`` without the names and passwords that stand in its addresses.

    Example:
        >>> without_passwords("cannot open postgresql://me:secret@host/reviews?password=x")
        'cannot open postgresql://host/reviews?password=***'
    """
    return _SECRET.sub(r"\1***", _ACCOUNT.sub(r"\1", text)) if ":/" in text else text


class IdiolectError(Exception):
    """Base of every error the library raises on purpose. Passwords in addresses are left out of what it says.

    Args:
        message: What is wrong, in one line, with the values that matter.
        hint: What to do about it.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        message, hint = without_passwords(message), without_passwords(hint)
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(IdiolectError):
    """A setting is unknown, of the wrong type, or at odds with another."""

    exit_code = 2


class OutputError(ConfigError):
    """A file cannot be written where the user wants it, because something else is there or is read from there."""

    exit_code = 8


class InputError(IdiolectError):
    """A file or row of the user's cannot be used."""

    exit_code = 3


class NotFoundError(IdiolectError):
    """A user, item, review, vector or artifact that was asked for does not exist."""

    exit_code = 4


class ArtifactError(IdiolectError):
    """A saved artifact is damaged or does not fit what it is used with."""

    exit_code = 5


class MissingDependencyError(IdiolectError):
    """An extra is not installed."""

    exit_code = 6


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional dependency, or say which line installs it.

    Args:
        module: Dotted name to import.
        extra: The extra of ``idiolect`` that brings it.

    Raises:
        MissingDependencyError: The module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingDependencyError(
            f"this needs the package {module.split('.')[0]!r}, which is not installed",
            hint=f"pip install 'idiolect[{extra}]'",
        ) from error


def visible(text: str, *, one_line: bool = False) -> str:
    r"""Text with its control characters shown escaped, so that a terminal does not obey them.

    Texts, ids and the names of files and columns are anybody's: an escape sequence in one could change the title of a
    window, fill the clipboard or hide what follows.

    Args:
        text: From anywhere.
        one_line: Whether line feeds and tabs are escaped too.

    Example:
        >>> visible("a\x1b[2Jb")
        'a\\x1b[2Jb'
    """
    if one_line:
        return _IN_LINES.sub(_escaped, text)
    return _IN_TEXTS.sub(_escaped, text.replace("\r\n", "\n"))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return {"\t": r"\t", "\n": r"\n", "\r": r"\r"}.get(found[0]) or (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    )


def json_safe(text: str) -> str:
    """JSON in which the control characters that JSON lets through are written as escapes; its value is the same."""
    return _IN_TEXTS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
