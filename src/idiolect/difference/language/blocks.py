"""The papers' block format: a fence, a bracketed name, a definition, a description of the difference, a fence.

Models write it with missing fences, bold labels, other capitals, everything on one line, or stop in the middle; what
can be read is read. ``Quote:`` lines are an addition of ours, and optional.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from idiolect.difference.language.feature import Feature, Quote, Side

_WHO = r"target|current\s+user|user|others?|peers?"
_LEAD = r"^[^\w\n]*(?:\d{1,3}[.)][^\w\n]*)?_*"
_TOKEN = re.compile(
    r"(?P<fence>^[^\S\n]*(?:-{3,}|\*{3,}|_{3,}|={3,}|`{3,}\w*)[^\S\n]*$|(?:^|(?<=\s))-{3,}(?=\s|\[|$))"
    r"|(?:^|(?<=---)(?!-)|(?<=---\s))[^\w\[\n]{0,20}(?:\d{1,3}[.)][^\w\[\n]{0,20})?\[(?P<bracket>[^\[\]\n]{1,120})\](?!\()"
    rf"|{_LEAD}(?:feature(?:\s+name)?|dimension|name)[*_]*\s*:[*_ ]*(?P<named>[^\n]{{1,120}})$"
    rf"|(?:{_LEAD}|(?<=\])[*_:\s]*|(?<=[.!?\"”*])\s+)(?P<definition>definition)[*_]*\s*:"
    rf"|(?:{_LEAD}|\b)(?P<description>difference\s+description)[*_]*\s*:"
    rf"|{_LEAD}(?P<short>difference|description)[*_]*\s*:"
    rf"|(?:{_LEAD}|(?<=[.!?\"”])\s+)(?:(?P<who>{_WHO})(?:'s|s')?\s*(?P<number>\d{{1,4}})?\s+)?"
    rf"(?P<quote>quotes?|evidence|examples?)\s*(?:\(\s*(?P<whom>{_WHO})\s*(?P<nth>\d{{1,4}})?\s*\))?[*_]*\s*:",
    re.IGNORECASE | re.MULTILINE,
)
_LONGEST_NAME = 120
_KINDS = {
    "fence": "fence",
    "bracket": "name",
    "named": "name",
    "definition": "definition",
    "description": "description",
    "short": "description",
    "quote": "quote",
}
_NESTED = re.compile(r'"((?:[^"]*\s)?"\S.*)"')
"""One quotation with another inside: after the first mark comes one that opens, not one that closes."""
_QUOTED = re.compile(r"[\"“”«]([^\"“”«»]+)[\"“”»]")
_NO_QUOTE = re.compile(r"[\W_]*(?:none|n/?a|not?\s+applicable|no\s+quotes?)?[\W_]*", re.IGNORECASE)
_ELLIPSIS = re.compile(r"\s*(?:…|\.\.\.|\[\.\.\.\]|\[…\])\s*")


@dataclass(slots=True)
class Block:
    """What one block says."""

    name: str = ""
    definition: str = ""
    description: str = ""
    quotes: list[Quote] = field(default_factory=list)
    loose: str = ""
    """Text behind the name without a label."""
    closed: bool = False
    """A fence or a next block follows, so that nothing is cut off."""

    @property
    def empty(self) -> bool:
        """Whether nothing in it is a feature."""
        return not (self.definition or self.description or (self.name and self.loose))


def read_blocks(text: str) -> list[Block]:
    """Every block in ``text``, in order, also damaged ones; prose between blocks is passed over."""
    blocks, current = [], Block()
    first = _TOKEN.search(text)
    header = _last_line(text[: first.start()]) if first else ""
    for kind, label, value in _fields(text):
        repeated = (kind == "definition" and current.definition) or (kind == "description" and current.description)
        if kind in ("fence", "name") or repeated:
            if repeated:
                header = _detach_header(current)
            current.closed = True
            blocks.append(current)
            current = Block(name=header if repeated else "")
        header = _fill(current, kind, label, value, header)
    blocks.append(current)
    return [_settled(block) for block in blocks if not block.empty]


def write_blocks(features: Iterable[Feature], *, quotes: bool = True) -> str:
    """Features in the block format, as ``read_blocks`` reads it, with the user's own quotes or none."""
    return "\n".join(_written(feature, feature.quotes if quotes else ()) for feature in features)


