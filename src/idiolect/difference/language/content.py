"""Whether a claim is of what somebody likes or writes about, and not of how: the half of "categorized" that is hardest.

A verb of liking, judging or mentioning (or a noun or adjective of that kind) whose object is no matter of style, and
that is not said to be done in some manner: "praises the soundtrack more", but neither "praises more warmly" nor
"mentions more numbers". Such words are many and the list is not all of them.
"""

from __future__ import annotations

import re
from functools import lru_cache

from idiolect.difference.language.mapping import claims

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
"""Words in -ly that say how much, how often or what, and not how."""
_BY_MEANS = re.compile(
    r"\b(?:through|with\s+(?:more|less|greater|much|some|a)|in\s+(?:passing|private|public|full|general|a\s+few|the\s+same)"
    r"|by\s+(?:\w+ing)|one\s+by\s+one|point\s+by\s+point)\b",
    re.IGNORECASE,
)
"""Says how as well: "with more caution", "through images"."""
_NO_OBJECT = re.compile(
    r"\b(?:more|less|most|much|far|often|even|the|an?|it|them|this|that|lot|so|too|fault|\w+sel(?:f|ves)|\w+ly"
    r"|(?:every|some|any|no)?things?|points?|feelings?|ideas|thoughts|both|sides|and\s+\w+s\b|(?:in|with|as|by|through)\b.*)\b"
    r"|\W+",
    re.IGNORECASE,
)


@lru_cache(maxsize=8192)  # splitting and judging a feature each ask
def is_content_bias(description: str) -> bool:
    """Whether it speaks of what the user likes or writes about, and not also of how the user writes."""
    topics = [match for match in _TOPIC.finditer(description) if _RATING.search(match[0]) or _names(match["object"])]
    if not topics or any(_is_of_style(match) for match in topics):
        return False
    first = topics[0]
    return not claims(description[: first.start()] + description[first.end() :])


def _names(words: str) -> bool:
    """Whether an object is named, not only how much or how: "praises more warmly" has none."""
    return bool(_NO_OBJECT.sub("", words))


def _is_of_style(topic: re.Match[str]) -> bool:
    manner = {word.lower() for word in _ADVERB.findall(topic[0])} - _OF_NO_MANNER
    return bool(manner or _OF_STYLE.search(topic["object"]) or _BY_MEANS.search(topic["object"]))
