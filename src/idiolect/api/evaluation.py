"""Comparing methods: run them on a split, or score texts that were made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from idiolect.api.personalizers import Personalizer
from idiolect.api.store import Split, check_split
from idiolect.config import merge
from idiolect.data.parts import find_parts
from idiolect.data.tables import is_table, table_parts
from idiolect.engine import EngineName
from idiolect.errors import ConfigError, InputError
from idiolect.evaluation.columns import columns
from idiolect.evaluation.render import to_csv, to_dict, to_frame, to_latex, to_markdown, to_pandas, to_text
from idiolect.evaluation.report import ScoreTable, score_table
from idiolect.evaluation.significance import RESAMPLES, Resamples, check_draws
from idiolect.methods.base import BASELINES, requirements
from idiolect.metrics.base import Aggregate
from idiolect.metrics.registry import DEFAULT_METRICS, load_metrics
from idiolect.registry import suggest

if TYPE_CHECKING:
    import pandas as pd

    from idiolect.evaluation.compare import Compared
    from idiolect.evaluation.result import Evaluation

_ALIASES: Mapping[str, tuple[str, ...]] = {
    "prediction": ("prediction", "text", "output", "hypothesis", "generated", "response"),
    "reference": ("reference", "target", "label", "gold", "ground_truth"),
    "user": ("user", "user_id", "reviewerID", "author"),
    "method": ("method", "model", "system", "name"),
    "id": ("id", "sample", "sample_id", "item", "target_id"),
}
_SHOWN = 400
"""Characters of a message at most."""
_ONE = "predictions"
"""Name of the only method, if it has no other."""


def evaluate(
    methods: Sequence[Personalizer | str],
    split: Split,
    out: str | Path = "results",
    *,
    generate_controls: bool = False,
    engine: EngineName = "local",
    workers: int | None = None,
    progress: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Compare methods and their controls on a split's test targets, with intervals, tests and attribution.

    Non-Perso and RAG are the baselines of every evaluation and always run. A fitted ``DEP`` brings its settings; the
    others take theirs from the first method, among them budgets such as ``max_prompt_tokens``.

    Args:
        methods: Of the same language model; ``module:Class`` names a method of your own.
        split: What is held out.
        out: Folder of the results; an interrupted evaluation is resumed there.
        generate_controls: Let controls write texts too; their likelihood is always computed.
        engine: ``local``, or ``ray``: each worker of the cluster at ``RAY_ADDRESS``, else of one that is started
            on this machine, has a copy of the model and a share of texts and likelihoods.
        workers: Of a Ray cluster; None: one per GPU, or per processor if there is none.
        progress: Show bars.
        settings: Settings laid on the methods' (``{"targets": {"max_test": 100}}``).

    Returns:
        Tables, attribution and notes: ``.table()``, ``.to_pandas()``, ``.report``.

    Raises:
        ConfigError: The methods have different models, or ``out`` holds another evaluation.
        EndpointError: No model gave any answer.

    Example:
        >>> result = evaluate([RAG("fake"), PAG("fake")], split, "results")  # doctest: +SKIP
        >>> print(result.table())  # doctest: +SKIP
    """
    from idiolect.evaluation.runner import run_evaluate
    from idiolect.pipeline.commands import load_settings
    from idiolect.planning import announce

    check_split(split)
    first, adapter = _first(methods)
    names = [one if isinstance(one, str) else one.name for one in methods]
    fitted = [one.name for one in methods if isinstance(one, Personalizer) and one.adapter is not None]
    others = [name for name in dict.fromkeys(names) if name not in (*BASELINES, *fitted)]
    changes = merge(merge(first.settings if first else {}, settings or {}), {"methods": others})
    named = (one.model for one in methods if isinstance(one, Personalizer) and one.model is not None)
    model, encoder = next(named, None), first.encoder if first else None
    config = first.config if first and adapter is None else None
    if adapter is None:
        needed = load_settings(config=config, changes=changes, backbone=model, encoder=encoder)
        for name in needed.encoders:
            split.store.embed(name, split=split, peers=needed.peers, progress=progress)
    return run_evaluate(
        split.store.path,
        split.path,
        Path(out),
        adapter=adapter,
        config=config,
        changes=changes,
        backbone=model,
        encoder=encoder,
        generate_controls=generate_controls,
        engine=engine,
        workers=workers,
        progress=progress,
        before=announce("evaluate", shown=progress),
    )


