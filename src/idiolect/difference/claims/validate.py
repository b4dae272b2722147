"""Validation rules for claimed differences, conflict resolution, and the verdicts of a validator model.

The five criteria of DRP's validation: comparative, atomic, clear, categorized (which excludes content and opinion) and
consistent (names from the paper, meaning after the authors' analysis script). The rules need no model; verdicts of a
model are applied afterwards (``apply_verdicts``). The word list for content and opinion is not complete.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from idiolect.difference.claims import lenient_json as lenient
from idiolect.difference.claims.evidence import Evidence, check_evidence
from idiolect.difference.claims.feature import Comparison, Feature, Measured, Reason
from idiolect.difference.claims.parse import claims, map_feature

_GAP = r"(?:\s+(?:much|far|a\s+lot|even|more|less|most|better|often|words|time|\w+ly)){0,3}\s+"
_TAKES_OBJECT = (
    r"likes?|loves?|prefers?|enjoy(?:s|ed)?|dislikes?|hates?|favou?rs?|appreciates?|admires?|recommends?|rates?|values?"
    r"|prais(?:es|ed|ing)|critici[sz](?:es?|ed|ing)|condemns?|compliments?|applauds?|mentions?|discuss(?:es)?"
    r"|describes?|emphasi[sz]es?|highlights?|stress(?:es)?|underlines?|notic(?:es?|ed)|notes?|considers?|finds?|found"
    r"|blames?|wants?|expects?|demands?|regards?|views?|judges?|thinks?|believes?|trusts?|covers?|reports?|address(?:es)?"
    r"|(?:brings?|brought)\s+up|(?:points?|singles?)\s+out|agrees?|disagrees?"
    r"|gives?\s+(?:\w+\s+){0,3}?(?:ratings?|scores?|stars?)|(?:higher|lower)\s+(?:rating|score)"
)
_TAKES_PREPOSITION = (
    rf"(?:cares?{_GAP}(?:about|for)|(?:focus(?:es|ed)?|concentrates?|dwells?|comments?|remarks?){_GAP}(?:up)?on"
    rf"|(?:talks?|writes?|speaks?|complains?|complained|raves?|knows?|thinks?|reports?){_GAP}about"
    rf"|(?:speaks?|complains?|complained|thinks?){_GAP}of"
    rf"|(?:enthuses?|grumbles?){_GAP}(?:about|over|at)"
    rf"|(?:refers?|objects?){_GAP}to|looks?{_GAP}at|approves?{_GAP}of"
    r"|(?:attention|weight|space|importance|priority|thought)\s+to"
    r"|(?:fan|admirer|lover|critic|opinion)\s+of|(?:liking|taste|preference)\s+for|(?:experience|expertise)\s+(?:with|in)"
    r"|(?:interested|experienced)\s+in|(?:fond|fonder|critical)\s+of|(?:keen|keener)\s+on"
    r"|(?:satisfied|disappointed|impressed|happy|happier|unhappy|pleased|annoyed|surprised|bothered|let\s+down|frustrated|delighted|familiar)"
    r"\s+(?:with|by|about|at))"
)
_RATING = re.compile(r"\b(?:ratings?|scores?|stars?)\b", re.IGNORECASE)
_ENDS = (
    r"\b(?:than|unlike|whereas|while|compared|in\s+(?:contrast|comparison)|as\s+opposed|instead|but|others?|peers?)\b"
)
_TOPIC = re.compile(
    rf"\b(?:{_TAKES_PREPOSITION}|{_TAKES_OBJECT})\b(?P<object>(?:(?!{_ENDS})[^.;]){{0,120}})", re.IGNORECASE
)
_OF_STYLE = re.compile(
    r"\b(?:sentence|word|vocab|exclam|punctuat|tone|style|stylistic|paragraph|phras|question|quot|structur|language"
    r"|lists?\b|heading|bullet|detail|express|emotion|narrat|formal|informal|casual|hedg|imperativ|readers?\b|audience"
    r"|you\b|contraction|humou?r|irony|ironic|sarcas|wit\b|witt|jok|pun(?:s|ning)?\b|metaphor|simile|adjective|adverb"
    r"|transition|reason|caus|comparison|contrast|similarit|argument|objection|evidence|example|number|figure|date"
    r"|concis|brevity|brief|clarity|clause|fragment|slang|dialect|capital|caps\b|bracket|parenthes|footnote|repetition"
    r"|rhythm|wording|anecdot|stories\b|storytelling|chronolog|aloud|length|depth|(?:first|second|third)[\s-]+person"
    r"|alliterat|rhyme|idiom|passive|imagery|images?\b|suspense|aside|touch\b|pause|pronoun|superlative|exaggerat"
    r"|(?<!'s )voice|(?:way|manner|fashion)s?\b|as\s+if\b|like\s+an?\b)",
    re.IGNORECASE,
)
_ADVERB = re.compile(r"\b\w{3,}ly\b", re.IGNORECASE)
_QUANTITIES = """
    highly only really mostly especially mainly particularly primarily frequently rarely early likely family supply
    usually generally favourably favorably unfavourably unfavorably positively negatively significantly considerably
    slightly notably strongly heavily regularly repeatedly consistently occasionally constantly nearly hardly barely
    relatively extremely truly fairly largely partly clearly equally daily weekly monthly friendly ugly lovely costly
    assembly reply jelly belly apparently previously actually exclusively solely chiefly
