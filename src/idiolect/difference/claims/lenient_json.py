"""Tolerant reader of JSON written by language models: surrounded by prose, damaged or truncated. Linear time.

Read in addition to the standard: raw line breaks in strings, escapes of any character, single and curly quotes,
unescaped quotes inside a string, keys without quotes, Python's ``True``, ``False`` and ``None``, comments, trailing
commas, missing closing brackets, several values in sequence. An object that is damaged otherwise, or truncated, is left
out; those around it are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

_STRICT = json.JSONDecoder(strict=False)
_STRICT_TRIES = 3
"""Failed attempts of the standard decoder. Each may read the whole text, so the bound keeps the time linear."""

_OPENERS = "\"'“”„‟‘’«`"
_CLOSERS = {'"': '"', "'": "'", "`": "`", "«": "»", **dict.fromkeys("“”„‟", '"“”„‟'), **dict.fromkeys("‘’", "'‘’")}
_QUOTE = f"[{_OPENERS}]"
_START = re.compile(rf"\[(?=\s*(?:[\[\]{{]|{_QUOTE}))|\{{(?=\s*(?:\}}|{_QUOTE}|\w[\w ]{{0,40}}\s*[:：]|//|/\*|\#))")
"""Where a value may begin in prose; a bracket before a plain word does not begin one."""
_TOKEN = re.compile(
    rf"(?P<open>[\[{{])|(?P<close>[\]}}])|(?P<colon>[:：])|(?P<comma>[,，])|(?P<quote>{_QUOTE})"
    r"|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))|(?P<comment>//[^\n]*|/\*|\#[^\n]*)"
    r"|(?P<word>\w+)"
)
_ENDS = re.compile(
    r"\s*+(?:[:：}\]]|$|//|/\*|```"
    rf"|[,，]\s*+(?:{_QUOTE}|[\[{{\]}}]|$|-?\d|//|/\*|(?:true|false|null|True|False|None)\b|\w{{1,40}}\s*+[:：])"
    rf"|{_QUOTE}\w{{1,40}}{_QUOTE}\s*+[:：])"
)
"""What follows a quotation mark that ends a string; other marks are part of the string."""
_STRING_ENDS = {opener: re.compile(rf"\\.|[{closers}]", re.DOTALL) for opener, closers in _CLOSERS.items()}
"""By opening mark: escapes, and the marks that may end the string."""
_DEEPEST = 100
"""Deepest nesting that is read; real answers have less."""
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_WORDS = {"true": True, "false": False, "null": None, "none": None}
_LONE = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class _Open:
    """An object or list that is not closed yet."""

    value: dict[str, Any] | list[Any]
    key: str | None = None
    """Key of an object's next value; None: a key comes next."""
    filled: bool = False
    """Whether the key has its value and no comma followed."""
    damaged: bool = False
    """Whether something is out of place: the object is not used."""

    def put(self, value: Any) -> None:
        if isinstance(self.value, list):
            self.value.append(value)
        elif self.key is None and isinstance(value, str):
            self.key, self.filled = value, False
        elif self.key is not None and not self.filled:
            self.value[self.key], self.filled = value, True
        else:
            self.damaged = True


