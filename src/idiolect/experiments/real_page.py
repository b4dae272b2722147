"""The page of a study of real reviews: verdicts, what several seeds say together, tables, and what was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from idiolect.evaluation.attribution import judge, sentences, settled_by
from idiolect.evaluation.compare import compare_evaluations, read_evaluation
from idiolect.evaluation.render import to_markdown
from idiolect.evaluation.scoring import NLL, Evaluation
from idiolect.evaluation.significance import Interval, Resamples, interval
from idiolect.methods.base import ADAPTER_METHOD, BASELINE, requirements
from idiolect.methods.controls import WRONG_USER
from idiolect.metrics.base import Mean
from idiolect.training.config import PretrainReport
from idiolect.types import ConditionId


def weakness(found: Evaluation) -> str:
    """A warning if another user's history does not hurt RAG: the likelihoods then cannot tell persons apart.

    Returns:
        Empty if it hurts significantly, or if there are no likelihoods.
    """
    table = found.controls.get(ConditionId(BASELINE))
    names = [] if table is None else [column.name for column in table.columns]
    if table is None or NLL.name not in names:
        return ""
    rows = {row.condition: row.cells[names.index(NLL.name)] for row in table.rows}
    cell = rows.get(ConditionId(BASELINE, WRONG_USER))
    if cell is None or cell.versus is None or cell.versus.low > 0:
        return ""
    cost = cell.versus
    return (
        "The backbone is too weak to tell persons apart on this corpus. With another user's history RAG is only "
        f"{cost.difference:+.2f} nats per review worse [{cost.low:.2f}, {cost.high:.2f}], which may be chance. So a "
        "likelihood on this page cannot show that a gain is personal, nor that it is not. More text "
        "(pretrain_tokens), shorter item descriptions, or a larger or pretrained model would help."
    )


def over_seeds(folders: Sequence[Path]) -> str:
    """What evaluations of one pass with several seeds say together, as Markdown.

    A user's likelihoods are averaged over seeds first, so intervals are over users. The scores of texts pool the texts
    of all seeds, and a user is drawn with all of theirs.

    Args:
        folders: Of the evaluations, on the same samples.

    Raises:
        InputError: One of them is not finished, or has other samples.
    """
    recorded = [read_evaluation(folder) for folder in folders]
    shared = [one for one in recorded[0].runs if all(one in other.runs for other in recorded)]
    own = [
        {one: np.array([row["nll"] for row in member.runs[one]], dtype=np.float64) for one in shared}
        for member in recorded
    ]
    mean = {one: np.mean([nats[one] for nats in own], axis=0) for one in shared}
    users = [user for user, *_ in recorded[0].samples]
    draws = Resamples(len(users), np.random.default_rng([0, 11]), clusters=users)
    lines = [f"- {sentence}" for sentence in sentences(judge(claim, mean, draws) for claim in settled_by(mean))]
    lines += ["", "| nats per review, mean over users | all seeds | each seed |", "| --- | --- | --- |"]
    method, baseline = ConditionId(ADAPTER_METHOD), ConditionId(BASELINE)
    title = requirements(ADAPTER_METHOD).title
    contrasts = {f"{requirements(BASELINE).title} - {title}": (baseline, method)}
    contrasts |= {f"{one.control} - {title}": (one, method) for one in shared if one.control and one.of == method}
    for label, (worse, better) in contrasts.items():
        found = _mean_difference(mean[worse] - mean[better], draws)
        each = ", ".join(f"{float((nats[worse] - nats[better]).mean()):+.2f}" for nats in own)
        lines.append(f"| {label} | {found.value:+.2f} [{found.low:.2f}, {found.high:.2f}] | {each} |")
    names = [str(one) for one in shared if one.control is None]
    scores = compare_evaluations([str(folder) for folder in folders], pool=True, conditions=names)
    return "\n".join([*lines, "", "Scores of the texts of all seeds:", "", *map(to_markdown, scores.tables.values())])


def _mean_difference(differences: np.ndarray, draws: Resamples) -> Interval:
    return interval(draws.score(Mean("nats", greater_is_better=True), differences))


def page_text(
    facts: Mapping[str, Any],
    backbone: PretrainReport,
    evaluations: Mapping[str, Evaluation],
    warnings: Sequence[str],
    pooled: Mapping[str, str],
) -> str:
    """The study as Markdown: warnings and verdicts first, then tables, then what was chosen.

    Args:
        facts: What was chosen, the budget included.
        backbone: The pretraining run.
        evaluations: Of the first seed, by pass.
        warnings: What makes the figures say less than they seem to.
        pooled: What all seeds say, by pass (``over_seeds``); empty with one.
    """
    lines = [f"# Study on {facts['corpus']}", ""]
    for warning in warnings:
        lines += [f"**{warning}**", ""]
    for name, found in evaluations.items():
        lines += [f"## {requirements(ADAPTER_METHOD).title} {name} of past reviews", ""]
        lines += [f"- {sentence}" for sentence in sentences(found.verdicts)]
        lines += [f"- {sentence}" for sentence in [_against_baseline(found)] if sentence]
        if name in pooled:
            lines += ["", "Over all seeds of the adapter, each user's likelihoods averaged first:", ""]
            lines += [pooled[name], "", "Everything below is of the first seed."]
        lines += ["", to_markdown(found.methods), ""]
        for condition, table in found.controls.items():
            lines += [f"Controls of {condition}:", "", to_markdown(table), ""]
        if found.calibration:
            lines += ["Style between others' texts and the users' own:", "", found.calibration.to_markdown(), ""]
        if found.habits:
            lines += ["Habits where the user shows them, and where not:", "", found.habits.to_markdown(), ""]
        if found.token_classes:
            lines += ["Likelihood by class of token:", "", found.token_classes.to_markdown(), ""]
        lines += [f"- {note}" for note in found.notes] + [""]
    lines += [
        "## What was chosen",
        "",
        f"A backbone of {backbone.parameters / 1e6:.1f} M parameters was pretrained on this corpus for "
        f"{backbone.tokens_seen / 1e6:.2f} M tokens ({backbone.seconds:.0f} s). {_perplexity(backbone)} It read no "
        "target of the split. All likelihoods on this page are this small model's; none is comparable with another "
        "corpus's or with a published table.",
        "",
        *[f"- {name}: {value}" for name, value in facts.items()],
        "",
    ]
    return "\n".join(lines)


def _perplexity(backbone: PretrainReport) -> str:
    whole = f"{backbone.held_out_perplexity:.1f} over whole documents, prompts included"
    own = backbone.held_out_review_perplexity
    if own is None:
        return f"Its perplexity per token on held-out documents is {whole}."
    return f"Its perplexity per token of held-out reviews, given their prompts, is {own:.1f} ({whole})."


def _against_baseline(found: Evaluation) -> str:
    """How much the soft prompts gain over the baseline, in nats per review; empty without likelihoods."""
    names = [column.name for column in found.methods.columns]
    if NLL.name not in names:
        return ""
    rows = {row.condition: row.cells[names.index(NLL.name)] for row in found.methods.rows}
    cell = rows.get(ConditionId(ADAPTER_METHOD))
    if cell is None or cell.versus is None:
        return ""
    versus = cell.versus
    ours, other = requirements(ADAPTER_METHOD).title, requirements(BASELINE).title
    return f"{ours} against {other}: {-versus.difference:+.2f} nats per review [{-versus.high:.2f}, {-versus.low:.2f}]"
