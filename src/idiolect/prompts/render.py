"""A context to a prompt, through the templates of one method.

A template is a folder of four files: ``system``, ``head`` (the item), ``entry`` (rendered once a history entry) and
``tail`` (what is asked). ``slot("his")`` in an ``entry`` leaves a slot. The fields are those of the DEP paper's
Figure 6; the words are ours.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jinja2

from idiolect.config import Config
from idiolect.context.base import Context, Entry
from idiolect.errors import ConfigError
from idiolect.registry import suggest
from idiolect.types import Block, Message, Prompt, Slot, Stream

TEMPLATES = Path(__file__).parent / "templates"
PARTS = ("system", "head", "entry", "tail")
Streams = Literal["both", "his", "diff"]
_STREAMS: Mapping[str, Stream] = {"his": "his", "diff": "diff"}


class PromptConfig(Config):
    """What of a context is shown."""

    with_text: bool = True
    """Show the text of past reviews beside their slots (Table 2 of the DEP paper: w/ text, w/o text)."""
    streams: Streams = "both"
    """Which vectors get a slot (Table 2)."""
    guidance: bool = True
    """Say in the system turn what the slots are (Table 9)."""
    description_chars: int = 1000
    """Longest item description; longer ones are cut at a word."""
    templates: Path | None = None
    """Folder of template folders, to use your own words; None: the shipped ones."""


class _Templates(NamedTuple):
    system: jinja2.Template
    head: jinja2.Template
    entry: jinja2.Template
    tail: jinja2.Template
    mark: str
    """What ``slot(stream)`` leaves in a rendered entry, before and after the stream's name."""


def render(template: str, context: Context, config: PromptConfig | None = None) -> Prompt:
    """The prompt of a method for a context.

    Args:
        template: Name of a template folder: ``nonpersonalized``, ``rag``, ``dep``.
        context: What the sample is written from.
        config: What to show; defaults to everything.

    Raises:
        ConfigError: No such template, or a template uses a name it is not given.
    """
    config = config or PromptConfig()
    files = _load(template, config.templates or TEMPLATES, config.description_chars)
    shared: dict[str, Any] = {
        "item": context.item,
        "sample": context.sample,
        "entries": context.entries,
        "guidance": config.guidance,
        "with_text": config.with_text,
    }
    system = Block((_text(files.system, shared).strip(),))
    head = Block((_text(files.head, shared),))
    tail = Block((_text(files.tail, shared),))
    blocks = [_entry_block(files, k, entry, config) for k, entry in enumerate(context.entries)]
    history = tuple(block for block in blocks if block.segments)
    return Prompt((Message("system", (system,)), Message("user", (head, *history, tail))))


def with_soft(prompt: Prompt, soft: Any) -> Prompt:
    """The prompt with soft vectors (n_slots, hidden) for its slots."""
    return replace(prompt, soft=soft)


def _entry_block(files: _Templates, index: int, entry: Entry, config: PromptConfig) -> Block:
    shown: dict[str, Any] = {
        "entry": entry,
        "with_text": config.with_text,
        "his": config.streams in ("both", "his"),
        "diff": config.streams in ("both", "diff") and entry.e_diff is not None,
        "slot": partial(_slot, files.mark),
    }
    parts = _text(files.entry, shown).split(files.mark)
    segments = [Slot(_STREAMS[part], index) if k % 2 else part for k, part in enumerate(parts)]
    return Block(tuple(segment for segment in segments if segment), entry=index)


def _slot(mark: str, stream: str) -> str:
    if stream not in _STREAMS:
        raise ConfigError(f"a template asks for a slot of stream {stream!r}", hint=suggest(stream, _STREAMS))
    return f"{mark}{stream}{mark}"


def _text(template: jinja2.Template, values: Mapping[str, Any]) -> str:
    try:
        return template.render(values)
    except jinja2.TemplateError as error:
        raise ConfigError(f"template {template.filename}: {error}", hint="see the shipped templates") from error


@lru_cache(maxsize=64)
def _load(template: str, folder: Path, description_chars: int) -> _Templates:
    known = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    if template not in known:
        raise ConfigError(f"unknown template {template!r} in {str(folder)!r}", hint=suggest(template, known))
    env = _environment(folder, description_chars)
    try:
        env.globals.update(_macros(env))
        system, head, entry, tail = (env.get_template(f"{template}/{part}.jinja") for part in PARTS)
    except jinja2.TemplateError as error:
        raise ConfigError(f"template {template!r}: {error}", hint="see the shipped templates") from error
    # Nobody can guess the mark, so no text can forge a slot.
    return _Templates(system, head, entry, tail, mark=secrets.token_hex(16))


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
    env.filters["stars"] = lambda rating: f"{rating:g}"
    return env


def _macros(env: jinja2.Environment) -> dict[str, Any]:
    module = env.get_template("fields.jinja").module
    return {name: getattr(module, name) for name in ("item_fields", "given_fields")}


def _shorten(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return text[:limit].rsplit(" ", 1)[0].rstrip(" ,;:") + " ..."
