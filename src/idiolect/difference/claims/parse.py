"""Parser of extractor answers: JSON, else the papers' block format; never raises on any text.

A block is a fence, a bracketed name, a definition, a description of the difference, and a fence. Missing fences, bold
labels, other capitals, single lines and truncated text are read as far as possible. ``Quote:`` lines are an optional
addition of this library. Keys of the taxonomy are read only from the parts of a description that are about the user:
in "Unlike others, who write long sentences, the user keeps them short" only the second half counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from idiolect.difference.claims.feature import (
    Feature,
    Quote,
    Side,
    quotes_of,
    read_objects,
    says_no_difference,
    text_of,
)
from idiolect.difference.claims.taxonomy import (
    ANY,
    CATEGORIES,
    NEGATIVE,
    POSITIVE,
    RULES,
    Category,
    Key,
    by_pair,
    by_path,
    by_sign,
)

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
"""One quotation with another inside."""
_QUOTED = re.compile(r"[\"“”«]([^\"“”«»]+)[\"“”»]")
_NO_QUOTE = re.compile(r"[\W_]*(?:none|n/?a|not?\s+applicable|no\s+quotes?)?[\W_]*", re.IGNORECASE)
_ELLIPSIS = re.compile(r"\s*(?:…|\.\.\.|\[\.\.\.\]|\[…\])\s*")


@dataclass(slots=True)
class Block:
    """One block."""

    name: str = ""
    definition: str = ""
    description: str = ""
    quotes: list[Quote] = field(default_factory=list)
    loose: str = ""
    """Text after the name, without a label."""
    closed: bool = False
    """Whether a fence or another block follows, so that the block is complete."""

    @property
    def empty(self) -> bool:
        """Whether it has no feature."""
        return not (self.definition or self.description or (self.name and self.loose))


def read_blocks(text: str) -> list[Block]:
    """All blocks in ``text``, in order, damaged ones too; prose between blocks is ignored."""
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
    return [_tidied(block) for block in blocks if not block.empty]


def write_blocks(features: Iterable[Feature], *, quotes: bool = True) -> str:
    """Features in the block format of ``read_blocks``, with the user's own quotes or none."""
    return "\n".join(_written(feature, feature.quotes if quotes else ()) for feature in features)


def split_quotes(value: str, side: Side, peer: int | None) -> list[Quote]:
    """The quotes in a quote line: the quoted strings if it begins with a quotation mark, else the whole line.

    A quote with ellipses becomes one quote per piece.
    """
    value = _plain(value)
    nested = _NESTED.fullmatch(value)
    texts = _QUOTED.findall(value) if value[:1] in ("'", '"', "“", "”", "«") else []
    texts = [nested[1]] if nested else texts
    pieces = [piece for whole in texts or [value] for piece in _ELLIPSIS.split(whole)]
    return [Quote(text=piece.strip(), side=side, peer=peer) for piece in pieces if not _NO_QUOTE.fullmatch(piece)]


def _fields(text: str) -> Iterator[tuple[str, re.Match[str], str]]:
    """Kind, label and value of every labelled span of the text."""
    tokens = list(_TOKEN.finditer(text))
    ends = [token.start() for token in tokens[1:]] + [len(text)]
    for token, end in zip(tokens, ends[: len(tokens)], strict=True):
        kind = next(kind for group, kind in _KINDS.items() if token[group])
        yield kind, token, text[token.end() : end]


def _fill(block: Block, kind: str, label: re.Match[str], value: str, header: str) -> str:
    """Put a field into its block; returns the last line, which may be the next block's name."""
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
    """Remove and return a name without brackets on the last line of the previous block."""
    lines = (block.description or block.definition).rstrip().split("\n")
    if len(lines) < 2:
        return ""
    if block.description:
        block.description = "\n".join(lines[:-1])
    else:
        block.definition = "\n".join(lines[:-1])
    return _last_line(lines[-1])


def _tidied(block: Block) -> Block:
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
    """The value on one line, without markup around it."""
    return _one_line(value.strip("*_#>`: \t\r\n").removesuffix(" -"))


def _last_line(value: str) -> str:
    lines = [line for line in value.strip().split("\n") if line.strip()]
    line = re.sub(r"^\d+[.)]\s*", "", _plain(lines[-1])) if lines else ""
    return line if len(line) <= _LONGEST_NAME else ""


