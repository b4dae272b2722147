"""The page of a study of real reviews: what it shows in a few lines, then tables, then what was chosen.

Everything else (signatures, controls by class of token, usage) is in the reports of its evaluations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from idiolect.evaluation.cache_model import CacheGains
from idiolect.evaluation.columns import NLL
from idiolect.evaluation.compare import compare_evaluations
from idiolect.evaluation.render import to_markdown
from idiolect.evaluation.report import Row, ScoreTable
from idiolect.evaluation.result import Evaluation
from idiolect.evaluation.user_attribution import UserAttribution
from idiolect.experiments.real.costs import Costs
from idiolect.experiments.real.summary import PASSES, Choice, Output, Summary
from idiolect.methods.base import ADAPTER_METHOD, BASELINE, UNPERSONALIZED, requirements
from idiolect.prompts.tasks import load_task
from idiolect.training.config import PretrainReport
from idiolect.types import ConditionId


class Words(NamedTuple):
    """What a cache of past words saves a bigram model, and what another user's costs instead."""

    whole: CacheGains
    """With all reviews of the profiles."""
    shown: CacheGains
    """With as many of the newest past reviews as prompts show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a study found."""

    evaluations: Mapping[str, Evaluation]
    """Of the first seed, by pass (``PASSES``)."""
    summary: Summary
    """Of the evaluations of all seeds."""
    words: Words
    """How much of the choice of words is personal, without any neural model."""
    attributed: Mapping[int, Mapping[str, UserAttribution]]
    """How well vectors identify users, by the number of past reviews and what the vectors are of."""
    backbone: PretrainReport
    warnings: tuple[str, ...]
    """What makes the figures say less than they seem to."""
    conclusions: tuple[str, ...]
    """What the study shows, in sentences (Markdown); empty if there are too few users for any."""


def page_text(found: Findings, facts: Mapping[str, Any], costs: Costs, *, figure: str | None = None) -> str:
    """The study as Markdown.

    Args:
        found: What the study found.
        facts: What was chosen, the budget included; ``task`` only if the texts are no reviews.
        costs: Of the stages.
        figure: Name of the figure of the gains, in the folder of the page; None: without a figure.
    """
    summary, choice, evaluations = found.summary, found.summary.choice, found.evaluations
    n_seeds = len(summary.outputs[PASSES[0]])
    parts = [f"# Study on {facts['corpus']}", *(f"**{warning}**" for warning in found.warnings), _nouns(facts)]
    parts += ["## In short", "\n".join(f"- {one}" for one in found.conclusions)]
    parts += [f"![Gains, and what controls lose of them]({figure})" if figure else "", summary.to_markdown()]
    parts += ["## Past reviews as text", _shown(summary)] if choice.validation else []
    parts += ["## How personal the texts are", _personal_words(found.words, choice.shown)]
    parts += [_attribution(found.attributed, facts)]
    if n_seeds > 1:
        pooled = (_pooled(name, outs, choice) for name, outs in summary.outputs.items())
        parts += [f"## Scores over {n_seeds} seeds", *pooled, "Everything below is of the first seed."]
    parts += ["## Methods", to_markdown(_all_methods(evaluations)), _tested_against(choice)]
    parts += ["## Controls", _controls(evaluations), _verdicts(found)]
    parts += _style(evaluations, choice)
    parts += ["## What was chosen", _chosen(facts, found.backbone), "## Cost", costs.to_markdown()]
    parts += ["## Details", _details(evaluations, summary.outputs)]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _nouns(facts: Mapping[str, Any]) -> str:
    """What this page's reviews and items are, if the prompts call them otherwise."""
    if "task" not in facts:
        return ""
    task = load_task(facts["task"])
    name = Path(facts["task"]).name
    return f"The texts are {task.texts} (task `{name}`): reviews are {task.texts} on this page, and items {task.items}."


def _reviews(number: int) -> str:
    return f"{number} past review{'' if number == 1 else 's'}"


def _tested_against(choice: Choice) -> str:
    if choice.most == choice.shown:
        return ""
    rag, dep = (requirements(name).title for name in (BASELINE, ADAPTER_METHOD))
    return f"{dep} {PASSES[0]} is tested against {rag} with {_reviews(choice.most)}, the others with {choice.shown}."


