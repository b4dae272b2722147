"""One file of a template: values in, text with marks where slots belong out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

import jinja2
from jinja2 import meta

from idiolect.errors import ConfigError
from idiolect.prompts.template_sandbox import TEMPLATE_ERRORS, TemplateSandbox, reason
from idiolect.registry import suggest
from idiolect.types import Stream

STREAMS: Mapping[str, Stream] = {"his": "his", "diff": "diff", "user": "user", "instruction": "instruction"}
"""What a template may ask a slot of."""
_KNOWN = 2048
"""Texts of a part that are kept."""


class Part:
    """One file of a template, compiled.

    Args:
        template: Compiled.
        environment: What compiled it.
        source: Its text.
        mark: What ``slot(stream)`` leaves before and after the stream's name.
    """

    def __init__(self, template: jinja2.Template, environment: TemplateSandbox, source: str, mark: str) -> None:
        self._template, self._environment = template, environment
        # Copied at every rendering, which takes long for a chain of mappings.
        template.globals = {**template.globals, "slot": partial(_slot, mark)}
        parsed = environment.parse(source)
        includes = list(meta.find_referenced_templates(parsed))
        # What an included file reads is not known, so it may be everything.
        self._reads = None if includes else sorted(meta.find_undeclared_variables(parsed))
        self._known = lru_cache(maxsize=_KNOWN)(self._rendered)

    def text(self, values: Mapping[str, Any], *, known: bool = False) -> str:
        """The part with values filled in.

        Args:
            values: What it may use.
            known: What the part reads of them was likely seen before, so the text is looked up.

        Raises:
            ConfigError: The template uses a name that it is not given, or what a template may not use.
        """
        names = values if self._reads is None else self._reads
        read = tuple((name, values[name]) for name in names if name in values)
        if known or not read:
            with suppress(TypeError):  # a list, say, cannot be looked up
                return self._known(read)
        return self._rendered(read)

    def _rendered(self, read: tuple[tuple[str, Any], ...]) -> str:
        try:
            with self._environment.rendering():
                return self._template.render(read)
        except TEMPLATE_ERRORS as error:
            message = f"template {self._template.filename}: {reason(error)}"
            raise ConfigError(message, hint="see the shipped templates") from error


def _slot(mark: str, stream: str) -> str:
    if stream not in STREAMS:
        raise ConfigError(f"a template asks for a slot of stream {stream!r}", hint=suggest(stream, STREAMS))
    return f"{mark}{stream}{mark}"
