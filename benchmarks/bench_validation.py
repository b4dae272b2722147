"""What the checks that cost no call do to true and false claims, and what is found of what a sandbox world planted.

    python benchmarks/bench_validation.py [--users 40] [--seed 60]

First an extractor behind an endpoint that mixes truth with every kind of falsehood (``tests/methods/liar.py``, whose
phrases and counts are its own): the share of each kind that is dropped. Target: at least 95 % of the checkable
falsehoods dropped, at least 90 % of the true claims kept; what nobody can check is counted apart. Then precision and
recall against planted effects, before and after validation: of that extractor and of stylometry. Markdown tables.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from idiolect.context import Context
from idiolect.difference.claims.feature import Feature
from idiolect.difference.claims.taxonomy import CATEGORIES
from idiolect.difference.claims.vote import vote
from idiolect.llm.base import SamplingParams
from idiolect.llm.endpoint import OpenAIConfig
from idiolect.llm.openai import OpenAILLM
from idiolect.methods.comparing import StageConfig, extraction
from idiolect.methods.extract import Extraction
from idiolect.methods.peer_comparison import ComparisonConfig, PeerComparison, PeerComparisonBuilder, standard
from idiolect.methods.roles import Role
from idiolect.methods.stages import ProfileState
from idiolect.methods.validate import Checks
from idiolect.peers import InMemoryReviews
from idiolect.prompts.rendering import PromptConfig
from idiolect.sandbox.domain import WorldConfig
from idiolect.sandbox.world import World
from idiolect.types import Item, ItemId, Sample, UserId

TESTS = Path(__file__).parents[1] / "tests"
sys.path += [str(TESTS / "llm"), str(TESTS / "methods")]
from chat_server import ChatServer  # noqa: E402
from liar import Liar, Told  # noqa: E402

PLANTED = {
    "writing/sentence-complexity": "long_sentences",
    "writing/vocabulary": "fancy_words",
    "writing/exclamations": "exclamation",
    "writing/conversational-tone": "informality",
    "emotion/tone": "positivity",
    "emotion/intensity": "intensity",
    "emotion/politeness": "hedging",
    "semantics/info-density": "verbosity",
    "semantics/narrative-episodic": "narrative",
    "semantics/specificity": "specificity",
    "semantics/causal-reasoning": "causal_talk",
    "semantics/thematic-depth": "thematic_depth",
    "semantics/comparative-contrast": "comparison",
    "structure/paragraphs": "paragraphs",
    "structure/transitions": "transitions",
    "structure/headings-lists": "lists",
    "pragmatics/quotes": "quoting",
    "pragmatics/rhetorical-questions": "questions",
    "pragmatics/disclosure": "disclosure",
    "pragmatics/reader-address": "address",
    "pragmatics/imperatives": "imperatives",
}
STRONG = 1.5
"""Logits of a planted effect that should be found."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--seed", type=int, default=60)
    options = parser.parse_args()
    world = World(WorldConfig(seed=options.seed, n_users=2 * options.users, n_items=2 * options.users))
    comparisons = compared(world, options.users)
    liar = Liar()
    claimed, checked = lied(liar, comparisons)
    show_kinds(liar.told, [one for own in checked for one in own])
    by_comparison = [iter(claimed), iter(checked)]
    before, after = ([[one for _ in own for one in next(rest)] for own in comparisons] for rest in by_comparison)
    show_planted("scripted endpoint, before", world, before)
    show_planted("scripted endpoint, checked", world, after)
    show_planted("scripted endpoint, checked, support 2", world, [vote(own, min_support=2) for own in after])
    show_planted("stylometry", world, measured(comparisons))


def compared(world: World, n: int) -> list[tuple[PeerComparison, ...]]:
    """The comparisons of the first ``n`` users, eight each where there are as many."""
    reader = InMemoryReviews([], world.reviews(), {}, encoder="none")
    builder = PeerComparisonBuilder(reader, ComparisonConfig(retriever="recency", selector="random"), encoder=None)
    return builder.build([Sample(user=world.user_id(k), item=ItemId("to come")) for k in range(n)])


