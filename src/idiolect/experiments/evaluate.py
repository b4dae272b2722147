"""From a split and an adapter to a table: every condition's texts and likelihoods, recorded as they are finished."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from idiolect.config import read_json
from idiolect.encoders.digest import folder_digest
from idiolect.errors import ArtifactError, ConfigError
from idiolect.experiments import results
from idiolect.experiments.answers import check_answered, settled, unheard
from idiolect.experiments.conditions import Condition, conditions
from idiolect.experiments.data import Data
from idiolect.experiments.differences import Models
from idiolect.experiments.findings import Evaluation
from idiolect.experiments.roles import DIFFERENCE_METHODS, ROLES
from idiolect.experiments.scoring import Scorer
from idiolect.experiments.variety.found import Found, found_in
from idiolect.experiments.variety.judging import judge_found, write_judged
from idiolect.llm.base import LLM
from idiolect.methods.roles import Role
from idiolect.progress import Progress
from idiolect.prompts.files import digest
from idiolect.types import Sample

_FREE_OF_ENDPOINT = {"backbone": {"endpoint": {"limits": True, "retry": True, "price": True}}}
_FREE = {
    **dict.fromkeys(("metrics", "resamples", "fit", "cache", "methods"), True),
    **_FREE_OF_ENDPOINT,
    "differences": {**dict.fromkeys(ROLES, _FREE_OF_ENDPOINT), "judge": True},
}
"""What may change between the calls of one evaluation: no output depends on it."""


def evaluate(
    data: Data,
    llm: LLM,
    *,
    folder: Path,
    adapter: Path | None = None,
    generate_controls: bool = False,
    cache: Path | None = None,
    provenance: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Evaluation:
    """Run every condition on the test samples, score, test and record.

    A condition whose outputs are already in ``folder`` is not run again, so that an interrupted evaluation goes on.

    Args:
        data: Store, split and settings.
        llm: The backbone. Where it gives no likelihoods, that column and the verdicts are left out.
        folder: Where everything goes.
        adapter: An adapter's folder; None: only methods that need none.
        generate_controls: Also let the controls write texts; their likelihood is always computed.
        cache: File of recorded answers, for the models that play roles; None: none are kept.
        provenance: Recorded with the result (command, corpus).
        progress: Show which condition is being run, of how many.

    Raises:
        ConfigError: ``folder`` holds the outputs of another evaluation.
        ArtifactError: The adapter does not fit encoder, backbone or split.
    """
    samples = data.samples(data.evaluated)
    scorer = Scorer(data, samples)
    started = time.time()
    with Models(llm, data.settings.sampling, cache=cache) as models:
        wanted = conditions(data, models, adapter)
        judge = models.judge(data.settings.differences) if data.settings.methods else None
        record = _record(data, models, adapter, provenance)
        if "likelihood" not in llm.supports and not generate_controls:
            wanted = [condition for condition in wanted if not condition.control]  # they would have nothing to show
        _claim(folder, _depends(data, record, adapter, generate_controls))
        runs: dict[str, list[dict[str, Any]]] = {}
        for one in _shown(wanted, progress):
            runs[one.name] = run_condition(one, llm, samples, folder, texts=generate_controls or not one.control)
        found = _found(data, runs, judge, folder)
    evaluation = scorer.score(runs, folder, _notes(llm, record["roles"], runs), found)
    record |= {"judge": judge and judge.llm.name, "samples": len(samples)}
    evaluation.write({**record, "seconds": round(time.time() - started, 1)})
    return evaluation


def _shown(wanted: Sequence[Condition], progress: bool) -> Iterator[Condition]:
    """The conditions, one after another, each named while it is run."""
    with Progress(len(wanted), "evaluate", "condition", shown=progress, keep=False) as told:
        for one in wanted:
            told.note(one.name)
            yield one
            told.update()


def run_condition(
    condition: Condition, llm: LLM, samples: Sequence[Sample], folder: Path, *, texts: bool
) -> list[dict[str, Any]]:
    """A condition's outputs, sample by sample; read back where asking again would bring nothing new.

    Args:
        condition: What is run.
        llm: Gives the likelihoods, where it can.
        samples: What is written.
        folder: Of the evaluation.
        texts: Whether texts are written too.

    Raises:
        EndpointError: Some model gave no answer at all.
        ArtifactError: What is on record cannot be read, or is of other samples.
    """
    path = results.output_file(folder, "samples", condition.name)
    if path.is_file() and settled(rows := _read_back(path, samples)):
        return rows
    references, nothing = [sample.reference or "" for sample in samples], [None] * len(samples)
    nats = nothing
    if "likelihood" in llm.supports:
        nats = llm.negative_log_likelihood(condition.method.prompts(samples), references).tolist()
    written = condition.method.generate(samples) if texts else nothing
    rows = [
        results.sample_row(
            prediction, loss, user=sample.user, item=sample.item, target=sample.target, reference=reference
        )
        for sample, reference, prediction, loss in zip(samples, references, written, nats, strict=True)
    ]
    check_answered(condition.name, rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    results.write_lines(path, rows)
    return rows


def _read_back(path: Path, samples: Sequence[Sample]) -> list[dict[str, Any]]:
    try:
        rows = results.read_outputs(path)
        wanted = [(sample.user, sample.item, sample.target) for sample in samples]
        if [(row["user"], row["item"], row["target"]) for row in rows] != wanted:
            raise ValueError("it has other samples")
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"the outputs in {str(path)!r} cannot be used: {error}", hint="remove the file, or evaluate to a new folder"
        ) from error
    return rows


def _found(
    data: Data, runs: Mapping[str, Sequence[Mapping[str, Any]]], judge: Role | None, folder: Path
) -> dict[str, Found]:
    """What the methods found to differ; with the judge's word, which goes to a file of its own, where there is one."""
    found = found_in(runs)
    if judge is not None:
        found = judge_found(judge, found, data.snapshot(data.evaluated), templates=data.settings.prompt.templates)
    for name, one in found.items():
        write_judged(one, results.output_file(folder, "judged", name))
    return found


def _notes(llm: LLM, roles: Mapping[str, str], runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    notes: list[str] = []
    if "likelihood" not in llm.supports:
        notes.append(f"{llm.name} gives no likelihoods: no column nll, and no verdict on whether a gain is personal")
    if (writer := roles.get("generator", llm.name)) != llm.name:
        told = ", ".join(name for name in runs if name in DIFFERENCE_METHODS)
        notes.append(f"{told} are written by {writer}, the others by {llm.name}: they differ by the model, too")
    return [*notes, *unheard(runs, extractor="extractor" in roles)]


def _record(data: Data, models: Models, adapter: Path | None, provenance: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "settings": data.settings.model_dump(mode="json"),
        "backbone": models.own.name,
        "roles": models.names(data.settings.differences) if data.settings.methods else {},
        "encoder": data.encoder,
        "store": data.fingerprint,
        "split": data.split.config.model_dump(mode="json"),
        "users": len(data.split.users),
        "adapter": None if adapter is None else str(adapter),
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
        "templates": digest(data.settings.prompt.templates),
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
    known = known if isinstance(known, dict) else {}
    changed = sorted(key for key, value in depends.items() if json.loads(json.dumps(value)) != known.get(key))
    if changed and any((folder / "samples").glob("*.jsonl")):
        raise ConfigError(
            f"{str(folder)!r} holds an evaluation with another {', '.join(changed)}", hint="choose another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    results.write_json(path, depends)