_Subject = Literal["target", "others", "comparand", "relative"]
"""``comparand``: the reference of a comparison ("than others"); ``relative``: a relative clause about it."""

_OTHERS = (
    r"other(?:s'?|\s+(?:users?|reviewers?|reviews?|people|writers?|peers?|ones))\b(?:'s?)?"
    r"|(?:the\s+)?peers?\b'?|the\s+rest\b|most\s+(?:users|reviewers|people)\b"
)
_TARGET = r"\b(?:the|this)\s+(?:(?:target|current)\s+)?(?:user|reviewer|writer|target)\b(?:'s)?"
_AGAINST = (
    r"\b(?:than|unlike|compared\s+(?:to|with)|in\s+(?:contrast|comparison|relation)\s+(?:to|with)"
    r"|as\s+opposed\s+to|rather\s+than|instead\s+of|relative\s+to|differs?\s+from)\b"
)
_MARK = re.compile(
    rf"(?P<comparand>{_AGAINST})"
    rf"|(?P<others>\b(?:{_OTHERS}))"
    rf"|(?P<target>{_TARGET})"
    r"|(?P<stop>[.;!?](?=\s|$)|\n)"
    r"|(?P<pause>,|\)|\band\b(?!\s+other))",
    re.IGNORECASE,
)
_RELATIVE = re.compile(r"\s*(?:who|which|whose|that)\b", re.IGNORECASE)
_BEFORE_OBJECT = re.compile(r"\b(?:from|of|to|by|among|with|over|like)\s+$", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.;!?](?=\s|$)|\n")
_APART = re.compile(rf"\W*(?:{_TARGET}\W*)?{_AGAINST}", re.IGNORECASE)
"""A sentence that mentions the others before it describes the user: "The user, unlike others who ..."."""
_DOES = re.compile(
    rf"\W*(?:{_TARGET}\s+)?(?:(?P<never>never|hardly|rarely|seldom)\s+)?(?:does|do|is|has|did)"
    r"(?P<not>n't|\s+not|\s+so\s+(?:rarely|less))?\W*",
    re.IGNORECASE,
)
_LONG_QUOTATION = re.compile(r"[\"“”]((?:[^\"“”\s]+\s+){2,}[^\"“”]*)[\"“”]")


def about_target(text: str) -> list[str]:
    """The parts of ``text`` about the user, in order, without quotations of three or more words."""
    return [
        part
        for part, subject in split_by_subject(_LONG_QUOTATION.sub(" ", text))
        if subject == "target" and part.strip()
    ]


def quotations(text: str) -> list[tuple[str, bool]]:
    """Quotations of three or more words in ``text``, each with whether it is in a part about the user."""
    spans = [(match.start(), match[1].strip()) for match in _LONG_QUOTATION.finditer(text)]
    if not spans:
        return []
    masked = _LONG_QUOTATION.sub(lambda match: "x" * len(match[0]), text)
    found, end = [], 0
    for part, subject in split_by_subject(masked):
        start, end = end, end + len(part)
        found += [(quote, subject == "target") for place, quote in spans if start <= place < end]
    return found


def redact(text: str) -> str:
    """``text`` without quotations of the others, which must not be copied with a description."""
    for quote, own in quotations(text):
        text = text if own else text.replace(quote, "…")
    return text


def split_by_subject(text: str) -> Iterator[tuple[str, _Subject]]:
    """Consecutive parts of ``text``, each with its subject."""
    subject: _Subject = "target"
    start = 0
    for mark in _MARK.finditer(text):
        next_subject = _next(subject, mark, text)
        if next_subject != subject:
            yield text[start : mark.start()], subject
            subject, start = next_subject, mark.start()
    yield text[start:], subject


def contrasted(text: str) -> tuple[str, bool] | None:
    """A contrast whose part about the user is only "does" or "does not".

    Example: "Whereas others use exclamation marks, the user does not".

    Returns:
        The words about the others, and whether the user does *not* do so; None if there is no such contrast.
    """
    parts = [(part, subject) for part, subject in split_by_subject(text) if re.search(r"\w", part)]
    about = [match for part, subject in parts if subject == "target" and (match := _DOES.fullmatch(part))]
    others = [part for part, subject in parts if subject == "others"]
    return (others[0], bool(about[0]["never"] or about[0]["not"])) if len(about) == len(others) == 1 else None


