"""The patterns whose matches the measures count.

They are in Rust's syntax (no look-around) with ASCII word boundaries, which are several times faster; lexicon patterns
match text in lower case with single spaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from idiolect.difference.stylometry import lexicons

EDGE = r"(?-u:\b)"

WORD = r"[\p{L}\p{N}]+(?:['-][\p{L}\p{N}]+)*"
LETTER = r"[\p{L}\p{N}]"
LONG_WORD = r"\p{L}{5,}"
LIST_LINE = r"^[ \t]*(?:[-*•+–]|\d{1,2}[.)])[ \t]+\S"
HEADING = r"^[ \t]*[^\s.!?][^.!?:\n]{0,40}:[ \t]*$"

_LATINATE = "(?:tion|sion|ity|ment|ance|ence|ious|eous|uous|ive|ible|able|ical|ate)"
_NOT = rf"(?:{EDGE}(?:not|never|no|hardly)|n't) (?:[a-z]+ )?"


def one_of(entries: Iterable[str]) -> str:
    """A pattern that matches any of these words and phrases as whole words; a final ``*`` matches any ending.

    Longer entries come first, so that "first of all" is not read as "first".
    """
    escaped = (re.escape(entry).replace(r"\*", "[a-z]*").replace(r"\ ", " ") for entry in by_length(entries))
    return f"{EDGE}(?:{'|'.join(escaped)}){EDGE}"


def by_length(entries: Iterable[str]) -> list[str]:
    """Distinct entries, the longest first."""
    return sorted(set(entries), key=lambda entry: (-len(entry), entry))


LOWER: Mapping[str, str] = {
    "function_words": one_of(lexicons.FUNCTION_WORDS),
    "praise": one_of(lexicons.PRAISE),
    "blame": one_of(lexicons.BLAME),
    "negated_praise": _NOT + one_of(lexicons.PRAISE),
    "negated_blame": _NOT + one_of(lexicons.BLAME),
    "subordinators": one_of(lexicons.SUBORDINATORS),
    "british": one_of(lexicons.BRITISH),
    "american": one_of(lexicons.AMERICAN),
    "latinate_words": rf"{EDGE}[a-z]{{3,}}{_LATINATE}s?{EDGE}",
    "contractions": rf"[a-z](?:n't|'re|'ll|'ve|'d|'m){EDGE}|{EDGE}(?:it|that|he|she|there|what|here|who|let)'s{EDGE}",
    "casual_words": one_of(lexicons.CASUAL),
    "intensifiers": one_of(lexicons.INTENSIFIERS),
    "superlatives": one_of(lexicons.SUPERLATIVES),
    "hedges": one_of(lexicons.HEDGES),
    "courtesies": one_of(lexicons.COURTESIES),
    "own_feelings": one_of(lexicons.FEELINGS),
    "number_words": one_of(lexicons.NUMBER_WORDS),
    "causes": one_of(lexicons.CAUSES),
    "comparisons": one_of(lexicons.COMPARISONS),
    "contrasts": one_of(lexicons.CONTRASTS),
    "story_words": one_of(lexicons.STORY),
    "past_tense": one_of(lexicons.PAST_VERBS) + rf"|{EDGE}[a-z]{{3,}}[a-df-z]ed{EDGE}",
    "depth_words": one_of(lexicons.DEPTH),
    "analysis_words": one_of(lexicons.ANALYSIS),
    "negations": one_of(lexicons.NEGATIONS) + "|n't" + EDGE,
    "signposts": one_of(lexicons.SIGNPOSTS),
    "summing_up": one_of(lexicons.SUMMARIES),
    "examples": one_of(lexicons.EXAMPLES),
    "reader_address": one_of(lexicons.SECOND_PERSON),
    "first_person": one_of(lexicons.FIRST_PERSON),
    "disclosures": one_of(lexicons.DISCLOSURES),
    "recommendations": one_of(lexicons.RECOMMENDATIONS),
}
"""Counted in each text in lower case with single spaces."""

_TITLE_WORD = r"[\p{Lu}\d][\w'.&:]*,?"
_SMALL_WORD = "(?:of|the|a|an|and|in|on|to|for|with|from|at|by|or|&|n')"

CASED: Mapping[str, str] = {
    "capitals": rf"{EDGE}\p{{Lu}}{{4,}}{EDGE}",
    "names": r"[\p{Ll}\d,;:] \p{Lu}\p{Ll}+",
    "digits": r"\d[\d.,:/]*",
    "ellipses": r"\.\.+|…",
    "stacked_marks": r"[!?]{2,}",
    "asides": r"\([^()]*\)| --? |[ \w][–—]",
    "quotations": r"\"[^\"\n]{1,300}\"|(?:^|[\s(])'[^'\n]{2,120}'(?:$|[\s.,;:!?)])",
    "quoted_titles": rf"\"{_TITLE_WORD}(?:[ -](?:{_TITLE_WORD}|{_SMALL_WORD}))+[.,!?]?\"",
    "paragraph_breaks": r"\S[ \t]*\n(?:[ \t]*\n)+\s*\S",
    "list_lines": f"(?m){LIST_LINE}",
    "headings": f"(?m){HEADING}",
}
"""Counted in the unchanged text."""

_LEAD = rf"(?i)^\W*(?:{one_of(lexicons.IMPERATIVE_LEADS)},?\s+)?"
_FINITE = rf"\s+(?:\w+ly\s+)?{one_of(('is', 'was', 'are', 'were', 'has', 'had', 'seems', 'seemed'))}"
"""After a word that is its sentence's subject: "Taste is bitter" tells nobody to taste."""