def _other_prompts(name: str, choice: Choice) -> str:
    """A note on the tables of the pass without text, where other methods show more reviews."""
    if name != PASSES[0] or choice.most == choice.shown:
        return ""
    return f"Here {requirements(BASELINE).title} and the other methods with text show {_reviews(choice.most)}."


def _shown(summary: Summary) -> str:
    """How the number of reviews to show was chosen."""
    choice = summary.choice
    rag, dep = (requirements(name).title for name in (BASELINE, ADAPTER_METHOD))
    first = " (first seed)" if summary.several else ""
    lines = [
        f"Methods with text show {_reviews(choice.shown)}, chosen by the likelihood of validation targets under {dep}"
        f"{first}. Nats per review:",
        "",
        f"| past reviews as text | validation users, {dep} | test users, {rag} |",
        "| ---: | ---: | ---: |",
    ]
    for number, nats in sorted(choice.validation.items()):
        test = summary.mean_of_baseline(number)
        cell = "" if test is None else f"{test:.2f}"
        mark = " (chosen)" if number == choice.shown else ""
        lines.append(f"| {number}{mark} | {nats:.2f} | {cell} |")
    return "\n".join(lines)


def _verdicts(found: Findings) -> str:
    summary = found.summary
    lines = [f"- {one}" for one in summary.verdicts(found.evaluations)]
    of = [f"{summary.n_users} test users"] if summary.groups else []
    of = [*of, "first seed"] if summary.several else of
    return "\n".join([f"Of the {', '.join(of)}:", "", *lines] if lines and of else lines)


def _personal_words(words: Words, shown: int) -> str:
    """How personal the choice of words is, measured without the backbone."""
    newest = "the newest, as prompts show" if shown == 1 else f"the newest {shown}, as prompts show"
    rows = ["| past reviews | own words save | another user's words are worse by |", "| --- | --- | --- |"]
    for name, found in (("all of the profile", words.whole), (newest, words.shown)):
        cells = (f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]" for one in (found.gain(), found.cost()))
        rows.append(f"| {name} | {' | '.join(cells)} |")
    rag = requirements(BASELINE).title
    if words.shown.cost().low > 0:
        note = f"If {rag} loses much less with another user's history, the backbone does not use this information."
    else:
        note = "With so few reviews, word counts alone cannot distinguish users."
    if unspaced := words.whole.n_unspaced:
        note += f" Words of {unspaced} reviews are single characters: their script has no blanks between words."
    return "\n".join(
        [
            f"What a bigram model gains from the words of past reviews, in nats per review ({len(words.whole.users)} "
            "test reviews, no neural model):",
            "",
            *rows,
            "",
            f"The last column measures how personal the choice of words is. {note}",
        ]
    )


def _attribution(found: Mapping[int, Mapping[str, UserAttribution]], facts: Mapping[str, Any]) -> str:
    """How well vectors identify users, measured without the backbone."""
    rows = [
        f"| {name} | {number} | {_attribution_cells(one)} |"
        for number, kinds in found.items()
        for name, one in kinds.items()
    ]
    if not rows:
        return ""
    dep = requirements(ADAPTER_METHOD).title
    head = "| vectors of | past reviews | users | attribution (AUC) | top-1 accuracy | chance | information, at least |"
    return "\n".join(
        [
            f"How well the vectors (`{facts['encoder']}`) identify users, without a language model: each test review "
            "is compared with the mean of up to so many of the newest past reviews of its own user and of every other "
            "user.",
            "",
            head,
            "| --- | ---: | ---: | --- | --- | --- | --- |",
            *rows,
            "",
            "The last column is the mutual information (InfoNCE, a lower bound), in nats per review: what a reader who "
            "knows these vectors gains over one who knows neither user nor item. Of the differences to others an item "
            "tells little. If "
            f"{dep} gains much less, or another user's vectors hardly make it worse, the adapter or the backbone does "
            "not use this information.",
        ]
    )


def _attribution_cells(one: UserAttribution) -> str:
    shares = [f"{100 * it.value:.1f} % [{100 * it.low:.1f}, {100 * it.high:.1f}]" for it in (one.auc(), one.top1())]
    nats = one.nats()
    chance = f"50 %, {100 / one.n_users:.1f} %"
    return " | ".join([str(one.n_users), *shares, chance, f"{nats.value:.2f} [{nats.low:.2f}, {nats.high:.2f}]"])


