"""An extractor that tells the truth and lies in every way that was thought of, and knows which is which.

It is held apart from what it tests: its phrases, its counts and its reading of the texts are its own. What is true of a
comparison is what its counts show clearly: the user's text more than a standard deviation beyond the others' mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev

import numpy as np

PHRASES: dict[str, tuple[str, str, tuple[str, ...], tuple[str, ...]]] = {
    "exclamations": ("Writing", "writing/exclamations",
        ("uses more exclamation marks than the others", "exclaims far more often than other reviewers"),
        ("uses fewer exclamation marks than the others", "exclaims less often than other reviewers")),
    "questions": ("Pragmatics", "pragmatics/rhetorical-questions",
        ("asks more rhetorical questions than others do", "poses more questions than the rest"),
        ("asks fewer rhetorical questions than others do", "poses fewer questions than the rest")),
    "paragraphs": ("Structure", "structure/paragraphs",
        ("breaks the review into more paragraphs than others", "uses more paragraphs than the other users"),
        ("breaks the review into fewer paragraphs than others", "uses fewer paragraphs than the other users")),
    "sentences": ("Writing", "writing/sentence-complexity",
        ("writes longer sentences than the others", "builds more complex sentences than other reviewers"),
        ("writes shorter sentences than the others", "keeps to simpler, shorter sentences than other reviewers")),
    "you": ("Pragmatics", "pragmatics/reader-address",
        ("addresses the reader more directly than others", "speaks to the reader more than other users"),
        ("addresses the reader less directly than others", "speaks to the reader less than other users")),
    "words": ("Semantics", "semantics/info-density",
        ("gives more information than the others", "is more detailed and informative than other reviews"),
        ("gives less information than the others", "is less detailed and informative than other reviews")),
}  # fmt: skip
"""Category, attribute, and how more and less of it are said."""

CONTENT = (
    "The user likes the item more than the others, who disliked it.",
    "The user prefers a different genre than other reviewers.",
    "Unlike others, the user cares about the price.",
    "The user is more disappointed with the ending than others.",
)
BEYOND = (
    "The user has a drier wit than the other reviewers.",
    "The user's metaphors are more nautical than those of others.",
    "The user sounds more like a radio host than other people do.",
)


def _sentences(text: str) -> list[str]:
    return [one for one in re.split(r"(?<=[.!?])\s+|\n+", text) if re.search(r"\w", one)]


def _share(text: str, mark: str) -> float:
    return sum(one.rstrip("\"')").endswith(mark) for one in _sentences(text)) / max(1, len(_sentences(text)))


COUNTS: dict[str, Callable[[str], float]] = {
    "exclamations": lambda text: _share(text, "!"),
    "questions": lambda text: _share(text, "?"),
    "paragraphs": lambda text: text.count("\n\n"),
    "sentences": lambda text: len(text.split()) / max(1, len(_sentences(text))),
    "you": lambda text: len(re.findall(r"\byou(?:r|rs)?\b", text, re.IGNORECASE)) / max(1, len(text.split())),
    "words": lambda text: len(text.split()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One claim, and what should become of it."""

    kind: str
    true: bool | None
    """None: nobody can check it."""
    trait: str = ""
    more: bool = True