def _next(subject: _Subject, mark: re.Match[str], text: str) -> _Subject:
    if mark["stop"] or mark["target"]:
        return "target"
    if mark["comparand"]:
        return subject if subject in ("others", "relative") else "comparand"
    if mark["others"]:
        is_object = subject == "comparand" or _BEFORE_OBJECT.search(text, 0, mark.start())
        if subject == "relative" or not is_object:
            return subject if subject == "relative" else "others"
        return "relative" if _RELATIVE.match(text, mark.end()) else "comparand"
    if subject == "comparand":
        return "relative" if _RELATIVE.match(text, mark.end()) else "target"
    return "target" if subject == "relative" and _closes(mark, text) else subject


def _closes(pause: re.Match[str], text: str) -> bool:
    """Whether a pause ends a relative clause about the others, so that the user is the subject again.

    Only a comma does, if the sentence has not mentioned the user before and does not name the user again.
    """
    begin = max((end.end() for end in _SENTENCE_END.finditer(text, 0, pause.start())), default=0)
    after = _SENTENCE_END.search(text, pause.end())
    rest = text[pause.end() : after.start() if after else len(text)]
    return pause[0] == "," and _APART.match(text, begin) is not None and not re.search(_TARGET, rest, re.IGNORECASE)


_PIECE = re.compile(r",|;|\(|\)|\band\b|\bbut\b|\n", re.IGNORECASE)
_NOT_ONLY = re.compile(r"\bnot\s+(?:only|just|merely)\b", re.IGNORECASE)


_LONGEST = 2000
"""Characters of a description that are read; a longer one is not clear."""


class Claim(NamedTuple):
    """A key that a text claims of the user."""

    key: Key
    text: str
    """The part of the text that claims it."""


def claims(text: str) -> list[Claim]:
    """The distinct keys that ``text`` claims of the user, in the order of the text.

    Parts about the others do not count. An attribute that is claimed in two directions is left out.
    """
    return list(_claims(text[:_LONGEST]))


def map_feature(name: str, description: str) -> list[Claim]:
    """The keys of a feature: those that its description claims, else those of its name.

    A description may call its subject "them" or "it": then the name gives the attribute and the description the sign.
    """
    return claims(description) or [
        Claim(key, description)
        for claim in claims(name)
        if (key := by_sign(claim.key.attribute, claim.key.sign * _overall(description)))
    ]


@lru_cache(maxsize=8192)  # parsing, checking and splitting each read a description
def _claims(text: str) -> tuple[Claim, ...]:
    found = [claim for part in about_target(text) for claim in _claims_in(_NOT_ONLY.sub("", part))] or _contrary(text)
    distinct = list({claim.key: claim for claim in reversed(found)}.values())[::-1]
    return tuple(claim for claim in distinct if not any(claim.key.excludes(other.key) for other in distinct))


def _contrary(text: str) -> list[Claim]:
    """The opposite of the claims about the others, if the part about the user is only "does" or "does not"."""
    said = contrasted(text)
    if said is None or (NEGATIVE.search(said[0]) is None) != said[1]:
        return []
    opposites = (
        (by_sign(claim.key.attribute, -claim.key.sign), claim) for claim in _claims_in(said[0]) if claim.key.sign
    )
    return [Claim(key, text) for key, _ in opposites if key is not None]


def _claims_in(part: str) -> list[Claim]:
    """The claims of one part about the user, in the order of the text."""
    rest, found = part, []
    for rule in RULES if ANY.search(part) else ():
        if not rule.words.search(rest):
            continue
        for match in rule.words.finditer(rest):
            start, stop = _piece(part, match.start(), match.end())
            key = by_sign(rule.attribute, rule.end * _polarity(part, start, match.start(), match.end(), stop))
            if key is not None and not (key.sign == 0 and _turned(part, start, stop)):
                found.append((match.start(), Claim(key, part[start:stop].strip())))
        rest = rule.words.sub(lambda match: " " * len(match[0]), rest)
    return [claim for _, claim in sorted(found, key=lambda place: place[0])]