"""
_OF_NO_MANNER = frozenset(_QUANTITIES.split())
"""Words in -ly that express quantity or frequency, not manner."""
_BY_MEANS = re.compile(
    r"\b(?:through|with\s+(?:more|less|greater|much|some|a)|in\s+(?:passing|private|public|full|general|a\s+few|the\s+same)"
    r"|by\s+(?:\w+ing)|one\s+by\s+one|point\s+by\s+point)\b",
    re.IGNORECASE,
)
"""Expressions of manner: "with more caution", "through images"."""
_NO_OBJECT = re.compile(
    r"\b(?:more|less|most|much|far|often|even|the|an?|it|them|this|that|lot|so|too|fault|\w+sel(?:f|ves)|\w+ly"
    r"|(?:every|some|any|no)?things?|points?|feelings?|ideas|thoughts|both|sides|and\s+\w+s\b|(?:in|with|as|by|through)\b.*)\b"
    r"|\W+",
    re.IGNORECASE,
)


@lru_cache(maxsize=8192)  # called when a feature is split and when it is checked
def is_content_bias(description: str) -> bool:
    """Whether a description is about what the user likes or writes about, and not about how the user writes."""
    topics = [match for match in _TOPIC.finditer(description) if _RATING.search(match[0]) or _names(match["object"])]
    if not topics or any(_is_of_style(match) for match in topics):
        return False
    first = topics[0]
    return not claims(description[: first.start()] + description[first.end() :])


def _names(words: str) -> bool:
    """Whether the words name an object, not only degree or manner: "praises more warmly" has none."""
    return bool(_NO_OBJECT.sub("", words))


def _is_of_style(topic: re.Match[str]) -> bool:
    manner = {word.lower() for word in _ADVERB.findall(topic[0])} - _OF_NO_MANNER
    return bool(manner or _OF_STYLE.search(topic["object"]) or _BY_MEANS.search(topic["object"]))


_COMPARES = re.compile(
    r"\b(?:more|less|fewer|higher|lower|greater|than|compared|comparison|contrast|unlike|whereas|while|instead|rather"
    r"|others?|peers?|most|relative|differ\w*|distinct\w*|stands?\s+out"
    r"|(?:long|short|rich|simpl|clear|deep|dens|strong|calm|warm|cool|harsh|broad|heav|light|terse|plain|blunt|polit)"
    r"i?e?r)\b",
    re.IGNORECASE,
)
_SAME = re.compile(
    r"\b(?:no|little|without)\s+(?:\w+\s+){0,3}differen\w+|\bsimilar(?:ly)?\s+to\b|\b(?:the\s+)?same\s+as\b"
    r"|n[o']t\s+differ\b|\bcomparable\s+to\b|\bon\s+par\s+with\b|\bjust\s+like\b|\bin\s+line\s+with\b",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"\[(?:explain|describe|insert|how|feature)|^\W*(?:n/?a|none|tbd|\.{3}|…)\W*$", re.IGNORECASE)


def fault(feature: Feature, *, max_words: int | None = None) -> Reason | None:
    """The reason of the first criterion that a feature fails; None if it passes all.

    Args:
        feature: The claim.
        max_words: Longest clear description, in words; None: ``MAX_WORDS``.
    """
    if not is_clear(feature.description, max_words=max_words or MAX_WORDS):
        return "unclear"
    if _SAME.search(feature.description):
        return "no_difference"
    if is_content_bias(feature.description):
        return "content_bias"
    if not (feature.stated or is_comparative(feature.description)):
        return "no_comparison"
    if contradicts_itself(feature):
        return "inconsistent"
    return None


def is_clear(description: str, *, max_words: int) -> bool:
    """Whether a description has 2 to ``max_words`` words and no placeholder."""
    words = re.findall(r"[^\W\d_]{2,}", description)
    return 2 <= len(words) <= max_words and not _PLACEHOLDER.search(description)


def is_comparative(description: str) -> bool:
    """Whether a description compares the user with peers: more, fewer, longer, unlike."""
    return _COMPARES.search(description) is not None


def contradicts_itself(feature: Feature) -> bool:
    """Whether the stated direction differs from that of the description."""
    if not feature.stated or feature.key is None:
        return False
    said = [claim.key for claim in claims(feature.description) if claim.key.attribute == feature.attribute]
    return bool(said) and feature.key not in said


class _Weight(NamedTuple):
    """Strength of a feature's evidence; compared field by field."""

    confirmed: bool
    leans: bool
    """The measured difference has the claimed sign, significant or not."""
    quotes: int


