"""Evaluation runner: from a split and an adapter to texts and likelihoods of every method and control, and a table.

A condition's outputs are recorded when it is finished.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from idiolect.config import read_json, upgraded
from idiolect.data.split_config import SplitConfig
from idiolect.encoders import folder_digest, load_encoder
from idiolect.engine import LOCAL, Engine, EngineName, open_engine
from idiolect.errors import ArtifactError, ConfigError, without_passwords
from idiolect.evaluation.conditions import Condition, conditions, evaluated_methods
from idiolect.evaluation.judge import Found, found_in, judge_found, write_judged
from idiolect.evaluation.result import Evaluation
from idiolect.evaluation.scoring import Scorer
from idiolect.evaluation.text_judge import TextJudge
from idiolect.evaluation.token_classes import KEY, TokenClasses, token_model
from idiolect.evaluation.usage import check_answered, failure_notes, settled
from idiolect.llm.base import LLM
from idiolect.llm.shared import share_work
from idiolect.methods.roles import Role
from idiolect.pipeline import results
from idiolect.pipeline.adapters import other_corpus, read_record
from idiolect.pipeline.commands import cache_path, check_shareable, load_settings, models_here, open_model
from idiolect.pipeline.data import Data, unranked_notes
from idiolect.pipeline.models import Models, task_notes
from idiolect.pipeline.settings import ROLES, Settings
from idiolect.processes import on_main, process_group
from idiolect.progress import Progress
from idiolect.prompts.rendering import digest
from idiolect.store.outputs import check_folder, claim_folder
from idiolect.store.sql import SqlStore
from idiolect.types import ConditionId, Sample

_FREE_OF_MODEL = {"backbone": {"model": True, "endpoint": {"limits": True, "retry": True, "price": True}}}
_FREE = {
    **dict.fromkeys(("metrics", "authorship", "text_judge", "resamples", "fit", "cache", "methods", "baseline"), True),
    **dict.fromkeys(("negative_controls", "extra_controls", "uniqueness_groups", "encoder"), True),
    **_FREE_OF_MODEL,
    "differences": {**dict.fromkeys(ROLES, _FREE_OF_MODEL), "judge": True},
}
"""Settings that may change between calls for one evaluation, because no output depends on them; models and encoder may
lie in another folder, because the claim names them with the digest of their weights."""


def evaluate(
    data: Data,
    llm: LLM,
    *,
    folder: Path,
    adapter: Path | None = None,
    generate_controls: bool = False,
    texts: bool = True,
    beyond: int = 0,
    cache: Path | None = None,
    engine: Engine = LOCAL,
    provenance: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Evaluation:
    """Run every condition on the test samples, score, test and record.

    A condition whose outputs are already in ``folder`` is not run again, so that an interrupted evaluation can be
    resumed. Of several processes all call it with a model that shares its calls (``llm.shared``); the first one alone
    writes, and all of them return the result.

    Args:
        data: Store, split and settings.
        llm: The backbone. Where it gives no likelihoods, that column and the verdicts are left out.
        folder: Where everything goes.
        adapter: An adapter's folder; None: only methods that need none.
        generate_controls: Also let the controls write texts; their likelihood is always computed.
        texts: Let the methods write; if not, there are likelihoods only.
        beyond: Leave out the first so many targets of the draw: those of an evaluation of so many.
        cache: File of recorded answers, for the models that play roles; None: none are kept.
        engine: Where the models that play roles run.
        provenance: Recorded with the result (command, corpus).
        progress: Show which condition is being run, of how many.

    Raises:
        ConfigError: ``folder`` holds the outputs of another evaluation; without texts, the model gives no likelihoods.
        ArtifactError: The adapter does not fit encoder, backbone or split.
    """
    if not texts and "likelihood" not in llm.supports:
        raise ConfigError(f"{llm.name} gives no likelihoods", hint="evaluate texts, or choose another model")
    samples = data.samples(data.evaluated, beyond=beyond)
    scorer = Scorer(data, samples)
    classes = _token_classes(data, llm, samples)
    started, of_task = time.time(), task_notes(data.settings)
    with Models(llm, data.settings.sampling, cache=cache, engine=engine) as models:
        wanted = conditions(data, models, adapter)
        if "likelihood" not in llm.supports and not generate_controls:
            wanted = [condition for condition in wanted if condition.control is None]  # they would have nothing to show
        judge = models.judge(data.settings.differences) if data.settings.methods else None
        record = _record(data, models, adapter, provenance)
        depends = _depends(data, record, adapter, generate_controls) | {"texts": texts, "beyond": beyond}
        on_main(lambda: _claim(folder, depends))
        writing = {one.id: texts and (generate_controls or one.control is None) for one in wanted}
        runs = {
            one.id: run_condition(one, llm, samples, folder, texts=writing[one.id], classes=classes)
            for one in _with_progress(wanted, progress)
        }
        found = _found(data, runs, judge, folder)
        baseline = next(one.id for one in wanted if one.control is None and one.registered == data.settings.baseline)
        notes = [*of_task, *_carried(record["corpora"]), *_notes(llm, record["roles"], runs, wanted)]
        notes += _unranked(data, samples, wanted)
        rater = _text_judge(data, models, samples)
        # Every process scores, because a judge of texts in the processes shares its calls.
        evaluation = scorer.score(runs, folder, notes, found, baseline=baseline, rater=rater)
    if rater is not None:
        record |= {"text_judge": {"model": rater.model, "calls": rater.usage.calls, "unknown": rater.unknown}}
    record |= {"judge": judge and judge.llm.name, "samples": len(samples), "beyond": beyond}
    record["conditions"] = [{"name": str(one), **asdict(one)} for one in runs]
    on_main(lambda: evaluation.write({**record, "seconds": round(time.time() - started, 1)}))
    return evaluation


def _token_classes(data: Data, llm: LLM, samples: Sequence[Sample]) -> TokenClasses | None:
    """The classes of the references' tokens, if the settings ask for them.

    Raises:
        ConfigError: The model does not give the likelihood of every token.
    """
    if not data.settings.token_classes:
        return None
    token_model(llm)  # an error before anything is generated
    return TokenClasses(samples, data.store.items(sorted({sample.item for sample in samples})))


def _unranked(data: Data, samples: Sequence[Sample], ran: Sequence[Condition]) -> Iterator[str]:
    """Notes on samples whose past reviews could not be ranked."""
    needs = [one.method.requires for one in ran if one.control is None]
    return unranked_notes(data.settings, samples, data.snapshot(data.evaluated), needs)


def _text_judge(data: Data, models: Models, samples: Sequence[Sample]) -> TextJudge | None:
    """The judge of texts, if the settings name one."""
    role, prompt = models.text_judge(data.settings.text_judge), data.settings.prompt
    if role is None:
        return None
    items = data.store.items(sorted({sample.item for sample in samples}))
    return TextJudge(role, items, model=role.llm.name, task=prompt.task, templates=prompt.templates)


def _with_progress(wanted: Sequence[Condition], shown: bool) -> Iterator[Condition]:
    """The conditions in order, each named in the progress bar while it runs."""
    with Progress(len(wanted), "evaluate", "condition", shown=shown, keep=False) as bar:
        for one in wanted:
            bar.note(str(one.id))
            yield one
            bar.update()


def run_condition(
    condition: Condition,
    llm: LLM,
    samples: Sequence[Sample],
    folder: Path,
    *,
    texts: bool,
    classes: TokenClasses | None = None,
) -> list[dict[str, Any]]:
    """A condition's outputs, one row per sample; read back if repeating the calls would change nothing.

    Args:
        condition: What is run.
        llm: Gives the likelihoods, if it can.
        samples: What is written.
        folder: Of the evaluation.
        texts: Whether texts are written too.
        classes: Also sums the likelihoods by class of token; None: they are not.

    Raises:
        EndpointError: Some model gave no answer at all.
        ArtifactError: The recorded outputs cannot be read, or are of another condition or other samples.
    """
    path = results.output_file(folder, "samples", condition.id.plain_name)
    known = on_main(lambda: _read_back(path, samples, condition.id) if path.is_file() else None)
    if known is not None and settled(known):
        return known
    references, nothing = [sample.reference or "" for sample in samples], [None] * len(samples)
    nats, by_class = nothing, None
    if classes is not None:
        found = token_model(llm).token_nats(condition.method.prompts(samples), references)
        nats, by_class = [float(one.nats.sum()) for one in found], classes.sums(found)
    elif "likelihood" in llm.supports:
        nats = llm.negative_log_likelihood(condition.method.prompts(samples), references).tolist()
    written = condition.generate(samples) if texts else nothing
    rows = [
        results.sample_row(
            prediction, loss, user=sample.user, item=sample.item, target=sample.target, reference=reference,
            method=condition.id.method, control=condition.control,
        )
        for sample, reference, prediction, loss in zip(samples, references, written, nats, strict=True)
    ]  # fmt: skip
    if by_class is not None:
        rows = [{**row, KEY: own} for row, own in zip(rows, by_class, strict=True)]
    check_answered(condition.id, rows)

    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        results.write_lines(path, rows)

    on_main(write)
    return rows


def _read_back(path: Path, samples: Sequence[Sample], condition: ConditionId) -> list[dict[str, Any]]:
    try:
        rows = results.read_outputs(path)
        if any((row.get("method"), row.get("control")) != (condition.method, condition.control) for row in rows):
            raise ValueError("it is of another condition, or of an earlier version")
        wanted = [(sample.user, sample.item, sample.target) for sample in samples]
        if [(row["user"], row["item"], row["target"]) for row in rows] != wanted:
            raise ValueError("it has other samples")
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"the outputs in {str(path)!r} cannot be used: {error}", hint="remove the file, or evaluate to a new folder"
        ) from error
    return rows


def _found(
    data: Data, runs: Mapping[ConditionId, Sequence[Mapping[str, Any]]], judge: Role | None, folder: Path
) -> dict[ConditionId, Found]:
    """Differences that the methods found; judgements, if there is a judge, go to files of their own."""
    found = found_in(runs)
    if judge is not None:
        found = judge_found(judge, found, data.snapshot(data.evaluated), templates=data.settings.prompt.templates)
    for condition, one in found.items():
        path = results.output_file(folder, "judged", condition.plain_name)
        on_main(lambda one=one, path=path: write_judged(one, path))
    return found


def _carried(corpora: Mapping[str, str] | None) -> Iterator[str]:
    """A note if the adapter was fitted on another corpus."""
    if corpora is not None:
        yield (
            f"the adapter was fitted on {corpora['fitted']} and is evaluated on {corpora['used']}: what it gains over "
            "its controls carries over. Whether the two share texts was not checked"
        )


def _notes(
    llm: LLM,
    roles: Mapping[str, str],
    runs: Mapping[ConditionId, Sequence[Mapping[str, Any]]],
    ran: Sequence[Condition],
) -> list[str]:
    notes: list[str] = []
    if "likelihood" not in llm.supports:
        notes.append(f"{llm.name} gives no likelihoods: no column nll, and no verdict on whether a gain is personal")
    if (writer := roles.get("generator", llm.name)) != llm.name:
        methods = [one for one in ran if one.control is None and "generator" in one.method.requires.roles]
        names = ", ".join(str(one.id) for one in methods)
        notes.append(f"{names} are written by {writer}, the others by {llm.name}: they differ by the model, too")
    extractors = [one for one in ran if "extractor" in roles and "extractor" in one.method.requires.roles]
    failures = failure_notes(runs, extracting={one.id.method for one in extractors})
    return [*notes, *failures, *(note for one in ran if one.control is None for note in _modelless(one, roles))]


_WITHOUT_MODEL = {
    "extractor": "differences are measured (stylometry)",
    "validator": "rules alone check them",
    "summarizer": "a template writes the profile",
}


def _modelless(condition: Condition, roles: Mapping[str, str]) -> Iterator[str]:
    """A note on the roles of a method that no model plays."""
    needs = condition.method.requires
    missing = [role for role in _WITHOUT_MODEL if role in needs.roles and role not in roles] if needs.measures else []
    if missing:
        yield f"{condition.id}: no model is {' or '.join(missing)}: {'; '.join(_WITHOUT_MODEL[one] for one in missing)}"


def _record(data: Data, models: Models, adapter: Path | None, provenance: Mapping[str, Any] | None) -> dict[str, Any]:
    fitted = {"store": data.fingerprint, "label": data.store.label}
    corpora = None if adapter is None else other_corpus(adapter, **fitted)
    return {
        "settings": data.settings.model_dump(mode="json"),
        "backbone": models.own.name,
        "roles": models.names(data.settings.differences) if data.settings.methods else {},
        "encoder": data.encoder,
        "store": data.fingerprint,
        "split": data.split.config.model_dump(mode="json"),
        "users": data.split.counts.users,
        "adapter": None if adapter is None else str(adapter),
        "corpora": corpora and corpora._asdict(),
        "provenance": dict(provenance or {}),
        "device": results.device(),
        "versions": results.versions(),
    }


def _depends(data: Data, record: Mapping[str, Any], adapter: Path | None, generate_controls: bool) -> dict[str, Any]:
    """Everything that a condition's outputs depend on; metrics and resamples are computed anew each time."""
    pool = data.snapshot(data.evaluated).meta
    return {
        **{key: record[key] for key in ("backbone", "roles", "encoder", "store", "split")},
        "settings": data.settings.model_dump(mode="json", exclude=_FREE),
        "adapter": None if adapter is None else folder_digest(adapter),
        "templates": digest(data.settings.prompt),
        "peers": [pool.pool, pool.pool_without_vector],
        "generate_controls": generate_controls,
    }


