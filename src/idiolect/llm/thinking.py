"""Separates a reasoning model's thinking from its answer.

The markup of many families is known: XML-like tags (``<think>``, ``<seed:think>``, ...), ``[THINK]`` (Magistral),
channels (harmony of gpt-oss, Gemma 4), and the remains of harmony if a server drops control tokens.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

from idiolect.llm.base import Completion, Failure

Tag = str | tuple[str, str]
"""A tag around thinking: ``plan`` for ``<plan>...</plan>``, ``[PLAN]`` for ``[PLAN]...[/PLAN]``, or a pair of an
opening and a closing mark."""


class Parted(NamedTuple):
    """Thinking and answer of a reply, both stripped."""

    thinking: str
    answer: str
    finished: bool
    """Whether the thinking is complete."""


def part(text: str, *, always: bool = False, tags: Sequence[Tag] = ()) -> Parted:
    """Split a reply into thinking and answer.

    A closing tag without an opening one ends thinking that began with the reply, because chat templates may have opened
    it. A tag that is only mentioned (in quotes, or as a word of a sentence) stays in the answer.

    Args:
        text: The reply.
        always: The model thinks before every answer, so a reply without a closing tag is unfinished thinking.
        tags: Further tags around thinking, in addition to the known ones.

    Example:
        >>> part("<think>Short, they like it short.</think>Good tea.")
        Parted(thinking='Short, they like it short.', answer='Good tea.', finished=True)
    """
    found = _harmony(text) or _bare_harmony(text) or _in_words(text)
    return found or _Tagged(text, always, tuple(tags)).parted()


def part_completion(completion: Completion, *, always: bool = False, tags: Sequence[Tag] = ()) -> Completion:
    """The completion with thinking and text separated; a failure, if the thinking does not end or no text follows.

    A completion that was split before, or failed, is returned unchanged.

    Args:
        completion: A model's answer.
        always: See ``part``.
        tags: See ``part``.
    """
    if completion.failure is not None or completion.thinking or completion.parted:
        return completion
    found = part(completion.text, always=always, tags=tags)
    if found.finished and not found.thinking and found.answer == completion.text.strip():
        return completion
    failure = None
    if not found.finished or (completion.truncated and not found.answer):
        failure = Failure(kind="unfinished_thinking", message="the reply ended within its thinking; allow more tokens")
    elif not found.answer:
        failure = Failure(kind="empty", message="the reply has no text after its thinking")
    share = len(found.thinking) / max(1, len(found.thinking) + len(found.answer))
    return replace(
        completion,
        text="" if failure else found.answer,
        thinking=found.thinking,
        thinking_tokens=round(completion.completion_tokens * share),
        parted=True,
        failure=failure,
    )


def settled(text: str, *, always: bool = False, tags: Sequence[Tag] = ()) -> str:
    """The beginning of the answer in an unfinished reply that further text does not change.

    Nothing is settled while the reply thinks, or behind what may become a tag. Only a closing tag whose opening one was
    never written can still turn settled text into thinking.

    Args:
        text: The reply so far.
        always: See ``part``.
        tags: See ``part``.

    Example:
        >>> settled("<think>Short.</think>Good tea. <thi"), settled("<think>Short")
        ('Good tea.', '')
    """
    found = part(text, always=always, tags=tags)
    answer = found.answer
    if not found.finished or (not found.thinking and _may_introduce_thinking(answer)):
        return ""
    marks = [match.start() for pattern in (_pattern(tuple(tags)), _CONTROL) for match in pattern.finditer(answer)]
    own = [mark.lower() for tag in tags for mark in marks_of(tag)]
    begun = [len(answer) - size for mark in own for size in range(1, len(mark)) if answer.lower().endswith(mark[:size])]
    if (partial := _PARTIAL_TAG.search(answer, max(0, len(answer) - _LONGEST_TAG))) is not None:
        begun.append(partial.start())
    unsettled = [*marks, *begun]
    return answer[: min(unsettled, default=len(answer))].rstrip()


_LONGEST_TAG = 64
"""Characters from the beginning of a known tag to its end, at most."""
_PARTIAL_TAG = re.compile(
    r"(?:<(?:/?\s*[\w:-]*\s*|[|｜][\w▁ |｜/-]*|[\w▁]*[|｜])|\[/?[a-z]{0,6}|◁/?\w*)\Z", re.IGNORECASE
)
"""What may become a tag with further characters."""
_INTRODUCTIONS = ("analysis", "commentary", "assistant", "Here is my thought", "Here's my thought")
"""With which thinking begins that has no tags."""


def _may_introduce_thinking(answer: str) -> bool:
    """Whether an answer begins like thinking without tags, or may still do so."""
    begins = answer[:_LONGEST_TAG]
    return any(begins.startswith(one) or one.lower().startswith(begins.lower()) for one in _INTRODUCTIONS)


def leftovers(text: str) -> tuple[str, ...]:
    """Control markup left in an answer, each once, in order: a sign of an unknown markup of thinking."""
    return tuple(dict.fromkeys(match[0] for match in _CONTROL.finditer(text)))


_FAMILY = r"(?:\w{1,20}[:_-])?think(?:ing)?|thoughts?|reasoning|reflection"
_KNOWN = (
    rf"<(?P<slash>/?)\s*(?P<name>{_FAMILY})\s*>"
    r"|\[(?P<slash2>/?)THINK\]"
    r"|◁(?P<slash3>/?)think▷"
    r"|(?P<open><\|channel>(?:thought\b)?|<unused94>(?:thought\b)?|<\|begin_of_thought\|>|<\|START_THINKING\|>)"
    r"|(?P<close><channel\|>|<unused95>|<\|end_of_thought\|>|<\|END_THINKING\|>)"
)
_WRAPPED = re.compile(
    r"\A(?:<(?:answer|output|response)>|<\|begin_of_solution\|>|<\|START_RESPONSE\|>|<\|begin_of_box\|>)(.*?)"
    r"(?:</(?:answer|output|response)>|<\|end_of_solution\|>|<\|END_RESPONSE\|>|<\|end_of_box\|>)?\Z",
    re.IGNORECASE | re.DOTALL,
)
_CONTROL = re.compile(
    r"<[|｜]/?[\w▁ -]{1,40}[|｜]?>|<[\w▁]{1,40}[|｜]>"  # <|im_end|>, <|turn>, <turn|>, <｜end▁of▁sentence｜>
    r"|</?(?:start|end)_of_(?:turn|image)>|<(?:bos|eos|pad|unk)>|<unused\d+>|</s>|\[/?INST\]|<</?SYS>>"
    rf"|</?(?:{_FAMILY})>|\[/?THINK\]|◁/?think▷|\Athought\n|assistantfinal|assistantanalysis",
    re.IGNORECASE,
)
_QUOTES = frozenset("`'\"“”‘’«»„‚‹›(){}*_")
_STOPS = frozenset(".,;:!?")
_SENTENCE_ENDS = frozenset(".!?…。！？")
_WORD = re.compile(r"\S")
_WINDOW = 200
"""Characters around a tag that are examined, so that the time stays linear."""


class _Mark(NamedTuple):
    """A tag in a text."""

    start: int
    end: int
    name: str
    opens: bool


class _Tagged:
    """A reply with tags around its thinking, read from left to right in linear time."""

    def __init__(self, text: str, always: bool, tags: tuple[Tag, ...]) -> None:
        self._text, self._always = text, always
        self._marks = _marks(text, tags)
        self._closes = Counter(mark.name for mark in self._marks if not mark.opens)
        self._open: list[str] = []
        self._owed = 0
        """Opening tags within thinking that may have their own closing tag after the first one."""
        self._mentioned: dict[str, int] = {}
        """Position of the last mention of each tag."""
        self._thoughts: list[str] = []
        self._said: list[str] = []
        self._place = 0
        self._found = False

    def parted(self) -> Parted:
        """The two parts."""
        for mark in self._marks:
            if not mark.opens:
                self._closes[mark.name] -= 1
            if self._counts(mark):
                self._take(mark.start, mark.end)
                (self._opened if mark.opens else self._closed)(mark)
                self._found = True
            elif mark.opens:
                self._mentioned[mark.name] = mark.end
        self._take(len(self._text), len(self._text))
        if self._always and not self._found:
            return Parted(self._text.strip(), "", False)
        answer = "".join(self._said).strip()
        if self._found:
            answer = _WRAPPED.sub(r"\1", answer).strip()
        return Parted("".join(self._thoughts).strip(), answer, not self._open)

    def _take(self, end: int, then: int) -> None:
        (self._thoughts if self._open else self._said).append(self._text[self._place : end])
        self._place = then

    def _opened(self, mark: _Mark) -> None:
        if mark.name in self._open:
            self._owed += not _within_sentence(self._text, mark)
        else:
            self._open.append(mark.name)

    def _closed(self, mark: _Mark) -> None:
        if not self._open:
            self._thoughts.extend(self._said)
            self._said.clear()
            self._owed = max(0, self._owed - 1)
        elif mark.name in self._open:
            del self._open[self._open.index(mark.name) :]
        else:
            self._open.clear()

    def _counts(self, mark: _Mark) -> bool:
        """Whether a tag is used, not mentioned."""
        quoted = _quoted(self._text, mark)
        if mark.opens:
            return not quoted if self._open else self._begins(mark, quoted)
        if self._open:
            # A tag that is quoted, or belongs to other thinking, counts only if no better one follows.
            return not (quoted or mark.name not in self._open) or not self._closes[self._open[-1]]
        if self._owed or (self._always and not self._found):
            return True
        if quoted or self._pairs_with_mention(mark):
            return False
        return not _within_sentence(self._text, mark) or self._between_sentences(mark)

    def _pairs_with_mention(self, mark: _Mark) -> bool:
        """Whether the opening tag was mentioned on the same line."""
        opened = self._mentioned.pop(mark.name, -1)
        near = max(self._place, mark.start - _WINDOW) <= opened
        return near and "\n" not in self._text[opened : mark.start]

    def _begins(self, mark: _Mark, quoted: bool) -> bool:
        """Whether an opening tag outside of thinking opens some."""
        if quoted:
            return False
        start, closes = max(self._place, mark.start - _WINDOW), bool(self._closes[mark.name])
        line = self._text.rfind("\n", start, mark.start) + 1 or start
        before = self._text[line : mark.start]
        if not before.strip():
            return closes or not (self._goes_on(mark) and self._answered(line))
        if not before[-1].isspace():
            return True
        ends_line = self._text[mark.end : mark.end + 1] == "\n"
        return closes and (ends_line or before.rstrip()[-1] in _SENTENCE_ENDS)

    def _answered(self, place: int) -> bool:
        """Whether there is text before a position outside of thinking."""
        return bool(_WORD.search(self._text, self._place, place)) or any(map(str.strip, self._said))

    def _goes_on(self, mark: _Mark) -> bool:
        """Whether a sentence continues after a tag."""
        following = self._text[mark.end : mark.end + 2]
        return len(following) == 2 and following[0] == " " and following[1].islower()

    def _between_sentences(self, mark: _Mark) -> bool:
        before = self._text[max(0, mark.start - _WINDOW) : mark.start].rstrip()
        following = self._text[mark.end : mark.end + _WINDOW].lstrip()
        return before[-1:] in _SENTENCE_ENDS and following[:1].isupper()


def _marks(text: str, tags: tuple[Tag, ...]) -> list[_Mark]:
    return [_mark(match, tags) for match in _pattern(tags).finditer(text)]


def _mark(match: re.Match[str], tags: tuple[Tag, ...]) -> _Mark:
    found = match.groupdict()
    for k in range(len(tags)):
        if found[f"open{k}"] is not None or found[f"close{k}"] is not None:
            return _Mark(*match.span(), f"tag {k}", found[f"open{k}"] is not None)
    if found["open"] is not None or found["close"] is not None:
        shared = "channel" if "channel" in match[0] else "unused" if "unused" in match[0] else "thought mark"
        return _Mark(*match.span(), shared, found["open"] is not None)
    slash = next((found[key] for key in ("slash", "slash2", "slash3") if found[key] is not None), "")
    name = (found["name"] or "think").lower()
    return _Mark(*match.span(), "think" if name.startswith("th") else name, not slash)


@lru_cache(maxsize=64)
def _pattern(tags: tuple[Tag, ...]) -> re.Pattern[str]:
    own = [f"(?P<open{k}>{re.escape(o)})|(?P<close{k}>{re.escape(c)})" for k, (o, c) in enumerate(map(marks_of, tags))]
    return re.compile("|".join([*own, _KNOWN]), re.IGNORECASE)


def marks_of(tag: Tag) -> tuple[str, str]:
    """The opening and the closing mark of a tag.

    Raises:
        ValueError: It has none, or both are the same.

    Example:
        >>> marks_of("plan"), marks_of("[PLAN]")
        (('<plan>', '</plan>'), ('[PLAN]', '[/PLAN]'))
    """
    if isinstance(tag, tuple):
        opening, closing = (mark.strip() for mark in tag)
    else:
        name = tag.strip()
        named = name if re.fullmatch(r"[<\[].+[>\]]", name) else f"<{name}>"
        opening = named if re.search(r"\w", name) else ""
        closing = f"{opening[:1]}/{opening[1:]}"
    if not opening or not closing or opening.lower() == closing.lower():
        raise ValueError(f"{tag!r} is no tag: give a name such as 'plan', a tag '[PLAN]', or a pair of marks")
    return opening, closing


def _checked(tags: tuple[Tag, ...]) -> tuple[Tag, ...]:
    for tag in tags:
        marks_of(tag)
    return tags


Tags = Annotated[tuple[Tag, ...], AfterValidator(_checked)]
"""Tags of a setting, checked."""


def _quoted(text: str, mark: _Mark) -> bool:
    """Whether a tag is in quotes, brackets or emphasis, and so only mentioned."""
    return text[mark.start - 1 : mark.start] in _QUOTES and text[mark.end : mark.end + 1] in _QUOTES | _STOPS


def _within_sentence(text: str, mark: _Mark) -> bool:
    """Whether a tag is used like a word: with a space before it, and a space or a stop after it."""
    before, behind = text[mark.start - 1 : mark.start], text[mark.end : mark.end + 1]
    return before in (" ", "\t") and bool(behind) and behind in " \t.,;:!?)"


_HEADER = re.compile(
    r"(?:<\|end\|>\s{0,9})?(?:<\|start\|>\s{0,9}assistant\s{0,9})?(?:<\|channel\|>|\A)\s{0,9}"
    r"(analysis|commentary|final)\b[^<\n]{0,200}(?:<\|constrain\|>[^<\n]{0,200})?(?:<\|message\|>|\Z)"
    r"|<\|start\|>\s{0,9}assistant\s{0,9}<\|message\|>"
)
_HARMONY_ENDS = re.compile(r"\s{0,9}(?:<\|(?:end|return|call|endoftext)\|>\s{0,9}){1,9}\Z")


def _harmony(text: str) -> Parted | None:
    """Channels of gpt-oss: the answer is the last ``final`` message; None: there are no channels."""
    headers = list(_HEADER.finditer(text)) if "<|" in text else []
    headers = [header for header in headers if "<|channel|>" in header[0] or "<|message|>" in header[0]]
    if not headers:
        return None
    # Text before the first header is not marked as an answer.
    thoughts, answer, finished = [text[: headers[0].start()]], "", False
    ends = [header.start() for header in headers[1:]] + [len(text)]
    for header, end in zip(headers, ends, strict=True):
        message = _HARMONY_ENDS.sub("", text[header.end() : end]).strip()
        if header[1] in (None, "final"):
            thoughts.append(answer)
            answer, finished = message, True
        else:
            thoughts.append(message)
    return Parted("\n\n".join(filter(None, map(str.strip, thoughts))), answer, finished)


_BARE_LABEL = re.compile(r"\A(?:assistant)?(?:analysis|commentary|final)")
_BARE_NEXT = re.compile(r"assistant(?=analysis|commentary|final)")


def _bare_harmony(text: str) -> Parted | None:
    """Channels whose control tokens were lost: ``analysis...assistantfinal...``."""
    stripped = text.lstrip()
    thinking, found, answer = stripped.rpartition("assistantfinal")
    started = re.match(r"(?:assistant)?(?:analysis|commentary)", stripped)
    # A mere mention has a space or a quote before it.
    if found and (started or not thinking or thinking[-1] == "\n" or thinking[-1] in _SENTENCE_ENDS):
        thoughts = [_BARE_LABEL.sub("", one).strip() for one in _BARE_NEXT.split(thinking)]
        return Parted("\n\n".join(filter(None, thoughts)), answer.strip(), True)
    if re.match(r"(?:assistant)?(?:analysis|commentary)(?=[A-Z])", stripped):
        return Parted(_BARE_LABEL.sub("", stripped).strip(), "", False)
    return None


_THOUGHTS_IN_WORDS = re.compile(r"\A\s*(?:Here is|Here's) my thought process:", re.IGNORECASE)
_ANSWER_IN_WORDS = re.compile(r"(?:Here is|Here's) my response:", re.IGNORECASE)


def _in_words(text: str) -> Parted | None:
    """Thinking that is introduced by a sentence (Granite)."""
    opening = _THOUGHTS_IN_WORDS.match(text)
    if opening is None:
        return None
    closing = _ANSWER_IN_WORDS.search(text, opening.end())
    if closing is None:
        return Parted(text[opening.end() :].strip(), "", False)
    return Parted(text[opening.end() : closing.start()].strip(), text[closing.end() :].strip(), True)
