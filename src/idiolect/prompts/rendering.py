"""Contexts to prompts, through the template folder of a method.

A template is a folder of four files: ``system``, ``head``, ``entry`` (rendered once per history entry, or once per
compared review) and ``tail``. ``virtual_token("his")`` leaves a virtual token. The fields are those of the DEP paper's
Figure 6 and of the DPL and DRP programs; the wording is ours. Every part ends with its line breaks and begins with a
word, so that a model reads the same tokens whether a prompt is tokenized part by part, as here, or as a whole, as by a
server.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jinja2
from jinja2 import meta
from pydantic import Field

from idiolect.config import Config
from idiolect.context import Context, Entry
from idiolect.data.control_tokens import neutralised
from idiolect.errors import ConfigError
from idiolect.prompts import tasks
from idiolect.prompts.tasks import DEFAULT, Task, load_task
from idiolect.prompts.template_sandbox import TEMPLATE_ERRORS, TemplateSandbox, read_template, reason, shorten
from idiolect.registry import suggest
from idiolect.types import Block, Item, Message, Prompt, Review, ReviewId, Segment, Stream, VirtualToken

Streams = Literal["both", "his", "diff"]
Layout = Literal["interleaved", "grouped"]


@lru_cache(maxsize=64)
def _sections(task: Task) -> re.Pattern[str]:
    """Beginnings of the templates' headings and fields."""
    text, texts = map(re.escape, (task.text, task.texts))
    headings = "|".join(re.escape(heading) for heading in (task.item_heading, task.about_heading))
    return re.compile(
        r"(?:[^\w\s]|_|[ \t]){0,32}"
        rf"(?:(?:{headings}|rating|title|text|differences?|voice|definition|quote|claims?(?:\s+\d+)?|other\s+\d+)\s*[:：]"
        rf"|the\s+user['’`´]?s\s+{text}\b|others?['’`´]?\s+{texts}\s+of\b|past\s+{texts}\s+of\s+this\s+user\b"
        rf"|the\s+{text}\s+to\s+write\b|how\s+(?:this|does\s+(?:the|this))\s+user\b|keys\s+by\s+category\b"
        r"|judge\s+these\s+claims\b)",
        re.IGNORECASE,
    )


class PromptConfig(Config):
    """What a prompt shows of a context."""

    with_text: bool = True
    """Show the text of past reviews with their virtual tokens (Table 2 of the DEP paper: w/ text, w/o text)."""
    streams: Streams = "both"
    """Which vectors get a virtual token (Table 2)."""
    layout: Layout = "interleaved"
    """Where the soft prompts are: ``interleaved``, each with its past review (the DEP paper, Figure 6), or ``grouped``,
    all of them after the past reviews, so that the text before them is computed once while an adapter is fitted."""
    max_shown: int | None = Field(default=None, ge=0)
    """Past reviews that are shown; further ones are in the prompt as virtual tokens only. None: all that fit."""
    guidance: bool = True
    """Say in the system turn what the virtual tokens are (Table 9)."""
    description_chars: int = 1000
    """Longest item description; longer ones are cut at a word."""
    past_description_chars: int | None = Field(default=None, ge=0)
    """The same of the items of past reviews; 0: none is shown. None: ``description_chars``."""
    history_chars: int | None = Field(default=None, gt=0)
    """Most characters of the past reviews' texts in one prompt, together. If they have more, the longest are cut at a
    word, all to one length, so that no review is dropped because another is long. None: no text is cut."""
    task: str = DEFAULT
    """What is written, which decides the nouns and headings of prompts: ``review``, ``headline``, ``title``, ``tweet``,
    ``abstract``, ``post``, ``reply``, ``email``, or a YAML file of your own."""
    templates: Path | None = None
    """Folder of template folders, for wording of your own; None: the shipped ones."""


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
        context: Of the sample.
        config: What to show; None: everything.
        sources: Reviews that ``values`` were made from. The history and the sample's own review, whose title and rating
            are shown, are added here.
        values: Further variables of the template.

    Raises:
        ConfigError: There is no such template, or it uses an undefined name.
    """
    config = config or PromptConfig()
    task = load_task(config.task)
    entries = [_entry_as_data(entry, task, config.past_description_chars) for entry in context.entries]
    if config.history_chars is not None:
        entries = _with_texts_cut(entries, config.history_chars, config.max_shown)
    values = {name: _unforged(value, task) if isinstance(value, str) else value for name, value in values.items()}
    if "compared" in values:
        values["compared"] = [{**one, "item": _as_data(one["item"], task)} for one in values["compared"]]
    shared = {
        "item": _as_data(context.item, task),
        "sample": context.sample,
        "entries": entries,
        "guidance": config.guidance,
        "with_text": config.with_text,
        "grouped": config.layout == "grouped",
        **values,
    }
    his, diff = (config.streams in ("both", stream) for stream in ("his", "diff"))
    rows = [{"entry": entry, "his": his, "diff": diff and entry.e_diff is not None} for entry in entries]
    shared["soft"] = [{"his": row["his"], "diff": row["diff"]} for row in rows]
    target = [] if context.sample.target is None else [context.sample.target]
    made_from = [*(entry.review.id for entry in context.entries), *target, *sources]
    return _compose(_loaded(template, config), shared, rows, made_from, max_shown=config.max_shown)


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
            ``structured``: whether the answer must conform to a JSON schema.
        item: Of all reviews.
        own: The user's review.
        others: The representatives' reviews, at least one; the last are dropped first if the budget is too small.
        config: Where the templates are, and how long a description may be.
        sources: Further reviews that ``values`` were made from.
        values: Further variables of the template.

    Raises:
        ConfigError: There is no such template, or it uses an undefined name.
    """
    rows = [{"other": other, "number": k} for k, other in enumerate(others, start=1)]
    made_from = [own.id, *(other.id for other in others), *sources]
    config = config or PromptConfig()
    shown = _as_data(item, load_task(config.task))
    loaded, shared = _loaded(template, config), {"item": shown, "own": own, **values}
    return _compose(loaded, shared, rows, made_from, known=True)


