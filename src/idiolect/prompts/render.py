"""A context to a prompt, through the templates of one method.

A template is a folder of four files: ``system``, ``head``, ``entry`` (rendered once a history entry, or once a compared
review) and ``tail`` (what is asked). ``slot("his")`` leaves a slot. The fields are those of the DEP paper's Figure 6
and of the DPL and DRP programs; the words are ours. Every part ends with its line breaks and begins with a word, so
that a model reads the same tokens whether a prompt is tokenized part by part, as here, or as a whole, as by a server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from idiolect.config import Config
from idiolect.context.base import Context, Entry
from idiolect.prompts.files import TEMPLATES, Files, load
from idiolect.types import Block, Item, Message, Prompt, Review, ReviewId

Streams = Literal["both", "his", "diff"]
_SECTION = re.compile(
    r"(?:[^\w\s]|_|[ \t]){0,32}"
    r"(?:(?:item|about|rating|title|text|differences?|voice|definition|quote|claims?(?:\s+\d+)?|other\s+\d+)\s*[:：]"
    r"|the\s+user['’`´]?s\s+review\b|others?['’`´]?\s+reviews\s+of\b|past\s+reviews\s+of\s+this\s+user\b"
    r"|the\s+review\s+to\s+write\b|how\s+(?:this|does\s+(?:the|this))\s+user\b|keys\s+by\s+category\b"
    r"|judge\s+these\s+claims\b)",
    re.IGNORECASE,
)
"""How the headings and fields of the templates begin."""


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


def render(
    template: str,
    context: Context,
    config: PromptConfig | None = None,
    *,
    sources: Iterable[ReviewId] = (),
    **values: Any,
) -> Prompt:
    """The prompt of a method for a context.

    Args:
        template: Name of a template folder: ``nonpersonalized``, ``rag``, ``dep``, ``pplug``; with ``profile="..."``
            ``pag``, ``dpl``, ``drp``, ``primer_profile``; with ``compared=[{"item": ..., "differences": ...}, ...]``
            ``summarize``.
        context: What the sample is written from.
        config: What to show; defaults to everything.
        sources: Reviews that ``values`` were made from; the history, and the review that the sample was made from
            (its title and rating are shown), are known without.
        values: What the template needs beside the context.

    Raises:
        ConfigError: No such template, or a template uses a name it is not given.
    """
    config = config or PromptConfig()
    entries = [_entry_as_data(entry) for entry in context.entries]
    values = {name: _unforged(value) if isinstance(value, str) else value for name, value in values.items()}
    if "compared" in values:
        values["compared"] = [{**one, "item": _as_data(one["item"])} for one in values["compared"]]
    shared = {
        "item": _as_data(context.item),
        "sample": context.sample,
        "entries": entries,
        "guidance": config.guidance,
        "with_text": config.with_text,
        **values,
    }
    his, diff = (config.streams in ("both", stream) for stream in ("his", "diff"))
    rows = [{"entry": entry, "his": his, "diff": diff and entry.e_diff is not None} for entry in entries]
    target = [] if context.sample.target is None else [context.sample.target]
    made_from = [*(entry.review.id for entry in context.entries), *target, *sources]
    return _compose(_files(template, config), shared, rows, made_from)


def render_comparison(
    template: str,
    item: Item,
    own: Review,
    others: Sequence[Review],
    config: PromptConfig | None = None,
    *,
    sources: Iterable[ReviewId] = (),
    **values: Any,
) -> Prompt:
    """The prompt of a role that compares a user's review with others' reviews of the same item.

    Args:
        template: ``extract`` (with ``dimensions`` and ``open``) or ``validate`` (with ``claims``), each with
            ``structured``: whether the answer is held to a JSON schema.
        item: What all of them are about.
        own: The user's review.
        others: The representatives', at least one; the last are dropped first where the budget is short.
        config: Where the templates are, and how long a description may be.
        sources: Further reviews that ``values`` were made from.
        values: What the template needs beside the reviews.

    Raises:
        ConfigError: No such template, or a template uses a name it is not given.
    """
    rows = [{"other": other, "number": k} for k, other in enumerate(others, start=1)]
    made_from = [own.id, *(other.id for other in others), *sources]
    files, shared = _files(template, config or PromptConfig()), {"item": _as_data(item), "own": own, **values}
    return _compose(files, shared, rows, made_from, known=True)


def with_soft(prompt: Prompt, soft: Any) -> Prompt:
    """The prompt with soft vectors (n_slots, hidden) for its slots."""
    return replace(prompt, soft=soft)


@lru_cache(maxsize=4096)
def _as_data(item: Item) -> Item:
    """The item with a title on one line and a description that begins no section of a prompt; most are as they were."""
    title, description = " ".join((item.title or item.id).splitlines()), _unforged(item.description)
    if title == (item.title or item.id) and description == item.description:
        return item
    return replace(item, title=title, description=description)


def _entry_as_data(entry: Entry) -> Entry:
    item = _as_data(entry.item)
    return entry if item is entry.item else replace(entry, item=item)


def _unforged(text: str) -> str:
    """``text`` with ``>`` before every further line that imitates a heading or field of a prompt."""
    first, *others = text.splitlines(keepends=True) or [""]
    return "".join([first, *(f"> {line}" if _SECTION.match(line) else line for line in others)])


def _files(template: str, config: PromptConfig) -> Files:
    return load(template, config.templates or TEMPLATES, config.description_chars)


def _compose(
    files: Files,
    shared: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    made_from: Iterable[ReviewId],
    *,
    known: bool = False,
) -> Prompt:
    """System turn, then head, one droppable block a row, and tail.

    ``known``: the same reviews are shown again and again, to E and to V and beside each other's.
    """
    system, head = (Block(files.segments(part, shared, known=known)) for part in ("system", "head"))
    tail = Block(files.segments("tail", shared))
    blocks = [Block(files.segments("entry", {**shared, **row}, k, known=known), entry=k) for k, row in enumerate(rows)]
    shown = [block for block in blocks if block.segments]
    user = Message("user", (head, *shown, tail))
    messages = (Message("system", (system,)), user) if system.segments else (user,)
    return Prompt(messages, sources=tuple(dict.fromkeys(made_from)))
