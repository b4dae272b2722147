"""What several commands share: common options, settings from file and flags, output for people or programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from idiolect.cli.spelling import as_flags
from idiolect.config import merge, parse_yaml
from idiolect.engine import EngineName
from idiolect.errors import ConfigError, json_safe, visible

BEHIND_DASHES: set[str] = set()
"""The words of the command line behind ``--``, which are no options whatever they begin with."""


class _Options:
    """The options of the command that runs, for messages that name its arguments."""

    of: Callable[[], Collection[str]] = frozenset

    def spell(self, text: str) -> str:
        """A message of the library, with its arguments as the command's options (``spelling.as_flags``)."""
        return as_flags(text, self.of()) if "=" in text else text


OPTIONS = _Options()


def _no_option(_: Any, value: str | None) -> None:
    """One dash may begin an id; two are a mistyped option, unless the word is behind ``--``."""
    if value is not None and value.startswith("--") and value not in BEHIND_DASHES:
        raise ValueError(f"unknown option {value!r}")


UserName = Annotated[str, Parameter(allow_leading_hyphen=True, validator=_no_option)]
"""A user's id in a place of its own: anybody's text, so it may begin with a dash."""
StorePath = Annotated[str, Parameter(name="--store", env_var="IDIOLECT_STORE")]
"""Path of a SQLite file, or a database URL."""
Set = Annotated[tuple[str, ...], Parameter(name="--set", negative="")]
"""``key=value`` pairs, dots descend."""
KeyFile = Annotated[Path | None, Parameter(name="--pseudonyms")]
"""File of the key that users' ids are hashed with."""
Engine = Annotated[EngineName | None, Parameter(name="--engine")]
"""What does bulk work."""
Json = Annotated[bool, Parameter(name="--json", negative="")]
Quiet = Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")]


def overrides(pairs: tuple[str, ...]) -> dict[str, Any]:
    """``("fit.epochs=3", "prompt.guidance=false")`` as a nested mapping; values are YAML.

    Raises:
        ConfigError: A pair has no ``=`` or its value is not YAML.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set {pair!r} is not key=value", hint="for instance --set fit.epochs=3")
        value = parse_yaml(text, where=f"the value of --set {_cut(pair)!r}")
        for part in reversed(key.split(".")):
            value = {part: value}
        settings = merge(settings, value)
    return settings


def settings_for(call: Callable[..., object], pairs: tuple[str, ...], *, allowed: Sequence[str] = ()) -> dict[str, Any]:
    """``overrides`` as keyword arguments of a call, whose own arguments are no settings."""
    found = overrides(pairs)
    own = {name for name, one in signature(call).parameters.items() if one.kind is not one.VAR_KEYWORD}
    if taken := sorted(own.difference(allowed) & set(found)):
        raise ConfigError(f"--set: unknown setting {taken[0]!r}", hint="options of the command are not settings")
    return found


def _cut(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}..."


def columns(pairs: tuple[str, ...]) -> dict[str, str]:
    """``("user=reviewer", "text=body")`` as a mapping of fields to a file's columns."""
    split = [pair.partition("=") for pair in pairs]
    for (key, equals, column), pair in zip(split, pairs, strict=True):
        if not (key and equals and column):
            raise ConfigError(f"{pair!r} is not field=column", hint="for instance --column user=reviewer")
    return {key: column for key, _, column in split}


def given(**flags: Any) -> dict[str, Any]:
    """The flags that were typed: those that are neither None nor empty."""
    return {name: value for name, value in flags.items() if value not in (None, {}, ())}


def show(record: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print a command's result: one JSON object for programs, or text for people.

    Of several processes under a launcher the first one speaks for all.
    """
    if int(os.environ.get("RANK", "0")) > 0:
        return
    if as_json:
        print(json_safe(json.dumps(record, ensure_ascii=False, default=_plain)))
    else:
        Console(highlight=False, soft_wrap=True).print(visible(text), markup=False)


def say(line: str) -> None:
    """Tell a person how far a long command is, on standard error."""
    print(visible(line), file=sys.stderr, flush=True)


def warn(note: str) -> None:
    """Tell a person what the result alone does not show; programs find it in the JSON."""
    if int(os.environ.get("RANK", "0")) == 0:
        print(f"note: {OPTIONS.spell(note)}", file=sys.stderr)


def progress(quiet: bool) -> bool:
    """Whether to say how far a command is: a bar in a terminal, else one line per minute."""
    return not quiet


def _plain(value: object) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