def resolve(features: Sequence[Feature]) -> list[Feature]:
    """Conflict resolution: drop duplicates and contradictions among the features of one comparison.

    Of several features with one key the one with the strongest evidence stays and takes over the others' quotes. Of
    opposite directions the stronger stays; if they are equally strong, none does.

    Returns:
        The features in the same order.
    """
    result = list(features)
    for places in _groups(features, lambda feature: (feature.attribute, feature.direction)):
        first, *others = sorted(places, key=lambda place: _weight(result[place]), reverse=True)
        if others:
            quotes = dict.fromkeys(quote for place in [first, *others] for quote in result[place].quotes)
            result[first] = replace(result[first], quotes=tuple(quotes))
            _drop(result, others, "duplicate")
    for places in _groups(result, lambda feature: feature.attribute):
        first, *others = sorted(places, key=lambda place: _weight(result[place]), reverse=True)
        tied = bool(others) and _weight(result[others[0]]) == _weight(result[first])
        _drop(result, [first, *others] if tied else others, "inconsistent")
    return result


def _groups(features: Iterable[Feature], of: Callable[[Feature], object]) -> list[list[int]]:
    """Indices of the valid features with a key, grouped by ``of``."""
    groups: defaultdict[object, list[int]] = defaultdict(list)
    for place, feature in enumerate(features):
        if feature.valid and feature.key is not None:
            groups[of(feature)].append(place)
    return list(groups.values())


def _weight(feature: Feature) -> _Weight:
    leaning = feature.key.sign * feature.measured.difference > 0 if feature.key and feature.measured else False
    own = sum(quote.side == "target" for quote in feature.quotes)
    return _Weight(feature.status == "kept", leaning, own)


def _drop(features: list[Feature], places: Iterable[int], reason: Reason) -> None:
    for place in places:
        features[place] = replace(features[place], status="dropped", reason=reason)


MAX_WORDS = 80
"""Longest clear description, in words: the prompts ask for one sentence, and a longer one names several properties."""
COPIED_RUN = 8
"""Consecutive words of a peer's text that make a description a copy: descriptions of style share fewer by chance."""