def with_soft(prompt: Prompt, soft: Any) -> Prompt:
    """The prompt with soft prompt embeddings, float32 (n_virtual_tokens, hidden)."""
    return replace(prompt, soft=soft)


@lru_cache(maxsize=4096)
def _as_data(item: Item, task: Task, limit: int | None = None) -> Item:
    """The item with a one-line title and a description that imitates no section of a prompt.

    Args:
        item: As it is in the store.
        task: Has the headings.
        limit: Longest description; None: the template decides.
    """
    title, description = " ".join((item.title or item.id).splitlines()), item.description
    description = _unforged(description if limit is None else shorten(description, limit), task)
    if title == (item.title or item.id) and description == item.description:
        return item
    return replace(item, title=title, description=description)


def _entry_as_data(entry: Entry, task: Task, limit: int | None) -> Entry:
    item = _as_data(entry.item, task, limit)
    return entry if item is entry.item else replace(entry, item=item)


def _with_texts_cut(entries: Sequence[Entry], limit: int, shown: int | None) -> list[Entry]:
    """Entries whose first ``shown`` texts have at most ``limit`` characters together."""
    longest = even_limit([len(entry.review.text) for entry in entries[:shown]], limit)
    if longest is None:
        return list(entries)
    return [replace(one, review=replace(one.review, text=shorten(one.review.text, longest))) for one in entries]


def even_limit(lengths: Sequence[int], total: int) -> int | None:
    """The length to which all must be cut so that together they are at most ``total``; None if they are as they are.

    Example:
        >>> even_limit([10, 50, 90], 100)
        45
    """
    if sum(lengths) <= total:
        return None
    left = total
    for place, length in enumerate(sorted(lengths)):
        share = left // (len(lengths) - place)
        if length > share:
            return max(1, share)
        left -= length
    return None


def _unforged(text: str, task: Task) -> str:
    """``text`` with ``>`` before every further line that imitates a heading or field of a prompt."""
    first, *others = text.splitlines(keepends=True) or [""]
    return "".join([first, *(f"> {line}" if _sections(task).match(line) else line for line in others)])


def _loaded(template: str, config: PromptConfig) -> Template:
    return load(template, config.templates or TEMPLATES, config.description_chars, config.task)


