"""Template files to segments of text and slots."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from jinja2 import meta

from idiolect.errors import ConfigError
from idiolect.registry import suggest
from idiolect.types import Segment, Slot, Stream

TEMPLATES = Path(__file__).parent / "templates"
PARTS = ("system", "head", "entry", "tail")
_KNOWN = 2048
"""Texts of a part that are kept."""
_STREAMS: Mapping[str, Stream] = {"his": "his", "diff": "diff", "user": "user", "instruction": "instruction"}


class Part:
    """One file of a template, compiled.

    Args:
        env: Where it is.
        name: Of the file, without its ending.
        mark: What ``slot(stream)`` leaves before and after the stream's name.
    """

    def __init__(self, env: jinja2.Environment, name: str, mark: str) -> None:
        self._template = env.get_template(f"{name}.jinja")
        source = Path(str(self._template.filename)).read_text(encoding="utf-8")
        # Copied at every rendering, which takes long for a chain of mappings.
        self._template.globals = {**self._template.globals, "slot": partial(_slot, mark)}
        parsed = env.parse(source)
        includes = list(meta.find_referenced_templates(parsed))
        # What an included file reads is not known, so it may be everything.
        self._reads = None if includes else meta.find_undeclared_variables(parsed)
        self._known = lru_cache(maxsize=_KNOWN)(self._rendered)

    def text(self, values: Mapping[str, Any], *, known: bool = False) -> str:
        """The part with values filled in.

        Args:
            values: What it may use.
            known: What the part reads of them was likely seen before, so the text is looked up.

        Raises:
            ConfigError: The template uses a name that it is not given.
        """
        read = tuple((name, value) for name, value in values.items() if self._reads is None or name in self._reads)
        if known or not read:
            with suppress(TypeError):  # a list, say, cannot be looked up
                return self._known(read)
        return self._rendered(read)

    def _rendered(self, read: tuple[tuple[str, Any], ...]) -> str:
        try:
            return self._template.render(read)
        except jinja2.TemplateError as error:
            raise ConfigError(
                f"template {self._template.filename}: {error}", hint="see the shipped templates"
            ) from error


class Files(NamedTuple):
    """The four files of one template."""

    parts: Mapping[str, Part]
    mark: str
    """What ``slot(stream)`` leaves in a rendered part, before and after the stream's name; nobody can guess it, so no
    text can forge a slot."""

    def segments(
        self, part: str, values: Mapping[str, Any], entry: int = -1, *, known: bool = False
    ) -> tuple[Segment, ...]:
        """A part with values filled in.

        Args:
            part: ``system``, ``head``, ``entry`` or ``tail``.
            values: What the template may use.
            entry: The history entry its slots belong to; -1: none.
            known: See ``Part.text``.

        Raises:
            ConfigError: The template uses a name it is not given.
        """
        text = _trimmed(part, self.parts[part].text(values, known=known))
        if self.mark not in text:
            return (text,) if text else ()
        pieces = text.split(self.mark)
        segments = (Slot(_STREAMS[piece], entry) if k % 2 else piece for k, piece in enumerate(pieces))
        return tuple(segment for segment in segments if segment)


@lru_cache(maxsize=64)
def load(template: str, folder: Path, description_chars: int) -> Files:
    """The files of the template folder ``template`` in ``folder``.

    Raises:
        ConfigError: There is none, or one of its files is not a template.
    """
    known = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    if template not in known:
        raise ConfigError(f"unknown template {template!r} in {str(folder)!r}", hint=suggest(template, known))
    env = _environment(folder, description_chars)
    try:
        module = env.get_template("fields.jinja").module
        env.globals.update({name: getattr(module, name) for name in ("item_fields", "given_fields")})
        mark = secrets.token_hex(16)
        return Files({part: Part(env, f"{template}/{part}", mark) for part in PARTS}, mark)
    except jinja2.TemplateError as error:
        raise ConfigError(f"template {template!r}: {error}", hint="see the shipped templates") from error


def _trimmed(part: str, text: str) -> str:
    """A turn neither begins nor ends with a break: many chat templates would cut it off."""
    if part == "system":
        return text.strip()
    return text.rstrip() if part == "tail" else text


def _slot(mark: str, stream: str) -> str:
    if stream not in _STREAMS:
        raise ConfigError(f"a template asks for a slot of stream {stream!r}", hint=suggest(stream, _STREAMS))
    return f"{mark}{stream}{mark}"


def _environment(folder: Path, description_chars: int) -> jinja2.Environment:
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, TEMPLATES]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    env.filters["shorten"] = lambda text: _shorten(text, description_chars)
    env.filters["quoted"] = lambda text: "\n> ".join(text.splitlines())
    env.filters["one_line"] = lambda text: " ".join(text.splitlines())
    env.filters["stars"] = lambda rating: f"{rating:g}"
    return env


def _shorten(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return text[:limit].rsplit(" ", 1)[0].rstrip(" ,;:") + " ..."