def validate(
    features: Iterable[Feature],
    comparison: Comparison,
    *,
    measured: Sequence[Measured] = (),
) -> list[Feature]:
    """Check the features of one comparison.

    Dropped: features that fail a criterion, whose quotes are all false, whose opposite was measured, or that lose
    conflict resolution. Kept: features that a significant measurement confirms. Unconfirmed: features with a
    non-significant measurement or none. A dropped feature stays dropped.

    Args:
        features: Features parsed from the answer about ``comparison``.
        comparison: The compared texts.
        measured: Measurements of the same texts, any number per attribute.

    Returns:
        The features in order, with status and reason; a feature with several properties becomes several features.
    """
    evidence = Evidence(comparison)
    units = [unit for feature in features for unit in atomize(feature)]
    return resolve([_checked(unit, evidence, measured) if unit.valid else unit for unit in units])


def atomize(feature: Feature) -> list[Feature]:
    """Split a feature whose description claims several keys into one feature per key, in the taxonomy's phrases.

    A description that fails a criterion is not split, so that the reason is given once.
    """
    found = map_feature(feature.name, feature.description) if feature.valid and feature.attribute is None else []
    if len(found) < 2 or fault(feature, max_words=len(feature.description) + 1):
        return [feature]
    return [
        replace(
            feature,
            category=claim.key.category,
            attribute=claim.key.attribute,
            direction=claim.key.direction,
            description=f"Compared with others, the user {claim.key.phrase}.",
        )
        for claim in found
    ]


def _checked(feature: Feature, evidence: Evidence, measured: Sequence[Measured]) -> Feature:
    reason = fault(feature)
    if reason is not None:
        return replace(feature, status="dropped", reason=reason)
    said = f"{feature.name}. {feature.definition} {feature.description}"
    if evidence.copied_from_peers(said, COPIED_RUN):
        return replace(feature, status="dropped", reason="peer_text")
    feature = check_evidence(feature, evidence)
    return confirm(feature, measured) if feature.valid else feature


def confirm(feature: Feature, measured: Iterable[Measured]) -> Feature:
    """Compare a feature with the measurements of its attribute in the same comparison.

    Kept if an interval is wholly on the claimed side and none on the opposite side; dropped in the reverse case;
    unconfirmed otherwise.
    """
    key = feature.key
    if key is None:
        return replace(feature, status="unconfirmed", reason="uncheckable")
    known = [one for one in measured if one.attribute == key.attribute] if key.sign else []
    if not known:
        return replace(feature, status="unconfirmed", reason="unmeasured")
    claimed = [one for one in known if min(key.sign * one.low, key.sign * one.high) > 0]
    opposite = [one for one in known if max(key.sign * one.low, key.sign * one.high) < 0]
    if claimed and not opposite:
        return replace(feature, status="kept", reason=None, measured=claimed[0])
    if opposite and not claimed:
        return replace(feature, status="dropped", reason="measured_opposite", measured=opposite[0])
    return replace(feature, status="unconfirmed", reason="measured_no_effect", measured=known[0])


VERDICTS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["verdicts"],
    "properties": {
        "verdicts": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["claim", "keep", "reason"],
                "properties": {
                    "claim": {"type": "integer", "description": "number of the claim, from 1"},
                    "keep": {"type": "boolean"},
                    "reason": {"type": "string"},
                },
            },
        }
    },
}
"""JSON schema of a validator's answer. Do not change it."""