def _first(methods: Sequence[Personalizer | str]) -> tuple[Personalizer | None, Path | None]:
    """The method whose settings are used, and the fitted adapter among them."""
    ours = [one for one in methods if isinstance(one, Personalizer)]
    if odd := next((one for one in methods if not isinstance(one, (Personalizer, str))), None):
        raise ConfigError(f"{type(odd).__name__} is no method", hint="pass RAG(...), DEP(...) or 'module:Class'")
    models = {repr((_model_of(one), _model_settings(one))): one for one in ours if not _takes_any(one, ours)}
    if len(models) > 1:
        listed = " and ".join(map(repr, models.values()))
        raise ConfigError(f"the methods have different models: {listed}", hint="evaluate each model by itself")
    fitted = [one for one in ours if requirements(one.name).adapter]
    if len(fitted) > 1:
        raise ConfigError("two adapters in one evaluation", hint="evaluate each by itself, then idiolect compare")
    for one in fitted:
        if one.adapter is None:
            raise ConfigError(f"{one!r} is not fitted", hint="call fit(split), or from_pretrained")
        return one, one.adapter
    return (ours[0] if ours else None), None


def _model_of(method: Personalizer) -> str | None:
    """The method's model; a folder by its full path, as adapters record it."""
    known = method.known_model
    return str(Path(known).resolve()) if known is not None and Path(known).is_dir() else known


def _takes_any(method: Personalizer, methods: Sequence[Personalizer]) -> bool:
    """Whether a method names no model and so takes that of the fitted one."""
    fitted = any(one.adapter is not None and one is not method for one in methods)
    return fitted and method.adapter is None and method.model is None and not _model_settings(method)


_BUDGETS = {"max_prompt_tokens", "batch_size", "limits", "retry", "price"}
"""Settings of a backbone or its endpoint that do not change which model it is."""


def _model_settings(method: Personalizer) -> dict[str, Any]:
    """The method's own settings of the language model, without budgets."""
    own = {name: value for name, value in method.settings.get("backbone", {}).items() if name not in _BUDGETS}
    if isinstance(endpoint := own.get("endpoint"), Mapping):
        own["endpoint"] = {name: value for name, value in endpoint.items() if name not in _BUDGETS}
    return own


