"""Taxonomy of differences: five categories, 25 attributes with their directions, and the words that express them.

The 35 controlled keys are those of the DRP authors' released analysis script. The script has paths and takes a
direction from the end of a path, which leaves five keys without a direction and treats opposites as different
attributes. Here every key is an (attribute, direction) pair with a sign, keys of one attribute exclude each other, and
the 16 opposites without a path exist too, so that "asks no questions" is a difference. Only the 35 count in UVQ.

``RULES`` map words to attributes, specific rules before general ones: matched words are not read again. A rule's
``end`` is the direction of its words alone ("short sentences": -1); "fewer" or "avoids" before them negates it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, cast, get_args

from idiolect.difference.stylometry.measures import Category

CATEGORIES: tuple[Category, ...] = get_args(Category)


@dataclass(frozen=True, slots=True)
class Key:
    """One way in which a user can differ from others."""

    attribute: str
    """``category/property``."""
    direction: str
    sign: int
    """+1: the user stands higher on the attribute's scale than others; -1: lower; 0: in the middle (neutral tone)."""
    phrase: str
    """Finishes the sentence "Compared with others, this user ..."."""
    path: str = ""
    """The key of the released script; empty for the opposites it lacks."""

    @property
    def category(self) -> Category:
        """The one category the attribute belongs to."""
        return cast(Category, self.attribute.split("/", 1)[0].capitalize())

    @property
    def controlled(self) -> bool:
        """Whether it is one of the 35 keys that UVQ counts."""
        return bool(self.path)

    def excludes(self, other: Key) -> bool:
        """Whether both cannot hold: they are different directions of one attribute."""
        return self.attribute == other.attribute and self.direction != other.direction


def _key(attribute: str, direction: str, sign: int, phrase: str) -> Key:
    return Key(attribute, direction, sign, phrase, f"{attribute}/{direction}")


def _opposite(attribute: str, direction: str, phrase: str) -> Key:
    return Key(attribute, direction, -1, phrase)


KEYS: tuple[Key, ...] = (
    _key("writing/sentence-complexity", "higher", 1, "writes longer, more involved sentences"),
    _key("writing/sentence-complexity", "lower", -1, "writes shorter, simpler sentences"),
    _key("writing/vocabulary", "richer", 1, "draws on a richer vocabulary"),
    _key("writing/vocabulary", "simpler", -1, "keeps to simpler words"),
    _key("writing/exclamations", "more", 1, "uses more exclamation marks"),
    _key("writing/exclamations", "fewer", -1, "uses fewer exclamation marks"),
    _key("writing/conversational-tone", "more", 1, "writes more casually, as in conversation"),
    _opposite("writing/conversational-tone", "less", "writes more formally"),
    Key("emotion/tone", "positive", 1, "takes a more positive tone", "emotion/tone/positive/more"),
    Key("emotion/tone", "neutral", 0, "takes a more neutral tone", "emotion/tone/neutral/more"),
    Key("emotion/tone", "negative", -1, "takes a more negative tone", "emotion/tone/negative/more"),
    _key("emotion/intensity", "higher", 1, "shows stronger feelings"),
    _key("emotion/intensity", "lower", -1, "shows feelings with more restraint"),
    Key("emotion/politeness", "more", 1, "is politer and hedges more", "emotion/politeness/hedging/more"),
    _opposite("emotion/politeness", "less", "is blunter and hedges less"),
    _key("semantics/info-density", "higher", 1, "packs in more information"),
    _key("semantics/info-density", "lower", -1, "says less, more briefly"),
    _key("semantics/analytical-reasoning", "more", 1, "is more analytical"),
    _opposite("semantics/analytical-reasoning", "less", "is less analytical"),
    _key("semantics/narrative-episodic", "more", 1, "tells more of a story"),
    _opposite("semantics/narrative-episodic", "less", "tells less of a story"),
    _key("semantics/specificity", "more", 1, "is more specific, with names and numbers"),
    _key("semantics/specificity", "less", -1, "stays more general"),
    _key("semantics/causal-reasoning", "more", 1, "gives more causes and reasons"),
    _opposite("semantics/causal-reasoning", "less", "gives fewer causes and reasons"),
    _key("semantics/thematic-depth", "more", 1, "goes deeper into themes"),
    _opposite("semantics/thematic-depth", "less", "stays more on the surface"),
    _key("semantics/comparative-contrast", "more", 1, "compares and contrasts more"),
    _opposite("semantics/comparative-contrast", "less", "compares and contrasts less"),
    _key("semantics/synthesis-integration", "more", 1, "draws points together more"),
    _opposite("semantics/synthesis-integration", "less", "draws points together less"),
    _key("structure/paragraphs", "more", 1, "breaks the text into more paragraphs"),
    _key("structure/paragraphs", "fewer", -1, "breaks the text into fewer paragraphs"),
    _key("structure/transitions", "clearer", 1, "marks transitions more clearly"),
    _opposite("structure/transitions", "vaguer", "marks transitions less clearly"),
    _key("structure/headings-lists", "more", 1, "uses more headings or lists"),
    Key("structure/headings-lists", "fewer", -1, "does without headings and lists", "structure/no-headings-lists/true"),
    Key("structure/argumentation", "clearer", 1, "argues more clearly", "structure/argumentation-clearer"),
    _opposite("structure/argumentation", "vaguer", "argues less clearly"),
    _key("structure/sectioning", "clearer", 1, "divides the text more clearly into parts"),
    _opposite("structure/sectioning", "vaguer", "divides the text less clearly into parts"),
    _key("pragmatics/quotes", "more", 1, "quotes more"),
    _opposite("pragmatics/quotes", "fewer", "quotes less"),
    _key("pragmatics/rhetorical-questions", "more", 1, "asks more rhetorical questions"),
    _opposite("pragmatics/rhetorical-questions", "fewer", "asks fewer rhetorical questions"),
    _key("pragmatics/disclosure", "more", 1, "discloses more of personal ties and how it was paid"),
    _opposite("pragmatics/disclosure", "less", "discloses less of personal ties and how it was paid"),
    _key("pragmatics/reader-address", "more", 1, "speaks to the reader more"),
    _opposite("pragmatics/reader-address", "less", "speaks to the reader less"),
    _key("pragmatics/imperatives", "more", 1, "tells the reader what to do more often"),
    _opposite("pragmatics/imperatives", "fewer", "tells the reader what to do less often"),
)
"""All keys, grouped by attribute."""