def _compose(
    template: Template,
    shared: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    made_from: Iterable[ReviewId],
    *,
    known: bool = False,
    max_shown: int | None = None,
) -> Prompt:
    """System turn, then head, one droppable block per row, and tail; ``known``: see ``TemplatePart.text``.

    Rows after ``max_shown`` are shown without text where they hold virtual tokens, else not at all.
    """
    system, head = (Block(template.segments(part, shared, known=known)) for part in ("system", "head"))
    tail = _by_entry(template.segments("tail", shared), n_entries=len(rows))
    limit = len(rows) if max_shown is None else max_shown
    blocks = [
        Block(template.segments("entry", {**shared, **row, **({} if k < limit else _HIDDEN)}, k, known=known), entry=k)
        for k, row in enumerate(rows)
    ]
    shown = [block for k, block in enumerate(blocks) if block.segments and (k < limit or _holds_tokens(block))]
    user = Message("user", (head, *shown, *tail))
    messages = (Message("system", (system,)), user) if system.segments else (user,)
    return Prompt(messages, sources=tuple(dict.fromkeys(made_from)))


_HIDDEN: Mapping[str, Any] = {"with_text": False}


def _holds_tokens(block: Block) -> bool:
    return any(isinstance(segment, VirtualToken) for segment in block.segments)


def _by_entry(segments: Sequence[Segment], n_entries: int) -> list[Block]:
    """Blocks of a part with virtual tokens of several entries, so that a token is dropped together with its entry.

    Raises:
        ConfigError: The template names an entry that does not exist.
    """
    blocks: list[Block] = []
    for segment in segments:
        entry = segment.entry if isinstance(segment, VirtualToken) and segment.entry >= 0 else None
        if entry is not None and entry >= n_entries:
            raise ConfigError(f"a template has a virtual token of entry {entry}; there are {n_entries} entries")
        if blocks and blocks[-1].entry == entry:
            blocks[-1] = Block((*blocks[-1].segments, segment), entry)
        else:
            blocks.append(Block((segment,), entry))
    return blocks or [Block(())]


STREAMS: Mapping[str, Stream] = {"his": "his", "diff": "diff", "user": "user", "instruction": "instruction"}
"""Streams of virtual tokens in templates."""
_KNOWN = 2048
"""Cached texts per part."""


class TemplatePart:
    """One file of a template, compiled.

    Args:
        template: Compiled.
        environment: That compiled it.
        source: Its text.
        mark: See ``Template.mark``.
    """

    def __init__(self, template: jinja2.Template, environment: TemplateSandbox, source: str, mark: str) -> None:
        self._template, self._environment = template, environment
        # A plain dictionary, because it is copied at every rendering.
        template.globals = {**template.globals, "virtual_token": partial(_virtual_token, mark)}
        parsed = environment.parse(source)
        includes = list(meta.find_referenced_templates(parsed))
        # An included file may read any variable.
        self._reads = None if includes else sorted(meta.find_undeclared_variables(parsed))
        self._known = lru_cache(maxsize=_KNOWN)(self._rendered)

    def text(self, values: Mapping[str, Any], *, known: bool = False) -> str:
        """The part with values filled in.

        Args:
            values: Its variables.
            known: Look the text up in a cache: the same reviews are shown to extractor and validator, and with many
                others.

        Raises:
            ConfigError: The template uses an undefined name, or something that templates may not use.
        """
        names = values if self._reads is None else self._reads
        read = tuple((name, values[name]) for name in names if name in values)
        if known or not read:
            with suppress(TypeError):  # a list, for instance, cannot be a key
                return self._known(read)
        return self._rendered(read)

    def _rendered(self, read: tuple[tuple[str, Any], ...]) -> str:
        try:
            with self._environment.rendering():
                return self._template.render(read)
        except TEMPLATE_ERRORS as error:
            message = f"template {self._template.filename}: {reason(error)}"
            raise ConfigError(message, hint="see the shipped templates") from error


def _virtual_token(mark: str, stream: str, entry: int | None = None) -> str:
    if stream not in STREAMS:
        raise ConfigError(f"a template asks for a virtual token of stream {stream!r}", hint=suggest(stream, STREAMS))
    return f"{mark}{stream}{mark}" if entry is None else f"{mark}{stream}:{int(entry)}{mark}"


def _parsed_token(piece: str, entry: int) -> VirtualToken:
    """The virtual token that ``_virtual_token`` wrote: of the entry it names, else of ``entry``."""
    stream, _, named = piece.partition(":")
    return VirtualToken(STREAMS[stream], int(named) if named else entry)


