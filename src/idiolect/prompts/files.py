"""Template files to segments of text and slots."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from idiolect.corpus.control import neutralised
from idiolect.errors import ConfigError
from idiolect.prompts.part import STREAMS, Part
from idiolect.prompts.template_sandbox import TEMPLATE_ERRORS, TemplateSandbox, read_template, reason
from idiolect.registry import suggest
from idiolect.types import Segment, Slot

TEMPLATES = Path(__file__).parent / "templates"
PARTS = ("system", "head", "entry", "tail")


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
        text = neutralised(_trimmed(part, self.parts[part].text(values, known=known)))
        if self.mark not in text:
            return (text,) if text else ()
        pieces = text.split(self.mark)
        segments = (Slot(STREAMS[piece], entry) if k % 2 else piece for k, piece in enumerate(pieces))
        return tuple(segment for segment in segments if segment)


@lru_cache(maxsize=64)
def load(template: str, folder: Path, description_chars: int) -> Files:
    """The files of the template folder ``template`` in ``folder``; what is not there is the shipped one's.

    Raises:
        ConfigError: There is none, or one of its files is not a template.
    """
    if not folder.is_dir():
        raise ConfigError(f"no folder of templates {str(folder)!r}", hint="check prompt.templates")
    known = {path.name for place in (folder, TEMPLATES) for path in place.iterdir() if path.is_dir()}
    if template not in known:
        raise ConfigError(f"unknown template {template!r} in {str(folder)!r}", hint=suggest(template, sorted(known)))
    try:
        return _shelf(folder, description_chars).files(template)
    except TEMPLATE_ERRORS as error:
        raise ConfigError(f"template {template!r}: {reason(error)}", hint="see the shipped templates") from error


def digest(folder: Path | None) -> str:
    """16 hex digits that change with the words of one's own templates; empty for the shipped ones (None).

    Raises:
        ConfigError: A template is too large, not UTF-8, or a link that leads out of the folder.
    """
    if folder is None:
        return ""
    words = blake2b(digest_size=8)
    for path in sorted(path for path in folder.rglob("*.jinja") if path.is_file()):
        content = read_template(path, folder).encode()
        words.update(f"{path.relative_to(folder).as_posix()}|{len(content)}|".encode() + content)
    return words.hexdigest()


class Shelf:
    """The templates of a folder. Files that read the same are one part: what E was shown is known when V is asked.

    Args:
        folder: Of template folders; what it lacks is the shipped one's.
        description_chars: Longest item description.
    """

    def __init__(self, folder: Path, description_chars: int) -> None:
        self._env, self._mark = TemplateSandbox([folder, TEMPLATES], description_chars), secrets.token_hex(16)
        with self._env.rendering():
            module = self._env.get_template("fields.jinja").module
        self._env.globals.update({name: getattr(module, name) for name in ("item_fields", "given_fields")})
        self._parts: dict[str, Part] = {}

    def files(self, template: str) -> Files:
        """The files of one template."""
        return Files({part: self._part(f"{template}/{part}.jinja") for part in PARTS}, self._mark)

    def _part(self, name: str) -> Part:
        template = self._env.get_template(name)
        source, *_ = self._env.sources.get_source(self._env, name)
        return self._parts.setdefault(source, Part(template, self._env, source, self._mark))


_shelf = lru_cache(maxsize=16)(Shelf)


def _trimmed(part: str, text: str) -> str:
    """A turn neither begins nor ends with a break: many chat templates would cut it off."""
    if part == "system":
        return text.strip()
    return text.rstrip() if part == "tail" else text