def lied(
    liar: Liar, comparisons: Sequence[Sequence[PeerComparison]]
) -> tuple[list[list[Feature]], list[list[Feature]]]:
    """What the liar's answers are read as, comparison by comparison, and what the checks make of it."""
    flat = [comparison for own in comparisons for comparison in own]
    answers = {
        comparison.own.text: liar.answer(
            comparison.own.text, comparison.visible_texts.peers, comparison.all_texts.peers
        )
        for comparison in flat
    }

    def reply(prompt: str) -> str:
        asked = prompt.partition("Others' reviews")[0].replace("\n> ", "\n")
        return answers[max((text for text in answers if text in asked), key=len)]

    with ChatServer(reply=reply) as server:
        config = OpenAIConfig(model="liar", base_url=server.url, schemas=False)
        with OpenAILLM(config) as llm:
            role = Role(llm=llm, params=SamplingParams(temperature=0), thinking_limit=1)
            draws = Extraction(role=role, standard=standard("auto")).draw(flat)
    claimed = [draw.features for draw in draws]
    return claimed, Checks()(flat, claimed)


def measured(comparisons: Sequence[Sequence[PeerComparison]]) -> list[list[Feature]]:
    """What the extractor without a model finds, user by user."""
    stage = extraction(None, "auto", StageConfig(), PromptConfig())
    nowhere = Context(sample=Sample(user=UserId(""), item=ItemId("")), item=Item(id=ItemId("")), entries=())
    return [
        list(one.features)
        for one in stage([ProfileState(context=nowhere, comparisons=tuple(own)) for own in comparisons])
    ]


def fates(told: dict[str, Told], checked: Iterable[Feature]) -> dict[str, list[tuple[Told, str]]]:
    """What became of every claim, by kind; one that was never read is ``dropped`` too."""
    found = {feature.name: feature.status for feature in checked}
    kinds: dict[str, list[tuple[Told, str]]] = defaultdict(list)
    for name, one in told.items():
        kinds[one.kind].append((one, found.get(name, "dropped")))
    return kinds


def shares(kinds: dict[str, list[tuple[Told, str]]]) -> tuple[float, float]:
    """Share of checkable falsehoods dropped; share of true claims that are not. What was never read does not count."""
    every = [fate for kind, own in kinds.items() for fate in own if kind not in ("broken", "thinking")]
    false = [status == "dropped" for one, status in every if one.true is False]
    true = [status != "dropped" for one, status in every if one.true]
    return float(np.mean(false)), float(np.mean(true))


def show_kinds(told: dict[str, Told], checked: Sequence[Feature]) -> None:
    """A row a kind of claim."""
    kinds = fates(told, checked)
    print("| claim | should be | n | kept | unconfirmed | dropped |\n|---|---|---|---|---|---|")
    for kind, own in sorted(kinds.items()):
        wanted = {True: "kept", False: "dropped", None: "anything"}[own[0][0].true]
        counts = [np.mean([status == s for _, status in own]) for s in ("kept", "unconfirmed", "dropped")]
        print(f"| {kind} | {wanted} | {len(own)} | " + " | ".join(f"{share:.1%}" for share in counts) + " |")
    dropped, stay = shares(kinds)
    print(f"\ncheckable falsehoods dropped: {dropped:.1%}; true claims not dropped: {stay:.1%}\n")


def show_planted(title: str, world: World, features: Sequence[Sequence[Feature]]) -> None:
    """Precision and recall of the claims that stand against planted effects, by category."""
    print(f"{title}\n\n| category | claims a user | sign as planted | strong effects found |\n|---|---|---|---|")
    for category in ("all", *CATEGORIES):
        rows, strong = planted(world, features, category)
        right = [sign for sign, _ in rows]
        print(f"| {category} | {len(rows) / len(features):.2f} | {_share(right)} of {len(right)} | {_share(strong)} |")
    print()


def planted(
    world: World, features: Sequence[Sequence[Feature]], category: str
) -> tuple[list[tuple[bool, float]], list[bool]]:
    """For each user's distinct standing key whether it has the planted sign; for each strong effect whether found."""
    effects, traits = world.truth.user_effects, world.truth.traits
    rows: list[tuple[bool, float]] = []
    strong: list[bool] = []
    for user, own in enumerate(features):
        keys = {one.key for one in own if one.valid and one.key and one.key.sign}
        for attribute, trait in PLANTED.items():
            if category not in ("all", attribute.split("/")[0].capitalize()):
                continue
            effect = float(effects[user, traits.index(trait)])
            signs = [key.sign for key in keys if key.attribute == attribute]
            rows += [(sign * effect > 0, effect) for sign in signs]
            if abs(effect) > STRONG:
                strong.append(np.sign(effect) in signs)
    return rows, strong


def _share(found: Sequence[bool]) -> str:
    return f"{np.mean(found):.0%}" if found else "-"


if __name__ == "__main__":
    main()