def split_quotes(value: str, side: Side, peer: int | None) -> list[Quote]:
    """The quotes in a quote line: what stands in quotation marks if it begins with one, else the line itself.

    Ellipses part a quote into pieces that must each stand in the text.
    """
    value = _plain(value)
    nested = _NESTED.fullmatch(value)
    texts = _QUOTED.findall(value) if value[:1] in ("'", '"', "“", "”", "«") else []
    texts = [nested[1]] if nested else texts
    pieces = [piece for whole in texts or [value] for piece in _ELLIPSIS.split(whole)]
    return [Quote(text=piece.strip(), side=side, peer=peer) for piece in pieces if not _NO_QUOTE.fullmatch(piece)]


def _fields(text: str) -> Iterator[tuple[str, re.Match[str], str]]:
    """Kind, label and value of every labelled stretch of the text."""
    tokens = list(_TOKEN.finditer(text))
    ends = [token.start() for token in tokens[1:]] + [len(text)]
    for token, end in zip(tokens, ends[: len(tokens)], strict=True):
        kind = next(kind for group, kind in _KINDS.items() if token[group])
        yield kind, token, text[token.end() : end]


def _fill(block: Block, kind: str, label: re.Match[str], value: str, header: str) -> str:
    """Put a field into its block; returns the line that may turn out to be the next block's name."""
    if kind == "name":
        block.name, block.loose = _plain(label["bracket"] or label["named"] or ""), _plain(value)
    elif kind == "definition":
        block.name = block.name or header
        block.definition = value
    elif kind == "description":
        block.name = block.name or header
        block.description = value
    elif kind == "quote":
        who = (label["who"] or label["whom"] or "").lower()
        number = label["number"] or label["nth"]
        side: Side = "peer" if who.startswith(("other", "peer")) else "target"
        peer = int(number) - 1 if number and side == "peer" and int(number) else None
        block.quotes += split_quotes(value, side, peer)
    return _last_line(value) if kind == "fence" else ""


def _detach_header(block: Block) -> str:
    """A name without brackets that stands on the last line of the block before: cut it off there."""
    lines = (block.description or block.definition).rstrip().split("\n")
    if len(lines) < 2:
        return ""
    if block.description:
        block.description = "\n".join(lines[:-1])
    else:
        block.definition = "\n".join(lines[:-1])
    return _last_line(lines[-1])


def _settled(block: Block) -> Block:
    block.definition, block.description = _plain(block.definition), _plain(block.description)
    if not block.description and not block.definition:
        block.description = block.loose
    return block


def _written(feature: Feature, quoted: Iterable[Quote]) -> str:
    name = feature.name.replace("[", "(").replace("]", ")")
    quotes = [f'Quote: "{_one_line(quote.text)}"' for quote in quoted if quote.side == "target"]
    lines = ["---", f"[{_one_line(name)}]", f"Definition: {_one_line(feature.definition)}"]
    return "\n".join([*lines, f"Difference Description: {_one_line(feature.description)}", *quotes, "---"])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _plain(value: str) -> str:
    """On one line, without markup around it."""
    return _one_line(value.strip("*_#>`: \t\r\n").removesuffix(" -"))


def _last_line(value: str) -> str:
    lines = [line for line in value.strip().split("\n") if line.strip()]
    line = re.sub(r"^\d+[.)]\s*", "", _plain(lines[-1])) if lines else ""
    return line if len(line) <= _LONGEST_NAME else ""
