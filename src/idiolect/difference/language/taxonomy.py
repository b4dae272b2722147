"""What can differ: five categories of expression, 25 attributes, and the directions of each.

The 35 controlled keys are those of the DRP authors' released analysis script. The script writes them as paths and reads
a direction off the path's end, which leaves five keys without one and lets opposites pass as different attributes. Here
every key is an explicit (attribute, direction) pair with a sign, keys of one attribute exclude each other, and the 16
opposites that the script has no path for exist too, so that "asks no questions" is a difference; only the 35 count in
UVQ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

Category = Literal["Writing", "Emotion", "Semantics", "Structure", "Pragmatics"]
CATEGORIES: tuple[Category, ...] = get_args(Category)


@dataclass(frozen=True, slots=True)
class Key:
    """One way in which a user can differ from others."""

    attribute: str
    """``category/property``; the property is measured on a scale of its own."""
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
        """Whether both cannot hold: another direction of the same attribute."""
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
"""Every key; those of one attribute stand together and exclude each other."""

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
    """The key of a path of the released script, whatever its case and surrounding blanks; None where there is none."""
    return _BY_PATH.get(path.strip().lower())


def by_pair(attribute: str, direction: str) -> Key | None:
    """The key of an attribute and a direction, each as a model may write it; None where there is none.

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
    """The key of an attribute on one side of its scale (+1, -1; 0: the middle); None where there is none."""
    return _BY_SIGN.get((attribute, sign))