SENTENCE: Mapping[str, str] = {
    "exclamations": r"!['\")\]]*$",
    "questions": r"\?['\")\]]*$",
    "lowercase_starts": r"^['\"(\[]*\p{Ll}",
    "labels": r"^[^\w]*\p{Lu}[^.!?:,\n]{1,30}:\s",
    "imperatives": _LEAD + one_of(lexicons.IMPERATIVES),
    "subjects": f"{_LEAD}(?:{one_of(lexicons.IMPERATIVES)}{_FINITE}|{one_of(('taste', 'look', 'start', 'set'))} of)",
    "parting": rf"(?i){one_of(lexicons.PARTING)}",
    "opinion": rf"(?i){one_of((*lexicons.PRAISE, *lexicons.BLAME, *lexicons.SUMMARIES, *lexicons.RECOMMENDATIONS))}",
}
"""Tested in each sentence."""


_ABBREVIATION = (
    r"(?i)(?-u:\b)(mr|mrs|ms|dr|st|sgt|prof|capt|rev|vs|jr|sr|vol|pt|ft|feat|inc|ltd|e\.g|i\.e|a\.m|p\.m|approx)\.(\s)"
)
_END = r"([.!?…]+['\")\]*]*)\s+"
_TRAIL = r"(\.\.+|…)\s+(\p{Ll})"
"""A sentence that goes on after dots."""
_GLUED = r"(\p{Ll}[.!?]+)(\p{Lu})"
"""No space after the end mark, as is common if line breaks were lost."""
HELD = "\x01"
"""Stands for the space after dots that end no sentence."""
ENDS = (
    (_ABBREVIATION, "$1$2"),
    (_TRAIL, f"$1{HELD}$2"),
    (_END, "$1\n"),
    (_GLUED, "$1\n$2"),
    (HELD, " "),
)
"""What is replaced, in this order, so that every sentence ends at a line break."""
NO_SENTENCE = f"{LIST_LINE}|{HEADING}"
IN_SENTENCES = ("exclamations", "questions", "lowercase_starts", "labels")
"""Measures that are numbers of sentences."""


ENTITIES = {"’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "&quot;": '"', "&#34;": '"', "&#39;": "'", "&amp;": "&"}
BREAK = r"(?i)<br\s*/?>|\r\n?"
