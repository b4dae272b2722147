"""One table per seam: a name, and where its implementation is, imported when it is asked for."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar, cast

from idiolect.errors import ConfigError

T = TypeVar("T")


def suggest(name: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` where something near is known, else the list of what is; empty where nothing is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"one of: {', '.join(names)}" if names else ""


class Registry(Generic[T]):
    """Names to lazily imported ``"module:attribute"`` targets.

    Args:
        kind: What the names stand for, for messages ("encoder").
        targets: The built-in table.
    """

    def __init__(self, kind: str, targets: dict[str, str]) -> None:
        self.kind = kind
        self._targets: dict[str, str | T] = dict(targets)

    def register(self, name: str, target: str | T) -> None:
        """Add an implementation, as an object or as ``"module:attribute"``.

        Raises:
            ConfigError: The name is taken.
        """
        if name in self._targets:
            raise ConfigError(f"{self.kind} {name!r} is already registered", hint="choose another name")
        self._targets[name] = target

    def get(self, name: str) -> T:
        """The implementation called ``name``, imported now.

        Raises:
            ConfigError: There is none of that name.
        """
        if name not in self._targets:
            raise ConfigError(f"unknown {self.kind} {name!r}", hint=suggest(name, self._targets))
        target = self._targets[name]
        if isinstance(target, str):
            module, _, attribute = target.partition(":")
            target = cast(T, getattr(importlib.import_module(module), attribute))
        return target

    def __contains__(self, name: object) -> bool:
        return name in self._targets

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._targets))