def _claim(folder: Path, depends: Mapping[str, Any]) -> None:
    """Make the folder this evaluation's own, or refuse another's outputs."""
    path = folder / "claim.json"
    try:
        known: Any = read_json(path) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{str(path)!r} is damaged: {error}", hint="choose another folder") from error
    known = {"texts": True, "beyond": 0} | known if isinstance(known, dict) else {}
    for key, cls, exclude in (("settings", Settings, _FREE), ("split", SplitConfig, None)):
        known |= {key: upgraded(cls, known.get(key), exclude=exclude)}
    changed = sorted(key for key, value in depends.items() if json.loads(json.dumps(value)) != known.get(key))
    if changed and any((folder / "samples").glob("*.jsonl")):
        raise ConfigError(
            f"{str(folder)!r} holds an evaluation with another {', '.join(changed)}", hint="choose another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    results.write_json(path, depends)


def run_evaluate(
    store: str,
    split: Path,
    folder: Path,
    *,
    adapter: Path | None = None,
    config: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    backbone: str | None = None,
    encoder: str | None = None,
    generate_controls: bool = False,
    texts: bool = True,
    beyond: int = 0,
    engine: EngineName = "local",
    workers: int | None = None,
    progress: bool = False,
    before: Callable[[Data], None] | None = None,
) -> Evaluation:
    """Evaluate methods and, with an adapter, its method and the controls.

    Under ``torchrun`` every process computes its share of likelihoods and texts, and the first one alone writes. With
    the engine ``ray``, workers do, each with a copy of the model; this process prepares prompts, scores and writes.
    ``before`` is called before the model is loaded. ``texts`` and ``beyond`` are those of
    ``evaluate``.

    Raises:
        ConfigError: A setting is wrong, or several processes would ask an endpoint.
        IdiolectError: Any other of its kinds; conditions that were finished are kept.
    """
    if adapter is not None:
        read_record(adapter)
    named = {"config": config, "changes": changes, "backbone": backbone, "encoder": encoder}
    if adapter is None:
        load_settings(**named)  # a wrong setting is an error before anything is opened
    with SqlStore(store, create=False) as database:
        check_folder(database, store, folder, "evaluation", apart=(split, adapter))
        settings = load_settings(adapter, **named, store=database)
        evaluated_methods(settings, adapter)
        answers = cache_path(settings, store)
        check_shareable(settings, engine)
        where = open_engine(engine, workers=workers, share=1 / max(1, len(models_here(settings))))
        with process_group(on_cpu=settings.backbone.device == "cpu"):
            data = Data(database, split, settings, encoder=load_encoder(settings.encoder), once=on_main)
            on_main(lambda: claim_folder(database, store, folder, "evaluation"))
            if answers is not None:
                on_main(lambda: database.record_output(answers, "cache"))
            if before is not None:
                before(data)
            with open_model(settings, store, engine=where, progress=progress) as llm:
                return evaluate(
                    data,
                    share_work(llm),
                    folder=folder,
                    adapter=adapter,
                    generate_controls=generate_controls,
                    texts=texts,
                    beyond=beyond,
                    cache=answers,
                    engine=where,
                    provenance={"command": without_passwords(" ".join(sys.argv))},
                    progress=progress,
                )