_LINE = re.compile(
    r"^[^\w\n]*(?:claim|feature)?[ #]*(\d{1,4})[ .):*_-]*(?:\[[^\]\n]*\][ :*_-]*)?"
    r"(keep|kept|valid|yes|drop|dropped|remove|removed|reject|rejected|invalid|no)\b[ *_.,:;–—-]*([^\n]*)$",
    re.IGNORECASE | re.MULTILINE,
)
_KEEP = frozenset({"keep", "kept", "valid", "yes", "true"})
_DROP = frozenset({"drop", "dropped", "remove", "removed", "reject", "rejected", "invalid", "no", "false"})
_CLAIMS = ("claim", "feature", "number", "id")
_VERDICT_KEYS = ("keep", "verdict", "decision", "valid")
_EVERY = re.compile(
    r"\W*(?:(keep)|(drop|reject|remove))\s+(?:all|every|each)\b[^.!?\n]*\W*"
    r"|\W*all\s+(?:the\s+|\d+\s+)?(?:claims?\s+)?(?:are\s+)?(?:(kept|keep|valid)|(dropped|drop|invalid))\W*",
    re.IGNORECASE,
)
"""One verdict about all claims."""
_REASONS: tuple[tuple[str, Reason], ...] = (
    (r"compar", "no_comparison"),
    (r"atomic|several|two properties", "not_atomic"),
    (r"unclear|not clear|vague", "unclear"),
    (r"content|opinion", "content_bias"),
    (r"categor", "uncategorized"),
    (r"consisten|contradict", "inconsistent"),
)


class Verdict(NamedTuple):
    """A verdict about one feature."""

    feature: int
    """Index of the feature in the prompt, from 0."""
    keep: bool
    reason: str


def parse_verdicts(text: str, n: int) -> list[Verdict]:
    """The verdicts in a validator's answer about ``n`` features, numbered from 1: JSON, or one line each.

    The last verdict about a feature counts; numbers out of range are ignored. An empty result means that the answer
    could not be read. Never raises on any text.
    """
    lines = ((number, word, reason) for number, word, reason in _LINE.findall(text))
    read = _from_json(text) or [
        Verdict(int(number) - 1, word.lower() in _KEEP, lenient.whole(reason.strip())) for number, word, reason in lines
    ]
    known = {verdict.feature: verdict for verdict in read or _on_all(text, n) if 0 <= verdict.feature < n}
    return [known[place] for place in sorted(known)]


def apply_verdicts(features: Sequence[Feature], verdicts: Iterable[Verdict]) -> list[Feature]:
    """The features after the verdicts: rejected ones are dropped; features without a verdict stay unchanged.

    Features that were dropped before keep their reason.
    """
    result = list(features)
    for verdict in verdicts:
        feature = result[verdict.feature]
        if feature.valid and not verdict.keep:
            feature = replace(feature, status="dropped", reason=_reason(verdict.reason))
        result[verdict.feature] = replace(feature, detail=verdict.reason)
    return result


def _from_json(text: str) -> list[Verdict]:
    values = lenient.read_values(text)
    listed = [_verdict(value) for _, value in lenient.objects(values, *_CLAIMS)]
    numbered = [
        Verdict(int(key) - 1, keep, "")
        for value in values
        for key, said in (value.items() if isinstance(value, dict) else ())
        if key.isascii() and key.isdigit() and len(key) < 5 and (keep := _truth(said)) is not None
    ]
    return [one for one in listed if one] or numbered


def _verdict(value: dict[str, Any]) -> Verdict | None:
    fields = {lenient.plain_key(key): said for key, said in value.items()}
    number = next((said for name in _CLAIMS if (said := _number(fields.get(name))) is not None), None)
    keep = next((kept for name in _VERDICT_KEYS if (kept := _truth(fields.get(name))) is not None), None)
    if number is None or keep is None:
        return None
    return Verdict(number - 1, keep, lenient.whole(str(fields.get("reason") or "")))


def _number(said: Any) -> int | None:
    if isinstance(said, str) and (
        found := re.fullmatch(r"\W*(?:claim|feature)?\W*([0-9]{1,4})\W*", said, re.IGNORECASE)
    ):
        return int(found[1])
    return said if type(said) is int else None


def _truth(said: Any) -> bool | None:
    if isinstance(said, bool):
        return said
    word = said.strip().lower() if isinstance(said, str) else ""
    return True if word in _KEEP else False if word in _DROP else None


def _on_all(text: str, n: int) -> list[Verdict]:
    said = _EVERY.fullmatch(text.strip()) if len(text) < 500 else None
    return [Verdict(place, bool(said[1] or said[3]), "") for place in range(n)] if said else []


def _reason(said: str) -> Reason:
    for words, reason in _REASONS:
        if re.search(words, said, re.IGNORECASE):
            return reason
    return "rejected"
