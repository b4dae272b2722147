"""``idiolect evaluate``, ``score``, ``compare`` and ``explain``."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from idiolect.api.evaluation import score as score_texts
from idiolect.cli.options import (
    Engine,
    Json,
    KeyFile,
    Quiet,
    Set,
    StorePath,
    UserName,
    columns,
    overrides,
    progress,
    show,
)
from idiolect.config import load
from idiolect.errors import ConfigError
from idiolect.evaluation.compare import check_files, compare_evaluations, write_text
from idiolect.evaluation.runner import run_evaluate
from idiolect.evaluation.significance import RESAMPLES
from idiolect.explain.card import ExplainConfig
from idiolect.explain.layout import to_markdown
from idiolect.explain.ratings import rate, write_sheet
from idiolect.explain.run import explain_user
from idiolect.metrics.registry import DEFAULT_METRICS
from idiolect.planning import announce

_Names = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="", allow_leading_hyphen=False)]


def score(
    predictions: str,
    /,
    *,
    columns_: Annotated[Set, Parameter(name="--column")] = (),
    baseline: str | None = None,
    metrics: _Names = DEFAULT_METRICS,
    resamples: int = RESAMPLES,
    seed: int = 0,
    csv: Path | None = None,
    latex: Path | None = None,
    json: Json = False,
) -> None:
    """Score texts that were made elsewhere against the users' own, with intervals, paired tests and signatures.

    Example: idiolect score predictions.jsonl --baseline rag

    Args:
        predictions: JSON lines, CSV or Parquet with a row per text: prediction, reference, and if there are any user
            (users are resampled), method (compared) and id (aligns methods).
        columns_: The column of one of these fields, as field=column; may be repeated.
        baseline: The method that the others are tested against.
        metrics: rouge1, rougeL, meteor, bleu, bertscore.
        resamples: Bootstrap resamples, and permutations of a test.
        seed: Of the resamples.
        csv: File to write every score, difference and p value to.
        latex: File to write the table to.
        json: Print one JSON object.
    """
    places = check_files(Path(predictions), csv=csv, latex=latex)  # before the work
    found = score_texts(
        predictions, baseline=baseline, metrics=metrics, resamples=resamples, seed=seed, columns=columns(columns_)
    )
    for name, text in (("csv", found.to_csv), ("latex", found.to_latex)):
        if name in places:
            write_text(places[name], text())
    show(found.to_dict(), found.table(), as_json=json)


def evaluate(
    *,
    split: Path,
    out: Path,
    store: StorePath = "idiolect.db",
    adapter: Path | None = None,
    backbone: str | None = None,
    encoder: str | None = None,
    config: Path | None = None,
    set: Set = (),
    generate_controls: Annotated[bool, Parameter(negative="")] = False,
    engine: Engine = None,
    workers: int | None = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare methods and controls on a split's test targets, with intervals, tests and whether gains are personal.

    An OpenAI-compatible endpoint is named by --set backbone.endpoint.model=NAME and backbone.endpoint.base_url=URL; its
    answers are recorded in idiolect-cache.db in the store's folder and reused. So are those of models
    that play a role in PAG, DPL or DRP (--set differences.extractor.backbone.endpoint.model=NAME); --set methods=[drp]
    chooses among these. What they find is counted (UVQ); --set differences.judge.backbone.endpoint.model=NAME has it
    judged.

    On several GPUs, each with a share of the texts: torchrun --nproc-per-node=4 -m idiolect.cli.main evaluate ...

    Args:
        split: Folder of the split.
        out: Folder of the results; an interrupted evaluation is resumed.
        store: SQLite file or database URL.
        adapter: Folder of a fitted adapter; its settings are used, and DEP and its controls join the table.
        backbone: Folder or hub name, if there is no adapter.
        encoder: Whose vectors are used, if there is no adapter.
        config: YAML file of settings; with an adapter it goes before the adapter's own, but for how that was fitted.
        set: A setting as name=value (sampling.temperature=0, targets.max_test=200); may be repeated.
        generate_controls: Let the controls write texts too; their likelihood is always computed.
        engine: local (default), or ray: a copy of the model per worker of the cluster at RAY_ADDRESS, else of one that
            is started on this machine.
        workers: Of a Ray cluster; default: one per GPU, or per processor if there is none.
        json: Print the result file.
        quiet: Show no progress.
    """
    found = run_evaluate(
        store, split, out, adapter=adapter, config=config, changes=overrides(set), backbone=backbone, encoder=encoder,
        generate_controls=generate_controls, engine=engine or "local", workers=workers, progress=progress(quiet),
        before=announce("evaluate", shown=not quiet),
    )  # fmt: skip
    record = json_module.loads((out / "results.json").read_text(encoding="utf-8"))
    show(record, f"{found.text}\n\nreport, results, figures and samples in {out}", as_json=json)


_Folder = Annotated[str, Parameter(allow_leading_hyphen=False)]