@dataclass(frozen=True, slots=True)
class Scores:
    """Methods by metrics, with intervals over users and paired tests against a baseline."""

    scores: ScoreTable
    notes: tuple[str, ...] = ()
    """What could not be scored, and why."""

    def __repr__(self) -> str:
        return self.table()

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def table(self) -> str:
        """Aligned text: best in each column marked, intervals, significance, signatures."""
        return "\n".join([to_text(self.scores), *self.notes]).rstrip("\n")

    def to_markdown(self) -> str:
        """The same as Markdown."""
        return "\n".join([to_markdown(self.scores), *(f"- {note}" for note in self.notes)])

    def to_latex(self) -> str:
        """The same as a LaTeX ``tabular``."""
        return to_latex(self.scores)

    def to_csv(self) -> str:
        """One line per score, with interval, difference, p values and signature."""
        return to_csv([self.scores])

    def to_polars(self) -> pl.DataFrame:
        """One row per method and metric: value, low, high, and the difference from the baseline with its p values."""
        return to_frame(self.scores)

    def to_pandas(self) -> pd.DataFrame:
        """The same as a pandas DataFrame."""
        return to_pandas(self.scores)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts, numbers and strings."""
        return {**to_dict(self.scores), "notes": list(self.notes)}


def score(
    predictions: Sequence[str] | Mapping[str, Sequence[str]] | Any,
    references: Sequence[str] | None = None,
    *,
    users: Sequence[Any] | None = None,
    baseline: str | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    resamples: int = RESAMPLES,
    seed: int = 0,
    columns: Mapping[str, str] | None = None,
) -> Scores:
    """Score texts that were made elsewhere, with intervals, paired tests and signatures.

    Of one sample, or of one user where ``users`` are given, there are scores alone: intervals and tests resample
    samples or users. A note says so, and what is missing is NaN, or None in ``to_dict`` and data frames.

    Args:
        predictions: Texts; or several methods' texts by name; or a path or table with a row per text and columns
            ``prediction``, ``reference``, and optionally ``user``, ``method`` and ``id``.
        references: The users' own texts, one per sample; None if ``predictions`` is a path or table.
        users: Who wrote each reference: users are resampled rather than samples. None: samples are.
        baseline: The method that the others are tested against; None: no tests.
        metrics: Names of metrics (``rouge1``, ``rougeL``, ``meteor``, ``bleu``, ``bertscore``).
        resamples: Bootstrap resamples, and permutations of a test.
        seed: Of the resamples.
        columns: The column of a field (``prediction``, ``reference``, ``user``, ``method``, ``id``) of a path or table,
            where its name is another.

    Raises:
        InputError: Lengths differ, a column is missing, or methods have other samples.
        ConfigError: An unknown metric or baseline, or no number of resamples or seed.

    Example:
        >>> texts = {"rag": ["Fine tea.", "A cup."], "dep": ["Good tea!", "My cup!"]}
        >>> found = score(texts, ["Good green tea!", "My new cup!"], baseline="rag", metrics=["rouge1"])
        >>> print(found.table())  # doctest: +SKIP
    """
    check_draws(resamples=resamples, seed=seed)
    if references is None:
        runs, references, users = _read(predictions, columns or {})
    else:
        runs = _named(predictions)
    _check_lengths(runs, references, users)
    if baseline is not None and baseline not in runs:
        raise ConfigError(f"unknown baseline {baseline!r}", hint=suggest(baseline, runs))
    loaded = load_metrics(metrics)
    return _scored(runs, list(references), users, loaded, baseline, resamples, seed)


def _scored(
    runs: Mapping[str, Sequence[str]],
    references: list[str],
    users: Sequence[Any] | None,
    metrics: Sequence[Any],
    baseline: str | None,
    resamples: int,
    seed: int,
) -> Scores:
    draws = Resamples(
        len(references), np.random.default_rng([seed, 11]), clusters=None if users is None else list(users),
        resamples=resamples, least=1,
    )  # fmt: skip
    found = {
        name: columns(name, [{"nll": None, "text": text} for text in texts], metrics, references)
        for name, texts in runs.items()
    }
    stats = {name: own.stats for name, own in found.items()}
    scored: list[Aggregate] = [metric for metric in metrics if any(metric.name in own for own in stats.values())]
    notes = tuple(note for own in found.values() for note in own.notes)
    if not scored:
        raise InputError(f"no metric gives a figure: {'; '.join(notes)}"[:_SHOWN], hint="check the references")
    return Scores(score_table(scored, stats, draws, baseline=baseline), notes)


def _named(predictions: Any) -> dict[str, list[str]]:
    if isinstance(predictions, str):
        raise InputError("predictions is one text", hint="pass a list of texts, or a path without references")
    if isinstance(predictions, Mapping):
        return {str(name): list(texts) for name, texts in predictions.items()}
    return {_ONE: list(predictions)}


def _check_lengths(runs: Mapping[str, Sequence[str]], references: Sequence[str], users: Sequence[Any] | None) -> None:
    if not runs or not len(references):
        raise InputError("there is nothing to score", hint="pass at least one text and its reference")
    lengths = {name: len(texts) for name, texts in runs.items()} | ({} if users is None else {"users": len(users)})
    for name, length in lengths.items():
        if length != len(references):
            raise InputError(
                f"{name} has {length} entries and there are {len(references)} references", hint="pass one per sample"
            )
    for name, texts in {**runs, "references": references}.items():
        for one in texts:
            if not isinstance(one, str):
                raise InputError(f"{name} holds a {type(one).__name__}, not a text", hint="replace missing texts by ''")


def _read(where: Any, named: Mapping[str, str]) -> tuple[dict[str, list[str]], list[str], list[str] | None]:
    """Methods' texts, references and users of a file or table, aligned over methods."""
    if unknown := set(named) - set(_ALIASES):
        raise ConfigError(f"unknown field {min(unknown)!r}", hint=suggest(min(unknown), _ALIASES))
    parts = table_parts(where) if is_table(where) else find_parts(where)
    rows = [row for part in parts.parts for row in part.rows(part.container())]
    if not rows:
        raise InputError(f"{_name(where)} holds no rows", hint="check where it came from")
    places = _places(rows, named, where)
    methods: dict[str, list[tuple[str, str, str]]] = {}
    texts: dict[str, list[str]] = {}
    for row in rows:
        cells = row.cells
        if isinstance(cells, str):
            raise InputError(f"{_name(where)}, line {row.line}: {cells}", hint="mend or remove the row")
        got = {field: cells.get(column) for field, column in places.items()}
        for field in ("prediction", "reference"):
            _check_text(got[field], f"{_name(where)}, line {row.line}: {places[field]!r}")
        method = str(got.get("method") or _ONE)
        methods.setdefault(method, []).append((str(got.get("user")), str(got.get("id")), str(got["reference"])))
        texts.setdefault(method, []).append(str(got["prediction"]))
    return _aligned(methods, texts, has_users="user" in places)


