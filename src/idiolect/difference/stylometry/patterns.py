"""Regular expressions of what is counted, for polars (Rust's syntax: no look-around).

Texts are in lower case, with single blanks, where a list of words is looked for. Word boundaries are ASCII, which is
several times faster.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from idiolect.difference.stylometry import words

EDGE = r"(?-u:\b)"

WORD = r"[\p{L}\p{N}]+(?:['-][\p{L}\p{N}]+)*"
LETTER = r"[\p{L}\p{N}]"
LONG_WORD = r"\p{L}{5,}"
LIST_LINE = r"^[ \t]*(?:[-*•+–]|\d{1,2}[.)])[ \t]+\S"
HEADING = r"^[ \t]*[^\s.!?][^.!?:\n]{0,40}:[ \t]*$"

_LATINATE = "(?:tion|sion|ity|ment|ance|ence|ious|eous|uous|ive|ible|able|ical|ate)"
_NOT = rf"(?:{EDGE}(?:not|never|no|hardly)|n't) (?:[a-z]+ )?"


def one_of(entries: Iterable[str]) -> str:
    """An expression for any of these words and phrases, standing alone; ``*`` at an end stands for any ending.

    Longer entries are tried first, so that "first of all" is not read as "first".
    """
    escaped = (re.escape(entry).replace(r"\*", "[a-z]*").replace(r"\ ", " ") for entry in by_length(entries))
    return f"{EDGE}(?:{'|'.join(escaped)}){EDGE}"


def by_length(entries: Iterable[str]) -> list[str]:
    """Distinct entries, the longest first."""
    return sorted(set(entries), key=lambda entry: (-len(entry), entry))


LOWER: Mapping[str, str] = {
    "function_words": one_of(words.FUNCTION_WORDS),
    "praise": one_of(words.PRAISE),
    "blame": one_of(words.BLAME),
    "negated_praise": _NOT + one_of(words.PRAISE),
    "negated_blame": _NOT + one_of(words.BLAME),
    "subordinators": one_of(words.SUBORDINATORS),
    "british": one_of(words.BRITISH),
    "american": one_of(words.AMERICAN),
    "latinate_words": rf"{EDGE}[a-z]{{3,}}{_LATINATE}s?{EDGE}",
    "contractions": rf"[a-z](?:n't|'re|'ll|'ve|'d|'m){EDGE}|{EDGE}(?:it|that|he|she|there|what|here|who|let)'s{EDGE}",
    "casual_words": one_of(words.CASUAL),
    "intensifiers": one_of(words.INTENSIFIERS),
    "superlatives": one_of(words.SUPERLATIVES),
    "hedges": one_of(words.HEDGES),
    "courtesies": one_of(words.COURTESIES),
    "own_feelings": one_of(words.FEELINGS),
    "number_words": one_of(words.NUMBER_WORDS),
    "causes": one_of(words.CAUSES),
    "comparisons": one_of(words.COMPARISONS),
    "contrasts": one_of(words.CONTRASTS),
    "story_words": one_of(words.STORY),
    "past_tense": one_of(words.PAST_VERBS) + rf"|{EDGE}[a-z]{{3,}}[a-df-z]ed{EDGE}",
    "depth_words": one_of(words.DEPTH),
    "analysis_words": one_of(words.ANALYSIS),
    "negations": one_of(words.NEGATIONS) + "|n't" + EDGE,
    "signposts": one_of(words.SIGNPOSTS),
    "summing_up": one_of(words.SUMMARIES),
    "examples": one_of(words.EXAMPLES),
    "reader_address": one_of(words.SECOND_PERSON),
    "first_person": one_of(words.FIRST_PERSON),
    "disclosures": one_of(words.DISCLOSURES),
    "recommendations": one_of(words.RECOMMENDATIONS),
}
"""Counted in each text in lower case, with single blanks."""

CASED: Mapping[str, str] = {
    "capitals": rf"{EDGE}\p{{Lu}}{{4,}}{EDGE}",
    "names": r"[\p{Ll}\d,;:] \p{Lu}\p{Ll}+",
    "digits": r"\d[\d.,:/]*",
    "ellipses": r"\.\.+|…",
    "stacked_marks": r"[!?]{2,}",
    "asides": r"\([^()]*\)| --? |[ \w][–—]",
    "quotations": r"\"[^\"\n]{1,300}\"|(?:^|[\s(])'[^'\n]{2,120}'(?:$|[\s.,;:!?)])",
    "paragraph_breaks": r"\S[ \t]*\n(?:[ \t]*\n)+\s*\S",
    "list_lines": f"(?m){LIST_LINE}",
    "headings": f"(?m){HEADING}",
}
"""Counted in each text as it is."""

SENTENCE: Mapping[str, str] = {
    "exclamations": r"!['\")\]]*$",
    "questions": r"\?['\")\]]*$",
    "lowercase_starts": r"^['\"(\[]*\p{Ll}",
    "labels": r"^[^\w]*\p{Lu}[^.!?:,\n]{1,30}:\s",
    "imperatives": rf"(?i)^\W*(?:{one_of(words.IMPERATIVE_LEADS)},?\s+)?{one_of(words.IMPERATIVES)}",
    "parting": rf"(?i){one_of(words.PARTING)}",
    "opinion": rf"(?i){one_of((*words.PRAISE, *words.BLAME, *words.SUMMARIES, *words.RECOMMENDATIONS))}",
}
"""Looked for in each sentence."""