CONTROLLED: tuple[Key, ...] = tuple(key for key in KEYS if key.controlled)
ATTRIBUTES: tuple[str, ...] = tuple(dict.fromkeys(key.attribute for key in KEYS))

_BY_PATH = {key.path: key for key in CONTROLLED}
_BY_PAIR = {(key.attribute, key.direction): key for key in KEYS}
_BY_SIGN = {(key.attribute, key.sign): key for key in KEYS}
_SIGNS = {
    **dict.fromkeys(("more", "higher", "richer", "clearer", "longer", "stronger", "greater", "increased"), 1),
    **dict.fromkeys(("less", "lower", "fewer", "simpler", "vaguer", "shorter", "weaker", "reduced", "none"), -1),
}


def by_path(path: str) -> Key | None:
    """The key of a path of the released script, in any case; None if there is none."""
    return _BY_PATH.get(path.strip().lower())


def by_pair(attribute: str, direction: str) -> Key | None:
    """The key of an attribute and a direction, as a model may write them; None if there is none.

    The attribute may come without its category, with blanks or underscores, or with other capitals; the direction may
    be a synonym ("higher" for "more").
    """
    exact = _BY_PAIR.get((attribute, direction))
    if exact is not None:
        return exact
    name = "-".join(attribute.lower().replace("_", " ").replace("-", " ").split())
    word = direction.strip().lower()
    whole = next((known for known in ATTRIBUTES if name and name in (known, known.split("/")[1])), None)
    if whole is None:
        return None
    return _BY_PAIR.get((whole, word)) or _BY_SIGN.get((whole, _SIGNS.get(word, 2)))


def by_sign(attribute: str, sign: int) -> Key | None:
    """The key of an attribute with a sign (+1, -1; 0: the middle); None if there is none."""
    return _BY_SIGN.get((attribute, sign))


class Rule(NamedTuple):
    """Words that express an attribute."""

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
"""Matches exactly where some rule matches: one search instead of one per rule for texts that match none."""

NEGATIVE = re.compile(
    r"\b(?:fewer|less|lower|rare|rarely|seldom|never|no|not|nor|none|nobody|nothing|without|avoid\w*|lack\w*|omit\w*|absen\w+|minimal\w*"
    r"|limited|spar(?:se|ing)\w*|reduc\w+|hardly|scarce\w*|shuns?|refrains?|low|little|few|weaker|fails?|skips?)\b"
    r"|n't\b",
    re.IGNORECASE,
)
"""Negates the claim that it is next to."""
POSITIVE = re.compile(
    r"\b(?:more|greater|higher|often|frequent\w*|heav(?:y|ily|ier)|many|much|stronger|uses?|using|employs?|adds?"
    r"|includes?|favou?rs?|prefers?|relies|clearer|deeper|richer|is|are|has|shows?|writes?|increas\w+|keeps?)\b",
    re.IGNORECASE,
)
"""Ends the scope of an earlier negation."""
