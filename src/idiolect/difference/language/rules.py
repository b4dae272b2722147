"""Which words speak of which attribute, and from which end of its scale.

One line a rule, the special before the general: what a rule has matched is not read again. A rule's end says what its
words mean as they stand ("short sentences": the low end); a "fewer" or "avoids" before them turns it round.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Rule(NamedTuple):
    """Words that speak of an attribute."""

    attribute: str
    end: int
    """+1, -1 or (tone) 0."""
    words: re.Pattern[str]


_NOUNS = r"vocabular\w*|words?|lexic\w*|sentences?|paragraphs?|tone|details?|marks?"
_GAP = rf"(?:\W+(?!(?:{_NOUNS})\b)\w+){{0,3}}?\W+"
_SENTENCES = r"(?:sentences?|clauses?|syntax|syntactic)\b"
_WORDS = r"(?:vocabular\w*|words?|wording|lexic\w*|diction|language|terms|word[ -]choices?)\b"
_LONG = r"(?:long|complex|compound|elaborate|involved|intricate|sophisticated|flowing|winding|subordinate)\w*"
_SHORT = r"(?:short|clipped|choppy|simpl|terse|concise|brief|punchy|fragment)\w*"
_RICH = r"(?:rich|complex|varied|elevated|sophisticated|divers|rare|advanced|literary|broad|wide|extensive|fancy)\w*"
_PLAIN = r"(?:simpl|plain|basic|everyday|common|limited|narrow|repetitive)\w*"

_TABLE: tuple[tuple[str, int, str], ...] = (
    ("writing/sentence-complexity", -1, rf"{_SHORT}{_GAP}{_SENTENCES}|{_SENTENCES}(?:\W+\w+){{0,4}}?\W+{_SHORT}"),
    ("writing/sentence-complexity", -1, r"sentence\s+fragments?"),
    ("writing/sentence-complexity", 1, rf"{_LONG}{_GAP}{_SENTENCES}|{_SENTENCES}(?:\W+\w+){{0,4}}?\W+{_LONG}"),
    ("writing/sentence-complexity", 1, r"(?:sentence|syntactic)\s+(?:complexity|length)"),
    ("writing/exclamations", 1, r"exclamation(?:s|\s+(?:marks?|points?))?|exclaim\w*|exclamatory"),
    ("writing/conversational-tone", 1, r"conversational\w*|casual\w*|informal\w*|chatty|colloquial\w*|slang"),
    ("writing/conversational-tone", 1, r"contractions?"),
    ("writing/conversational-tone", -1, r"formal(?:ly|ity)?"),
    ("writing/vocabulary", 1, rf"{_RICH}{_GAP}{_WORDS}|{_WORDS}(?:\W+\w+){{0,3}}?\W+{_RICH}"),
    ("writing/vocabulary", -1, rf"{_PLAIN}{_GAP}{_WORDS}|{_WORDS}(?:\W+\w+){{0,3}}?\W+{_PLAIN}"),
    ("writing/vocabulary", 1, r"(?:vocabulary|lexical)\s+(?:richness|diversity|variety|range)"),
    ("pragmatics/rhetorical-questions", 1, r"(?:rhetorical\s+)?questions?"),
    ("pragmatics/rhetorical-questions", 1, r"ask\w*\s+(?:(?:the\s+)?readers?(?!\s+to\b)|anything)(?:\s+anything)?"),
    ("pragmatics/reader-address", 1, r"address\w*\s+(?:of\s+|to\s+)?(?:the\s+)?(?:readers?|audience)(?:\s+directly)?"),
    ("pragmatics/reader-address", 1, r"(?:speak|talk)\w*\s+(?:directly\s+)?to\s+(?:the\s+)?(?:readers?|audience)"),
    ("pragmatics/reader-address", 1, r"second[\s-]+person|reader\s+address|direct\s+address|[\"“']you[\"”']"),
    ("pragmatics/imperatives", 1, r"imperativ\w*|commands?|directives?|calls?\s+to\s+action|orders"),
    ("pragmatics/imperatives", 1, r"(?:tell|urge|instruct)\w*\s+(?:the\s+)?readers?"),
    ("pragmatics/disclosure", 1, r"disclos\w+|acknowledg\w+|free\s+(?:copy|copies|products?|samples?)|sponsor\w*"),
    ("pragmatics/quotes", 1, r"quot(?:e|es|ed|ing|ation|ations)|citations?|cites?"),
    ("semantics/causal-reasoning", 1, r"caus(?:al|e|es|ality|ation)(?:\W+(?:reasoning|links?|connections?))?|because"),
    ("semantics/causal-reasoning", 1, r"cause[\s-]+and[\s-]+effect|(?:giv|stat|offer)\w+\s+reasons?|explain\w*\s+why"),
    ("semantics/causal-reasoning", 1, r"reasons"),
    ("semantics/thematic-depth", 1, r"them(?:e|es|atic)(?:\s+(?:depth|analysis))?|motifs?|symbolism|deeper\s+meaning"),
    ("semantics/thematic-depth", -1, r"(?:on|at)\s+the\s+surface|superficial\w*|shallow\w*"),
    ("semantics/analytical-reasoning", 1, r"analy(?:tic|s|z)\w*|reasoning|critical\s+(?:thinking|evaluation)"),
    ("semantics/comparative-contrast", 1, r"(?:comparative|comparisons?)(?:\s+and\s+contrasts?)?"),
    ("semantics/comparative-contrast", 1, r"compar\w+[\s/-]+(?:and[\s-]+)?contrast\w*|contrasts|juxtapos\w*"),
    ("semantics/comparative-contrast", 1, r"compares?\s+(?:it|the|with|to|across)"),
    ("semantics/synthesis-integration", 1, r"synthes\w+|integrat\w+|(?:ties?|draws?)\s+(?:\w+\s+){0,2}together"),
    ("semantics/narrative-episodic", 1, r"narrat\w+|stor(?:y|ies|ytelling)|anecdot\w*|episod\w*|chronolog\w*"),
    ("semantics/specificity", 1, r"(?:specific(?:ity|s)?|concrete|exact|precise)(?:\W+(?:\w+\W+)?details?)?|numbers?"),
    ("semantics/specificity", 1, r"figures|measurements?|particulars"),
    ("semantics/specificity", -1, r"vague\w*|abstract\w*|generic|generalit\w*|generali[sz]\w*|(?<!in\s)general"),
    ("structure/headings-lists", 1, r"headings?|bullet\w*(?:\W+(?:points?|lists?))?|(?:numbered\s+)?lists?"),
    ("structure/headings-lists", 1, r"enumerat\w*|pros\s+and\s+cons"),
    ("structure/paragraphs", -1, r"(?:one|single|unbroken)\s+(?:block|paragraph)(?:\s+of\s+text)?|wall\s+of\s+text"),
    ("structure/paragraphs", 1, r"paragraph\w*|line\s+breaks?"),
    ("structure/transitions", 1, r"transition\w*|connectives?|connectors?|signpost\w*|discourse\s+markers?"),
    ("structure/argumentation", 1, r"argument\w*|argu(?:es|ing)|claims?\W+(?:and\W+)?evidence|persuasive\w*"),
    ("structure/sectioning", 1, r"section\w*|subsections?|divides?\s+the\s+text|into\s+parts"),
    ("emotion/politeness", 1, r"hedg\w+|polite\w*|courte\w+|tentative\w*|qualifiers?|thank\w*|cautious\w*"),
    ("emotion/politeness", -1, r"blunt\w*|curt|curtly|rude\w*|flat(?:ly)?"),
    ("emotion/intensity", 1, r"intens\w+|passionate\w*|excite\w*|enthusias\w*|emphatic\w*|superlatives?|hyperbol\w+"),
    ("emotion/intensity", 1, r"strong(?:er|ly)?\W+(?:\w+\W+)?(?:emotions?|feelings?|adverbs?)"),
    ("emotion/intensity", 1, r"emotional(?:ly)?(?!\W+(?:\w+\W+)?(?:tone|style|range|register|expression|neutral))"),
    ("emotion/intensity", -1, r"calm\w*|restrain\w*|subdued|understate\w*|muted"),
    ("emotion/tone", 0, r"neutral\w*|objectiv\w*|detached|dispassionate|impartial\w*|matter[\s-]of[\s-]fact"),
    ("emotion/tone", 1, r"positiv\w*|upbeat|cheerful\w*|optimis\w*|warm(?:er|ly|th)?|favou?rable"),
    ("emotion/tone", -1, r"negativ\w*|critical\w*|harsh\w*|pessimis\w*|cynic\w*|disappointed|sarcas\w*|cooler"),
    ("semantics/info-density", -1, r"concise\w*|brief\w*|succinct\w*|terse\w*|to\s+the\s+point|brevity"),
    ("semantics/info-density", -1, r"short(?:er)?\W+(?:reviews?|texts?|posts?)"),
    ("semantics/info-density", 1, r"informati\w+(?:\s+density)?|dens(?:e|er|ity)|detail(?:s|ed)?|elaborat\w+"),
    ("semantics/info-density", 1, r"in[\s-]depth|at\s+(?:greater\s+)?length|verbos\w+|length(?:y|ier)|thorough\w*"),
    ("semantics/info-density", 1, r"long(?:er)?\W+(?:reviews?|texts?|posts?)"),
)


def _whole(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)


RULES: tuple[Rule, ...] = tuple(Rule(attribute, end, _whole(words)) for attribute, end, words in _TABLE)
ANY = _whole("|".join(words for _, _, words in _TABLE))
"""Stands in a text exactly where some rule does; one search instead of one a rule for what no rule speaks of."""

NEGATIVE = re.compile(
    r"\b(?:fewer|less|lower|rare|rarely|seldom|never|no|not|nor|none|nobody|nothing|without|avoid\w*|lack\w*|omit\w*|absen\w+|minimal\w*"
    r"|limited|spar(?:se|ing)\w*|reduc\w+|hardly|scarce\w*|shuns?|refrains?|low|little|few|weaker|fails?|skips?)\b"
    r"|n't\b",
    re.IGNORECASE,
)
"""Turns what stands beside it round."""
POSITIVE = re.compile(
    r"\b(?:more|greater|higher|often|frequent\w*|heav(?:y|ily|ier)|many|much|stronger|uses?|using|employs?|adds?"
    r"|includes?|favou?rs?|prefers?|relies|clearer|deeper|richer|is|are|has|shows?|writes?|increas\w+|keeps?)\b",
    re.IGNORECASE,
)
"""Ends the reach of an earlier negation."""