TEMPLATES = Path(__file__).parent / "templates"
PARTS = ("system", "head", "entry", "tail")


class Template(NamedTuple):
    """The four parts of one template."""

    parts: Mapping[str, TemplatePart]
    mark: str
    """What ``virtual_token(stream)`` writes before and after the stream's name. It is random, so no text can forge a
    virtual token."""

    def segments(
        self, part: str, values: Mapping[str, Any], entry: int = -1, *, known: bool = False
    ) -> tuple[Segment, ...]:
        """A part with values filled in.

        Args:
            part: ``system``, ``head``, ``entry`` or ``tail``.
            values: Its variables.
            entry: The history entry of its virtual tokens; -1: none.
            known: See ``TemplatePart.text``.

        Raises:
            ConfigError: The template uses an undefined name.
        """
        text = neutralised(_trimmed(part, self.parts[part].text(values, known=known)))
        if self.mark not in text:
            return (text,) if text else ()
        pieces = text.split(self.mark)
        segments = (_parsed_token(piece, entry) if k % 2 else piece for k, piece in enumerate(pieces))
        return tuple(segment for segment in segments if segment)


@lru_cache(maxsize=64)
def load(template: str, folder: Path, description_chars: int, task: str = DEFAULT) -> Template:
    """The template ``template`` of ``folder``; files that it lacks are the shipped ones.

    Raises:
        ConfigError: There is none, or one of its files is not a template.
    """
    if not folder.is_dir():
        raise ConfigError(f"no folder of templates {str(folder)!r}", hint="check prompt.templates")
    known = {path.name for place in (folder, TEMPLATES) for path in place.iterdir() if path.is_dir()}
    if template not in known:
        raise ConfigError(f"unknown template {template!r} in {str(folder)!r}", hint=suggest(template, sorted(known)))
    try:
        return _loader(folder, description_chars, load_task(task)).template(template)
    except TEMPLATE_ERRORS as error:
        raise ConfigError(f"template {template!r}: {reason(error)}", hint="see the shipped templates") from error


def digest(config: PromptConfig) -> str:
    """16 hex digits over one's own templates and task; empty if both are shipped ones.

    Raises:
        ConfigError: A template is too large, not UTF-8, or a link that leads out of the folder; or the task cannot be
            read.
    """
    folder, words = config.templates, blake2b(digest_size=8)
    own_task = config.task not in tasks.NAMES
    if folder is None and not own_task:
        return ""
    if folder is not None:
        for path in sorted(path for path in folder.rglob("*.jinja") if path.is_file()):
            content = read_template(path, folder).encode()
            words.update(f"{path.relative_to(folder).as_posix()}|{len(content)}|".encode() + content)
    if own_task:
        words.update(repr(load_task(config.task)).encode())
    return words.hexdigest()


class TemplateLoader:
    """Loads templates of a folder. Files with the same text share a part, and so its cache.

    Args:
        folder: Of template folders; files that it lacks are the shipped ones.
        description_chars: Longest item description.
        task: The variable ``task`` of every template.
    """

    def __init__(self, folder: Path, description_chars: int, task: Task) -> None:
        self._env, self._mark = TemplateSandbox([folder, TEMPLATES], description_chars), secrets.token_hex(16)
        self._env.globals.update(task=task)
        with self._env.rendering():
            module = self._env.get_template("fields.jinja").module
        self._env.globals.update({name: getattr(module, name) for name in ("item_fields", "given_fields")})
        self._parts: dict[str, TemplatePart] = {}

    def template(self, name: str) -> Template:
        """The parts of one template."""
        return Template({part: self._part(f"{name}/{part}.jinja") for part in PARTS}, self._mark)

    def _part(self, name: str) -> TemplatePart:
        template = self._env.get_template(name)
        source, *_ = self._env.sources.get_source(self._env, name)
        return self._parts.setdefault(source, TemplatePart(template, self._env, source, self._mark))


_loader = lru_cache(maxsize=16)(TemplateLoader)


def _trimmed(part: str, text: str) -> str:
    """The text without a break at the start or end of its turn, which many chat templates would cut off."""
    if part == "system":
        return text.strip()
    return text.rstrip() if part == "tail" else text