def _check_text(value: Any, where: str) -> None:
    if not isinstance(value, str):
        raise InputError(f"{where} is no text", hint="mend or remove the row")
    try:
        value.encode()
    except UnicodeEncodeError:  # its bytes were no UTF-8
        hint = "convert it: iconv -f CP1252 -t UTF-8 (or from the encoding it is in)"
        raise InputError(f"{where} is not UTF-8", hint=hint) from None


def _places(rows: Sequence[Any], named: Mapping[str, str], where: Any) -> dict[str, str]:
    """The column of every field that has one."""
    present = {str(column) for row in rows[:1000] if isinstance(row.cells, dict) for column in row.cells}
    folded = {column.casefold(): column for column in present}
    found = {
        field: column
        for field, aliases in _ALIASES.items()
        for column in [
            named.get(field) or next((folded[a.casefold()] for a in aliases if a.casefold() in folded), None)
        ]
        if column is not None
    }
    for field in ("prediction", "reference", *named):
        if found.get(field) not in present:
            raise InputError(
                f"{_name(where)} has no column for the {field}",
                hint=f"name it: {field}='COLUMN' (there are: {', '.join(sorted(present))})",
            )
    return {field: column for field, column in found.items() if column in present}


def _aligned(
    methods: Mapping[str, list[tuple[str, str, str]]], texts: Mapping[str, list[str]], *, has_users: bool
) -> tuple[dict[str, list[str]], list[str], list[str] | None]:
    """All methods' texts in the order of the first method's samples."""
    first = next(iter(methods.values()))
    runs: dict[str, list[str]] = {}
    for name, samples in methods.items():
        if samples == first:
            runs[name] = texts[name]
            continue
        places = dict(zip(samples, texts[name], strict=True))
        if len(places) != len(samples) or set(places) != set(first) or len(samples) != len(first):
            raise InputError(
                f"{name} has other samples than {next(iter(methods))}",
                hint="give every method one row per sample, with the same user, id and reference",
            )
        runs[name] = [places[sample] for sample in first]
    return runs, [reference for *_, reference in first], [user for user, *_ in first] if has_users else None


def _name(where: Any) -> str:
    return "the table" if is_table(where) else repr(str(where))


def compare(
    *folders: str | Path,
    baseline: str | None = None,
    pool: bool = False,
    conditions: Sequence[str] = (),
    metrics: Sequence[str] = (),
    resamples: int | None = None,
) -> Compared:
    """Compare evaluations of the same samples, or any two conditions of one, with intervals and tests.

    Args:
        folders: Folders of evaluations, each as ``FOLDER`` or ``LABEL=FOLDER``.
        baseline: A condition (``drp``), as ``LABEL:CONDITION`` if several evaluations have it.
        pool: Take all folders for seeds of one evaluation.
        conditions: Which conditions; all but controls if none is named.
        metrics: Which metrics of texts; the first evaluation's if none is named.
        resamples: How many; None: as many as the first evaluation has.
    """
    from idiolect.evaluation.compare import compare_evaluations

    return compare_evaluations(
        [str(folder) for folder in folders],
        pool=pool,
        baseline=baseline,
        conditions=conditions,
        metrics=metrics,
        resamples=resamples,
    )
