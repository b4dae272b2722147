"""Evidence and redaction: check quotes against the compared texts, and remove copied text from claims.

An extractor has read peers' texts and may repeat them, by itself or because a text instructs it to. ``redact_features``
removes everything copied word for word from names, definitions and descriptions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from itertools import pairwise

from idiolect.data.control_tokens import neutralised
from idiolect.difference.claims.feature import Comparison, Feature, Quote, Reason
from idiolect.difference.claims.taxonomy import KEYS
from idiolect.difference.stylometry.lexicons import FUNCTION_WORDS
from idiolect.words import WORD, WordPattern, runs, size

_QUOTE_MARKS = str.maketrans(dict.fromkeys('"“”„‟″«»‘’‚‛′`´「」『』', "'"))
_WORD = WordPattern(r"\w+(?:'\w+)*")


class Evidence:
    """The texts of one comparison, prepared for searching quotes.

    Whitespace and the kind of quotation marks are ignored; every other character counts, capitals included.

    Args:
        comparison: The texts that were compared.
    """

    def __init__(self, comparison: Comparison) -> None:
        self._target = normalise(comparison.target)
        self._peers = [normalise(peer) for peer in comparison.peers]

    def fault(self, quote: Quote) -> Reason | None:
        """The fault of a quote: ``peer_quote`` (a peer's words), ``invented_quote`` (in no text), or None."""
        words = normalise(quote.text)
        if not words:
            return "invented_quote"
        if quote.side == "target":
            if is_in(words, self._target):
                return None
            return "peer_quote" if self._in_peers(words, self._peers) else "invented_quote"
        credited = self._peers if quote.peer is None else self._peers[quote.peer : quote.peer + 1]
        return None if self._in_peers(words, credited) else "invented_quote"

    def is_informative(self, quote: Quote) -> bool:
        """Whether a quote shows anything: at least two words, or one word that only that side uses."""
        words = _WORD.findall(normalise(quote.text).lower())
        if not words or _length(words) > 1:
            return bool(words)
        elsewhere = self._peers_words if quote.side == "target" else [self._target_words]
        return not any(f" {' '.join(words)} " in text for text in elsewhere)

    def copied_from_peers(self, text: str, run: int) -> bool:
        """Whether ``run`` consecutive words of ``text`` are in a peer's text and not in the user's."""
        words = _WORD.findall(normalise(text).lower())
        return any(self._is_copied(one) for one in self._known_runs(words, run) if self._may_be_copied(one))

    def _known_runs(self, words: Sequence[str], run: int) -> Iterator[Sequence[str]]:
        """Runs whose words all occur in peers' texts: few, and each word is looked up once."""
        peers = "\n".join(self._peers_lower)
        known = [word in peers for word in words]
        for first, end in runs(words, run):
            if all(known[first:end]):
                yield words[first:end]

    def _may_be_copied(self, run: Sequence[str]) -> bool:
        """Whether one peer has all the words somewhere: a cheap test without tokenizing, and rarely true."""
        return any(all(word in peer for word in run) for peer in self._peers_lower)

    def _is_copied(self, run: Sequence[str]) -> bool:
        one = f" {' '.join(run)} "
        return any(one in peer for peer in self._peers_words) and one not in self._target_words

    @cached_property
    def _peers_lower(self) -> list[str]:
        return [peer.lower() for peer in self._peers]

    @cached_property
    def _peers_words(self) -> list[str]:
        return [_worded(peer) for peer in self._peers]

    @cached_property
    def _target_words(self) -> str:
        return _worded(self._target)

    @staticmethod
    def _in_peers(words: str, peers: Sequence[str]) -> bool:
        return any(is_in(words, peer) for peer in peers)


def check_evidence(feature: Feature, evidence: Evidence) -> Feature:
    """Verify the quotes of a feature; it is dropped if it has quotes and none of the user's is verified.

    Quotes that show nothing (``Evidence.is_informative``) are rejected too, but are no fault.

    Args:
        feature: The claim.
        evidence: The texts of its comparison.

    Returns:
        The feature with the verified quotes in ``quotes`` and the others in ``rejected_quotes``.
    """
    if not feature.quotes:
        return feature
    faults: dict[Quote, Reason | None] = {quote: evidence.fault(quote) for quote in feature.quotes}
    verified = tuple(quote for quote, fault in faults.items() if fault is None and evidence.is_informative(quote))
    false = tuple(quote for quote, fault in faults.items() if fault is not None)
    rejected = tuple(quote for quote in faults if quote not in verified)
    checked = replace(feature, quotes=verified, rejected_quotes=feature.rejected_quotes + rejected)
    if false and not any(quote.side == "target" for quote in verified):
        return replace(checked, status="dropped", reason=_worst(faults))
    return checked


def normalise(text: str) -> str:
    """The text on one line, with one kind of quotation mark and none around it; control tokens as in prompts."""
    return " ".join(neutralised(text).translate(_QUOTE_MARKS).split()).strip("' ")


def is_in(words: str, text: str) -> bool:
    """Whether ``words`` are in ``text`` as whole words; both normalised."""
    place = text.find(words)
    while place >= 0:
        before, after = text[place - 1 : place], text[place + len(words) : place + len(words) + 1]
        if not (_joins(before, words[0]) or _joins(words[-1], after)):
            return True
        place = text.find(words, place + 1)
    return False


def _worded(text: str) -> str:
    """The words of a text, separated by single spaces."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


def _joins(left: str, right: str) -> bool:
    """Whether two characters, or none, belong to one word."""
    if left.isascii() and right.isascii():
        return left.isalnum() and right.isalnum()
    return left != "" != right and _PLAIN_WORD.findall(left + right) == [left + right]


def _worst(faults: Mapping[Quote, Reason | None]) -> Reason:
    return "peer_quote" if "peer_quote" in faults.values() else "invented_quote"


CUT = "…"
"""Replaces redacted text."""

_RUN = 3
_WHOLE_RUN = 6
_NAME_RUN = 2
_LONGEST_NAME = 6

_PLAIN_WORD = WordPattern(r"[^\W_]+(?:['’][^\W_]+)*")
_QUOTATION = re.compile(
    r"[\"“”„«‹`][^\"“”„«»‹›`]*[\"“”»›`]|「[^「」]*」|『[^『』]*』|(?<!\w)['‘‚](?:[^'‘’‚]|(?<=\w)['’](?=\w))+['’](?!\w)",
)
_CUTS = re.compile(rf"\W*{CUT}\W*(?:{CUT}\W*)*")
_PLAIN = frozenset(FUNCTION_WORDS).union(
    *(_PLAIN_WORD.findall(f"{key.phrase} {key.attribute} {key.direction}".lower()) for key in KEYS),
    ("user", "user's", "reviewer", "others", "others'", "peers", "reviews"),
)
"""Words without content of a review: closed-class words and those of the taxonomy."""


def redact_features(features: Iterable[Feature], texts: Sequence[str]) -> list[Feature]:
    """The features without text that is quoted, or copied word for word, from ``texts``.

    Removed from definition and description: everything in quotation marks; three or more consecutive words of a text,
    unless all but one are closed-class words or words of the taxonomy; any six consecutive words. From a name two
    consecutive words are enough; a name that is long or empty becomes its attribute. Features with an empty description
    are left out.

    Args:
        features: Features of one comparison.
        texts: All review texts and titles in the extractor's prompt, the user's own included.
    """
    copies = _Copies(texts)
    found = (
        replace(
            feature,
            name=_name(feature, copies),
            definition=_cut(feature.definition, copies),
            description=_cut(feature.description, copies),
        )
        for feature in features
    )
    return [feature for feature in found if len(_PLAIN_WORD.findall(feature.description)) > 1]


class _Copies:
    """Finds runs of words that are in some texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._line = "|".join(map(_line, texts))

    def spans(self, text: str, n: int) -> Iterator[tuple[int, int, list[str]]]:
        """Start, end and words of every maximal span of ``text`` whose ``n``-word runs are all in the texts."""
        matches = list(_PLAIN_WORD.finditer(text))
        words = [_plain(match[0]) for match in matches]
        known = [(first, end) for first, end in runs(words, n) if f" {' '.join(words[first:end])} " in self._line]
        breaks = [k for k, (left, right) in enumerate(pairwise(known), start=1) if right[0] > left[0] + 1]
        for first, last in zip([0, *breaks], [*breaks, len(known)], strict=True):
            if first < last:
                begin, end = known[first][0], known[last - 1][1]
                yield matches[begin].start(), matches[end - 1].end(), words[begin:end]


@lru_cache(maxsize=4096)  # a review is compared with many users'
def _line(text: str) -> str:
    """The words of a text separated by single spaces, so that a run of words is found as a string."""
    return f" {_plain(' '.join(_PLAIN_WORD.findall(text)))} "


def _plain(words: str) -> str:
    return words.lower().replace("’", "'")


def _length(tokens: Iterable[str]) -> float:
    """In words; a character of a script without blanks is a part of one."""
    return sum(map(size, tokens)) / WORD


def _cut(text: str, copies: _Copies) -> str:
    text = _QUOTATION.sub(CUT, text)
    for start, end, words in reversed(list(copies.spans(text, _RUN))):
        content = [word for word in words if word not in _PLAIN]
        if _length(words) >= _WHOLE_RUN or _length(content) > 1:
            text = f"{text[:start]}{CUT}{text[end:]}"
    return _tidy(text)


def _name(feature: Feature, copies: _Copies) -> str:
    name = _QUOTATION.sub(CUT, feature.name)
    for start, end, _ in reversed(list(copies.spans(name, _NAME_RUN))):
        name = f"{name[:start]}{CUT}{name[end:]}"
    if CUT in name or not 0 < _length(_PLAIN_WORD.findall(name)) <= _LONGEST_NAME:
        return feature.attribute.partition("/")[2].replace("-", " ") if feature.attribute else "Difference"
    return name


def _tidy(text: str) -> str:
    return _CUTS.sub(f" {CUT} ", text).strip() if CUT in text else text
