"""Registries: names to implementations that are imported on first use."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, cast

from idiolect.errors import ConfigError

T = TypeVar("T")

_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def suggest(name: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` where something near is known, else the list of what is; empty if nothing is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"one of: {', '.join(names)}" if names else ""


def is_path(name: str) -> bool:
    """Whether ``name`` reads like ``"module:attribute"``."""
    return _PATH.fullmatch(name) is not None


def imported(target: str) -> Any:
    """The attribute that ``"module:attribute"`` names."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


class Registry(Generic[T]):
    """Names to lazily imported ``"module:attribute"`` targets; such a target is a name itself, of one's own code.

    Args:
        kind: What the names name, for messages ("encoder").
        targets: The built-in table.
        group: Entry point group of installed packages that add implementations; a built-in name is never replaced.
    """

    def __init__(self, kind: str, targets: dict[str, str], *, group: str = "") -> None:
        self.kind, self.group = kind, group
        self._targets: dict[str, str | T] = dict(targets)

    def register(self, name: str, target: str | T) -> None:
        """Add an implementation, as an object or as ``"module:attribute"``.

        Raises:
            ConfigError: The name is taken.
        """
        if name in self:
            raise ConfigError(f"{self.kind} {name!r} is already registered", hint="choose another name")
        self._targets[name] = target

    def get(self, name: str) -> T:
        """The implementation called ``name``, imported now.

        Raises:
            ConfigError: There is none of that name, or no such attribute of such a module.
        """
        if name not in self._targets:
            return self._imported(self._installed.get(name, name))
        target = self._targets[name]
        return cast(T, imported(target)) if isinstance(target, str) else target

    def _imported(self, name: str) -> T:
        if not is_path(name):
            raise ConfigError(f"unknown {self.kind} {name!r}", hint=suggest(name, self))
        try:
            return cast(T, imported(name))
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"cannot import the {self.kind} {name!r}: {error}", hint="the module must be on PYTHONPATH"
            ) from error

    def __contains__(self, name: object) -> bool:
        return name in self._targets or name in self._installed

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._targets, *self._installed}))

    @cached_property
    def _installed(self) -> dict[str, str]:
        found = entry_points(group=self.group) if self.group else ()
        return {one.name: f"{one.module}:{one.attr}" for one in found}