def _piece(part: str, start: int, stop: int) -> tuple[int, int]:
    """Start and end of the clause around a match, between commas and conjunctions."""
    begin = max((mark.end() for mark in _PIECE.finditer(part, 0, start)), default=0)
    end = _PIECE.search(part, stop)
    return begin, end.start() if end else len(part)


def _polarity(part: str, begin: int, start: int, stop: int, end: int) -> int:
    """+1 or -1: whether the words at start:stop are affirmed or negated, in their clause or else in the one before."""
    own = part[begin:start] + " " + part[stop:end]
    if NEGATIVE.search(own):
        return -1
    if POSITIVE.search(own):
        return 1
    return -1 if _last_is_negative(part[:begin]) else 1


def _last_is_negative(text: str) -> bool:
    negative = max((match.start() for match in NEGATIVE.finditer(text)), default=-1)
    positive = max((match.start() for match in POSITIVE.finditer(text)), default=-1)
    return negative > positive


def _turned(part: str, start: int, stop: int) -> bool:
    """Whether a claim of neutral tone is negated: "less neutral" is neither positive nor negative."""
    return NEGATIVE.search(part, start, stop) is not None


def _overall(description: str) -> int:
    said = " ".join(about_target(description))
    return -1 if NEGATIVE.search(said) else 1


def parse(text: str, *, comparison: str = "", truncated: bool = False) -> list[Feature]:
    """The features in an extractor's answer, in its order.

    A block without a name or description, and the last block of a truncated answer, become features that are dropped
    with ``format_error``. Prose gives no features.

    Args:
        text: The answer, without thinking.
        comparison: Id of the comparison.
        truncated: Whether the answer was cut off at the token limit.
    """
    objects = [_from_object(value, comparison) for value in read_objects(text)]
    if any(map(is_read, objects)):
        return objects
    blocks = read_blocks(text)
    return [
        _from_block(block, comparison, broken=truncated and block is blocks[-1] and not block.closed)
        for block in blocks
    ] or objects


def is_read(feature: Feature) -> bool:
    """Whether a feature could be parsed."""
    return feature.reason != "format_error"


def unreadable(text: str, features: Sequence[Feature]) -> bool:
    """Whether an answer could not be parsed, so that it is unknown whether there are differences.

    Args:
        text: The answer, without thinking.
        features: The result of ``parse``.

    Example:
        >>> unreadable('{"features": []}', []), unreadable("Certainly!", [])
        (False, True)
    """
    return not any(map(is_read, features)) and not says_no_difference(text)


def _from_block(block: Block, comparison: str, *, broken: bool) -> Feature:
    feature = Feature(
        name=block.name,
        definition=block.definition,
        description=redact(block.description),
        quotes=_with_quotations(block.quotes, block.description),
        comparison=comparison,
    )
    return _checked(feature, None, broken=broken)


def _from_object(value: dict[str, Any], comparison: str) -> Feature:
    description = text_of(value, "description")
    feature = Feature(
        name=text_of(value, "name"),
        definition=text_of(value, "definition"),
        description=redact(description),
        category=_category(text_of(value, "category")),
        quotes=_with_quotations(quotes_of(value), description),
        comparison=comparison,
    )
    stated = by_pair(text_of(value, "attribute"), text_of(value, "direction")) or by_path(text_of(value, "dup_key"))
    return _checked(feature, stated, broken=False)


def _checked(feature: Feature, stated: Key | None, *, broken: bool) -> Feature:
    """The feature with its key, if it claims exactly one; dropped if it is incomplete."""
    if broken or not (feature.name and feature.description):
        return replace(feature, status="dropped", reason="format_error")
    claimed = [stated] if stated else [claim.key for claim in map_feature(feature.name, feature.description)]
    if len(claimed) != 1:
        return feature
    key = claimed[0]
    category = feature.category if stated and feature.category else key.category
    return replace(
        feature, category=category, attribute=key.attribute, direction=key.direction, stated=stated is not None
    )


def _with_quotations(quotes: Sequence[Quote], description: str) -> tuple[Quote, ...]:
    """The given quotes, and the quotations inside the description."""
    inside = [Quote(text=text, side="target" if own else "peer") for text, own in quotations(description)]
    return tuple(dict.fromkeys([*quotes, *inside]))


def _category(word: str) -> Category | None:
    return next((name for name in CATEGORIES if name.lower() == word.strip().lower().split("/")[0]), None)