@dataclass(slots=True)
class _Reader:
    """Reads one value, as far as possible."""

    text: str
    stack: list[_Open] = field(default_factory=list)
    counts: dict[type, int] = field(default_factory=lambda: {dict: 0, list: 0})
    unclosed: set[str] = field(default_factory=set)
    """Opening marks without a further closing mark, so that none is searched twice."""

    def read(self, place: int) -> tuple[list[Any], int]:
        """The value at ``place``, or its complete parts if it is truncated; and its end."""
        while token := _TOKEN.search(self.text, place):
            kind, place = token.lastgroup, token.end()
            if kind == "quote":
                said, place = self._string(token[0], place)
                if said is None:
                    break
                self.stack[-1].put(said)
            elif kind == "open":
                if len(self.stack) == _DEEPEST:
                    break
                self._open({} if token[0] == "{" else [])
            elif token[0] == "/*":
                place = self.text.find("*/", place) + 2
                if place < 2:
                    break
            elif kind == "close":
                closed = self._close(dict if token[0] == "}" else list)
                if not self.stack:
                    return closed, place
            else:
                self._plain(str(kind), token[0])
        return list(self._whole()), len(self.text)

    def _open(self, value: dict[str, Any] | list[Any]) -> None:
        self.stack.append(_Open(value))
        self.counts[type(value)] += 1

    def _close(self, kind: type) -> list[Any]:
        """Close the innermost container of a kind, and the open ones inside it; without one the mark is ignored.

        Returns:
            The container closed last, unless it is damaged.
        """
        while self.counts[kind]:
            closed = self.stack.pop()
            self.counts[type(closed.value)] -= 1
            if self.stack and not closed.damaged:
                self.stack[-1].put(closed.value)
            elif self.stack:
                self.stack[-1].filled = True
            if isinstance(closed.value, kind):
                return [] if closed.damaged else [closed.value]
        return []

    def _plain(self, kind: str, said: str) -> None:
        top = self.stack[-1]
        if kind == "number":
            top.put(float(said) if not said.lstrip("-").isdigit() else int(said) if len(said) < 1000 else said)
        elif kind == "word":
            wants_key = isinstance(top.value, dict) and top.key is None
            top.put(said if wants_key or said.lower() not in _WORDS else _WORDS[said.lower()])
        elif kind == "comma":
            top.key, top.filled = None, False

    def _string(self, opener: str, start: int) -> tuple[str | None, int]:
        """The string after its opening mark, and its end; None if it is truncated."""
        first = None
        for mark in _STRING_ENDS[opener].finditer(self.text, start):
            if mark[0][0] == "\\":
                continue
            if opener in self.unclosed or _ENDS.match(self.text, mark.end()):
                return _unescaped(self.text[start : mark.start()]), mark.end()
            first = first or mark
        self.unclosed.add(opener)
        if first is None:
            return None, len(self.text)
        return _unescaped(self.text[start : first.start()]), first.end()

    def _whole(self) -> Iterator[Any]:
        """The complete values in the unclosed containers, outermost first."""
        for one in self.stack:
            yield from one.value.values() if isinstance(one.value, dict) else one.value


def read_values(text: str) -> list[Any]:
    """All JSON objects and lists in a text, in order; of a truncated one, its complete parts.

    Never raises on any text. Strings have no lone surrogates, so that they can be written as UTF-8.

    Args:
        text: Of any origin and length.
    """
    values: list[Any] = []
    place, tries = 0, _STRICT_TRIES
    while start := _START.search(text, place):
        value, end = None, -1
        if tries:
            try:
                value, end = _STRICT.raw_decode(text, start.start())
            except (ValueError, RecursionError):
                tries -= 1
        if end < 0:
            found, end = _Reader(text).read(start.start())
            values += found
        else:
            values.append(value)
        place = end
    return values


def objects(values: Iterable[Any], *names: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The outermost objects with one of these keys, in order, each with the key that it is under ("" in a list).

    Keys are compared without case, spaces, hyphens and underscores.
    """
    wanted = {plain_key(name) for name in names}
    waiting: list[tuple[str, Any]] = [("", value) for value in reversed(list(values))]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            if wanted & {plain_key(key) for key in value}:
                yield name, value
            else:
                waiting += [(key, inner) for key, inner in reversed(value.items())]
        elif isinstance(value, list):
            waiting += [("", inner) for inner in reversed(value)]


def plain_key(key: str) -> str:
    """A key in its compared form: "Feature Name", "feature-name" and "feature_name" are equal."""
    return re.sub(r"[\s_-]+", "", key).lower()


def says_none(values: Iterable[Any], *names: str) -> bool:
    """Whether the values state that there is nothing: an empty list or object, or nothing under one of the keys."""
    wanted = {plain_key(name) for name in names}
    listed = [
        inner
        for value in values
        for key, inner in (value.items() if isinstance(value, dict) and value else [("", value)])
        if not key or plain_key(key) in wanted
    ]
    return any(inner is None or inner in ({}, [], "") for inner in listed)


def whole(text: str) -> str:
    """The text without lone surrogates, which an escape can bring in and no file can hold."""
    return _LONE.sub("\ufffd", text) if _LONE.search(text) else text


def _unescaped(said: str) -> str:
    if "\\" not in said:
        return said
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _ESCAPED.get(found[2], found[2]), said)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _LONE.search(plain) else plain