def compare(
    folder: _Folder,
    /,
    *folders: _Folder,
    baseline: str | None = None,
    pool: Annotated[bool, Parameter(negative="")] = False,
    conditions: _Names = (),
    metrics: _Names = (),
    resamples: int | None = None,
    csv: Path | None = None,
    latex: Path | None = None,
    scores: Path | None = None,
    json: Json = False,
) -> None:
    """Compare evaluations of the same samples, or any two conditions of one, with intervals and tests.

    Without --baseline one evaluation's methods are held against RAG, and of several evaluations each condition against
    itself in the first that has it.

    Args:
        folder: Folder of an evaluation, or LABEL=FOLDER; FOLDER,FOLDER pools several that differ in their seed.
        folders: Further ones.
        baseline: A condition (drp, "rag: wrong user"), as LABEL:CONDITION where several evaluations have it.
        pool: Pool all folders.
        conditions: Which conditions; all but controls where none is named.
        metrics: Which metrics of texts; the first evaluation's where none is named.
        resamples: How many, if not as many as the first evaluation has.
        csv: File to write every score, difference and p value to.
        latex: File to write the tables to.
        scores: CSV file to write what each text scores on its own to; it holds users' ids.
        json: Print one JSON object.
    """
    check_files(csv=csv, latex=latex, scores=scores)  # before the work
    found = compare_evaluations(
        (folder, *folders),
        pool=pool,
        baseline=baseline,
        conditions=conditions,
        metrics=metrics,
        resamples=resamples,
    )
    found.write(csv=csv, latex=latex, scores=scores)
    show(found.record(), found.text, as_json=json)


def explain(
    user: UserName | None = None,
    /,
    *,
    store: StorePath = "idiolect.db",
    answers: Path | None = None,
    rating_sheet: Path | None = None,
    users: int = 20,
    seed: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    ratings: Annotated[
        tuple[Path, ...], Parameter(consume_multiple=True, negative="", allow_leading_hyphen=False)
    ] = (),
    key: Path | None = None,
    latent: Annotated[bool, Parameter(negative="")] = False,
    adapter: Path | None = None,
    split: Path | None = None,
    unit: Annotated[tuple[int, ...], Parameter(negative="")] = (),
    pseudonyms: KeyFile = None,
    config: Path | None = None,
    set: Set = (),
    markdown: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show how a user differs from others who wrote about the same items, and on what evidence.

    No model is needed. Instead of USER: --rating-sheet writes a blinded sheet that people can rate, --ratings reads
    rated sheets back, --latent shows what the units of a fitted DEP adapter's sparse code mean.

    Args:
        user: Whose card. An id that begins with -- goes last, behind a -- of its own.
        store: SQLite file or database URL.
        answers: What a model said of the user, checked and added: the samples of an evaluation in which a model was the
            extractor (samples/drp.jsonl), or JSON lines, each with review and answer.
        rating_sheet: CSV file to write; its key is written next to it and is not for the raters.
        users: Users on the sheet.
        seed: Of the sheet's choices, or of the intervals of the ratings.
        ratings: Filled-in sheets, one file per rater.
        key: Key of the sheet, if it is not next to the first of them.
        latent: Show the units of --adapter, with reviews of many users; not those of one user.
        adapter: Folder of a fitted DEP adapter, for --latent.
        split: Folder of a split, for --latent: also say what its validation targets lose when a unit is silenced.
        unit: A unit to show, for --latent; may be repeated. Otherwise those that change the soft prompts most.
        pseudonyms: File of the key, where the store knows users by pseudonyms.
        config: YAML file of settings.
        set: A setting as name=value (min_effect=0.5, quotes=3; of --latent: shown=20, stream=his); may be repeated.
        markdown: Print the card, or the units, as Markdown.
        json: Print one JSON object. It has all differences; on_card marks those that the card prints in full.
        quiet: Show no progress.
    """
    if sum((user is not None, rating_sheet is not None, bool(ratings), latent)) != 1:
        raise ConfigError(
            "explain takes one of USER, --rating-sheet, --ratings and --latent", hint="idiolect explain USER"
        )
    if latent:
        _explain_units(store, adapter, split, unit, config, set, markdown=markdown, json=json, quiet=quiet)
        return
    if adapter or split or unit:
        raise ConfigError("--adapter, --split and --unit belong to --latent", hint="explain --latent --adapter FOLDER")
    settings = load(ExplainConfig, config, overrides(set))
    if ratings:
        found = rate(ratings, key=key, seed=seed)
        show(found.record(), found.text, as_json=json)
    elif rating_sheet is not None:
        written = write_sheet(store, rating_sheet, users=users, seed=seed, config=settings)
        show(written.record(), written.text, as_json=json)
    elif user is not None:
        card = explain_user(store, user, config=settings, answers=answers, pseudonyms=pseudonyms)
        if json:
            show(card.record(), "", as_json=True)
        elif markdown:
            show({}, to_markdown(card).rstrip("\n"), as_json=False)
        else:
            from idiolect.cli.screens import print_card

            print_card(card)


def _explain_units(
    store: str,
    adapter: Path | None,
    split: Path | None,
    units: tuple[int, ...],
    config: Path | None,
    set: tuple[str, ...],
    *,
    markdown: bool,
    json: bool,
    quiet: bool,
) -> None:
    from idiolect.explain.latent import LatentConfig
    from idiolect.explain.units import inspect_adapter

    if adapter is None:
        raise ConfigError("--latent looks at a fitted adapter", hint="idiolect explain --latent --adapter FOLDER")
    settings = load(LatentConfig, config, {**overrides(set), **({"units": units} if units else {})})
    found = inspect_adapter(store, adapter, split=split, config=settings, progress=progress(quiet))
    show(found.record(), found.to_markdown().rstrip("\n") if markdown else found.text, as_json=json)