def _pooled(name: str, outputs: Sequence[Output], choice: Choice) -> str:
    """Scores of the texts of all seeds; a user is drawn with all of theirs."""
    chosen = [UNPERSONALIZED, BASELINE, ADAPTER_METHOD]
    found = compare_evaluations([str(one.texts) for one in outputs], pool=True, conditions=chosen)
    tables = (to_markdown(table, signatures=False) for table in found.tables.values())
    title = f"{requirements(ADAPTER_METHOD).title} {name}:"
    return "\n".join([f"{title} {_other_prompts(name, choice)}".strip(), "", *tables])


def _named(row: Row, name: str) -> Row:
    """A row of the method with an adapter, named after its pass."""
    is_own = row.method == ADAPTER_METHOD
    return replace(row, condition=replace(row.condition, method=f"{row.method} {name}")) if is_own else row


def _all_methods(evaluations: Mapping[str, Evaluation]) -> ScoreTable:
    """One table of both passes; methods without an adapter are those of the pass with text."""
    first, last = (evaluations[name].methods for name in PASSES)
    own = [_named(row, PASSES[0]) for row in first.rows if row.method == ADAPTER_METHOD]
    rest = [_named(row, PASSES[1]) for row in last.rows]
    rows = (*rest[:-1], *own, *rest[-1:]) if first.columns == last.columns else tuple(rest)
    return replace(last, rows=rows)


def _controls(evaluations: Mapping[str, Evaluation]) -> str:
    """How much worse every control is than its method, in nats per review."""
    lines = ["| control, likelihood only | nats per review | worse than its method by |", "| --- | ---: | --- |"]
    for name in PASSES:
        for method, table in evaluations[name].controls.items():
            names = [column.name for column in table.columns]
            if NLL.name not in names or (name == PASSES[0] and method != ConditionId(ADAPTER_METHOD)):
                continue
            for row in table.rows:
                cell = row.cells[names.index(NLL.name)]
                if cell is not None and (versus := cell.versus) is not None:
                    cost = f"{versus.difference:+.2f} [{versus.low:.2f}, {versus.high:.2f}]"
                    lines.append(f"| {_named(row, name).name} | {cell.score.value:.2f} | {cost} |")
    return "\n".join(lines) if len(lines) > 2 else "There are none: the backbone gives no likelihoods."


def _style(evaluations: Mapping[str, Evaluation], choice: Choice) -> list[str]:
    """Style, habits and classes of token, by pass."""
    parts: list[str] = []
    for name, found in evaluations.items():
        own: list[str] = []
        if found.calibration:
            own += ["Between others' texts and the users' own:", found.calibration.to_markdown()]
        if found.habits:
            own += ["Habits where the user shows them, and where not:", found.habits.to_markdown()]
        if found.token_classes:
            own += ["Likelihood by class of token:", to_markdown(found.token_classes.methods, signatures=False)]
        if own:
            parts += [f"## Style, {requirements(ADAPTER_METHOD).title} {name}", _other_prompts(name, choice), *own]
    return parts


def _chosen(facts: Mapping[str, Any], backbone: PretrainReport) -> str:
    lines = [
        f"A backbone of {backbone.parameters / 1e6:.1f} M parameters was pretrained on this corpus for "
        f"{backbone.tokens_seen / 1e6:.2f} M tokens. {_perplexity(backbone)} It read no "
        "target of the split. All likelihoods on this page are this small model's; none is comparable with another "
        "corpus's or with a published table.",
        "",
        *[f"- {name}: {value}" for name, value in facts.items()],
    ]
    return "\n".join(lines)


def _perplexity(backbone: PretrainReport) -> str:
    whole = f"{backbone.held_out_perplexity:.1f} over whole documents, prompts included"
    own = backbone.held_out_review_perplexity
    if own is None:
        return f"Its perplexity per token on held-out documents is {whole}."
    return f"Its perplexity per token of held-out reviews, given their prompts, is {own:.1f} ({whole})."


def _details(evaluations: Mapping[str, Evaluation], outputs: Mapping[str, Sequence[Output]]) -> str:
    """Notes, each once, and where the reports are."""
    notes = dict.fromkeys(note for found in evaluations.values() for note in found.notes)
    folders = [folder for outs in outputs.values() for one in outs for folder in one.parts]
    reports = ", ".join(f"`{folder.name}/report.md`" for folder in folders)
    return "\n".join([f"Every table, with signatures and usage: {reports}.", "", *(f"- {note}" for note in notes)])