@dataclass(slots=True)
class Liar:
    """Answers about comparisons; ``told`` has every claim it made by the name it gave it."""

    seed: int = 0
    told: dict[str, Told] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)

    def answer(self, own: str, shown: Sequence[str], all_peers: Sequence[str]) -> str:
        """What an extractor says about a text beside others'; a third of the replies are broken off or only thought."""
        rng = np.random.default_rng([self.seed, len(self.told)])
        clear = {trait: sign for trait in PHRASES if (sign := _clear(COUNTS[trait], own, all_peers))}
        claims: list[dict[str, object]] = []
        style = rng.choice(["json", "json", "blocks", "blocks", "broken", "thinking"])
        for trait in rng.permutation(list(clear)).tolist():
            claims += self._about(trait, clear[trait] > 0, own, shown, rng, stated=style != "blocks")
        for trait in [trait for trait in PHRASES if trait not in clear][:1]:
            claims.append(
                self._claim("no effect", None, trait, bool(rng.integers(2)), [], rng, stated=style != "blocks")
            )
        claims.append(self._free("content", False, str(rng.choice(CONTENT))))
        claims.append(self._free("beyond", None, str(rng.choice(BEYOND))))
        if style == "thinking":
            for claim in claims:
                self._relabel(claim, "thinking", False)
            return f"<think>Let me see. {json.dumps({'features': claims})} But is that so? I am not"
        if style == "broken":
            self._relabel(claims[-1], "broken", False)
            return json.dumps({"features": claims})[: -len(json.dumps(claims[-1])) // 2]
        return json.dumps({"features": claims}) if style == "json" else "".join(map(_block, claims))

    def _about(
        self, trait: str, more: bool, own: str, shown: Sequence[str], rng: np.random.Generator, *, stated: bool
    ) -> list[dict[str, object]]:
        real = str(rng.choice([one for one in _sentences(own) if len(one.split()) > 3] or [own]))
        theirs = str(rng.choice([one for text in shown for one in _sentences(text) if len(one.split()) > 3] or [""]))
        quotes = {
            "invented": "the purple walrus of my uncle agrees entirely",
            "near miss": _near(real, rng),
            "peer": theirs,
        }
        kind = str(rng.choice(["true", "true", "true", "opposite", "invented", "near miss", "peer", "contradiction"]))
        if kind == "contradiction":
            yes = self._claim("true", True, trait, more, [real], rng, stated=stated)
            return [self._claim(kind, False, trait, not more, [real], rng, stated=stated), yes]
        if kind in quotes and (not quotes[kind] or quotes[kind] in own):
            kind = "true"
        quoted = [quotes.get(kind, real)]
        return [self._claim(kind, kind == "true", trait, more != (kind == "opposite"), quoted, rng, stated=stated)]

    def _claim(
        self,
        kind: str,
        true: bool | None,
        trait: str,
        more: bool,
        quotes: Sequence[str],
        rng: np.random.Generator,
        *,
        stated: bool,
    ) -> dict[str, object]:
        category, attribute, *ways = PHRASES[trait]
        claim = self._free(kind, true, f"The user {rng.choice(ways[not more])}.", trait, more)
        direction = {"sentences": ("higher", "lower"), "words": ("higher", "lower")}.get(trait, ("more", "fewer"))
        if stated:
            claim |= {"category": category, "attribute": attribute, "direction": direction[not more]}
        return claim | {"quotes": [{"text": text, "side": "target", "peer": None} for text in quotes]}

    def _free(
        self, kind: str, true: bool | None, description: str, trait: str = "", more: bool = True
    ) -> dict[str, object]:
        name = f"Point {len(self.told)}"
        self.told[name] = Told(kind=kind, true=true, trait=trait, more=more)
        return {
            "name": name,
            "definition": "how it is put",
            "description": description,
            "category": "other",
            "attribute": "other",
            "direction": "other",
            "quotes": [],
        }

    def _relabel(self, claim: dict[str, object], kind: str, true: bool | None) -> None:
        self.told[str(claim["name"])] = Told(kind=kind, true=true)


def _clear(count: Callable[[str], float], own: str, all_peers: Sequence[str]) -> int:
    values = [count(text) for text in all_peers]
    apart, spread = count(own) - fmean(values), pstdev([*values, count(own)])
    return 0 if abs(apart) <= max(spread, 1e-9) else (1 if apart > 0 else -1)


def _near(sentence: str, rng: np.random.Generator) -> str:
    """The sentence with one word left out in its middle."""
    words = sentence.split()
    place = int(rng.integers(1, len(words) - 1)) if len(words) > 2 else 0
    return " ".join(words[:place] + words[place + 1 :])


def _block(claim: dict[str, object]) -> str:
    quotes = claim["quotes"]
    assert isinstance(quotes, list)
    lines = "".join(f'\nQuote: "{quote["text"]}"' for quote in quotes)
    head = f"[{claim['name']}]\nDefinition: {claim['definition']}"
    return f"---\n{head}\nDifference Description: {claim['description']}{lines}\n---\n"
