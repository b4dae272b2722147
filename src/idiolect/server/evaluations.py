"""REST routes to look at finished evaluations: tables, controls, samples with their prompts, two runs compared.

They hold texts of many users, so they are shown to keys of the tenant ``default`` with the scope ``admin`` alone, and
only folders that the operator named are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from idiolect.config import read_json
from idiolect.errors import ArtifactError, InputError, NotFoundError
from idiolect.evaluation.columns import NLL, columns
from idiolect.evaluation.compare import MAX_BYTES, Recorded, compare_evaluations, read_evaluation, recorded_metrics
from idiolect.methods.base import METHODS, requirements
from idiolect.metrics.base import score_each
from idiolect.metrics.registry import load_metrics
from idiolect.server.http import ERRORS, ApiError, Caller, MayAdmin, Services
from idiolect.server.parts import part_of
from idiolect.server.settings import DEFAULT_TENANT
from idiolect.types import ConditionId

router = APIRouter(prefix="/v1/evaluations", responses=ERRORS)
RunQuery = Annotated[str, Query(max_length=300, description="Name of an evaluation, as listed.")]
_RECORD = "results.json"
_DAMAGED = (InputError, ArtifactError)
_SHOWN = ("backbone", "encoder", "roles", "users", "samples", "seconds", "device", "versions", "settings", "split",
          "provenance", "conditions", "tables", "verdicts", "notes", "usage", "uvq", "users_own_fidelity")  # fmt: skip
_OF_SAMPLE = ("text", "nll", "failure", "prompt", "virtual_tokens", "profile", "anchors", "peer_scopes",
              "prompt_tokens", "completion_tokens", "seconds", "notes")  # fmt: skip


def find_evaluations(folders: Sequence[Path]) -> dict[str, Path]:
    """The finished evaluations in folders, by a name that is unique: the folder's, and its parent's where needed."""
    found = [
        one.parent
        for folder in folders
        for one in [folder / _RECORD, *sorted(folder.glob(f"*/{_RECORD}"))]
        if one.is_file()
    ]
    found = list(dict.fromkeys(path.resolve() for path in found))
    short = [path.name for path in found]
    return {
        path.name if short.count(path.name) == 1 else f"{path.parent.name}/{path.name}": path
        for path in found
    }  # fmt: skip


class Evaluations:
    """Finished evaluations by name.

    Args:
        folders: Where they are.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders, self._read = folders, dict[str, Recorded]()

    def list(self) -> list[dict[str, Any]]:
        """Each with what it is of; one that cannot be read says why."""
        return [{"name": name, **self._summary(path)} for name, path in find_evaluations(self._folders).items()]

    def path(self, name: str) -> Path:
        """Of the evaluation.

        Raises:
            NotFoundError: There is none.
        """
        found = find_evaluations(self._folders).get(name)
        if found is None:
            raise NotFoundError("there is no such evaluation", hint="list them")
        return found

    def report(self, name: str) -> dict[str, Any]:
        """Settings, tables, verdicts and notes."""
        path = self.path(name)
        with part_of("evaluation", _DAMAGED):
            record = _record(path)
        return {"name": name, **{key: record[key] for key in _SHOWN if key in record}}

    def samples(self, name: str, condition: str, offset: int = 0, limit: int = 100) -> dict[str, Any]:
        """What one condition wrote, in short."""
        recorded = self._recorded(name)
        of = _condition(recorded, condition)
        names = ("user", "item", "target", "reference", "text", "nll", "failure")
        rows = [{key: row.get(key) for key in names} for row in recorded.runs[of][offset : offset + limit]]
        return {"total": len(recorded.runs[of]), "condition": str(of), "samples": rows}

    def sample(self, name: str, target: str) -> dict[str, Any]:
        """One sample under every condition: texts, prompts, scores."""
        recorded = self._recorded(name)
        place = next((k for k, sample in enumerate(recorded.samples) if sample[2] == target), None)
        if place is None:
            raise NotFoundError("there is no such sample", hint="list the samples of a condition")
        user, item, _, reference = recorded.samples[place]
        metrics = load_metrics(recorded_metrics(recorded))
        return {
            "user": user,
            "item": item,
            "target": target,
            "reference": reference,
            "conditions": [_shown(of, rows[place], reference, metrics) for of, rows in recorded.runs.items()],
        }

    def compare(self, name: str, other: str) -> dict[str, Any]:
        """Two evaluations of the same samples, with intervals and tests."""
        return compare_evaluations([f"{one}={self.path(one)}" for one in (name, other)]).record()

    def _recorded(self, name: str) -> Recorded:
        if name not in self._read:
            path = self.path(name)
            with part_of("evaluation", _DAMAGED):
                self._read[name] = read_evaluation(path)
        return self._read[name]

    @staticmethod
    def _summary(path: Path) -> dict[str, Any]:
        try:
            record = _record(path)
            methods = list(dict.fromkeys(str(one["method"]) for one in record["conditions"]))
            return {
                **{key: record.get(key) for key in ("backbone", "encoder", "users", "samples", "seconds")},
                "methods": methods,
            }
        except (InputError, KeyError, TypeError) as error:
            return {"unreadable": str(error)[:300]}


def _record(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path / _RECORD, max_bytes=MAX_BYTES)
    except (OSError, ValueError) as error:
        raise InputError(f"the evaluation {path.name!r} cannot be read", hint="evaluate again") from error
    if not isinstance(found, dict):
        raise InputError(f"the evaluation {path.name!r} is no record", hint="evaluate again")
    return found


def _condition(recorded: Recorded, name: str) -> ConditionId:
    found = next((one for one in recorded.runs if name in (str(one), one.plain_name)), None)
    if found is None:
        raise NotFoundError("the evaluation has no such condition", hint="its report names them")
    return found


def _shown(of: ConditionId, row: Mapping[str, Any], reference: str, metrics: Sequence[Any]) -> dict[str, Any]:
    scores = {}
    if row.get("text"):
        stats = columns(str(of), [row], metrics, [reference]).stats
        known = [metric for metric in metrics if metric.name in stats]
        scores = {one.name: float(score_each(one, stats[one.name].reshape(1, -1))[0]) for one in known}
    claims = [one for one in row.get("features") or [] if isinstance(one, dict) and one.get("status") == "kept"]
    names = ("description", "category", "support")
    return {
        "name": str(of),
        "method": of.method,
        "control": of.control,
        "measured": of.measured,
        "soft": of.method in METHODS and bool(requirements(of.method).adapter),
        **{key: row.get(key) for key in _OF_SAMPLE},
        "scores": {NLL.name: row.get("nll"), **scores},
        "claims": [{key: one.get(key) for key in names} for one in claims],
    }


# --- the routes -----------------------------------------------------------------------------------------------------


def _evaluations(request: Request, caller: Caller) -> Evaluations:
    services: Services = request.app.state.services
    if caller.tenant.name != DEFAULT_TENANT:
        raise ApiError(404, "there is no such evaluation", code="not_found")
    return Evaluations(services.config.results)


@router.get("", tags=["evaluations"], summary="Finished evaluations")
def list_evaluations(request: Request, caller: MayAdmin) -> dict[str, Any]:
    """Those in the folders that the setting `results` names."""
    return {"evaluations": _evaluations(request, caller).list()}


@router.get("/report", tags=["evaluations"], summary="An evaluation's tables, controls and notes")
def get_report(run: RunQuery, request: Request, caller: MayAdmin) -> dict[str, Any]:
    """As `idiolect evaluate` recorded it."""
    return _evaluations(request, caller).report(run)


@router.get("/samples", tags=["evaluations"], summary="What a condition wrote")
def list_samples(
    run: RunQuery,
    condition: Annotated[str, Query(max_length=300)],
    request: Request,
    caller: MayAdmin,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> dict[str, Any]:
    """Without prompts."""
    return _evaluations(request, caller).samples(run, condition, offset, limit)


@router.get("/sample", tags=["evaluations"], summary="A sample under every condition")
def get_sample(
    run: RunQuery, target: Annotated[str, Query(max_length=512)], request: Request, caller: MayAdmin
) -> dict[str, Any]:
    """Texts, prompts as the models got them, and scores."""
    found = _evaluations(request, caller).sample(run, target)
    item = caller.tenant.store.items([found["item"]]).get(found["item"])
    return {**found, "item_title": item.title if item else ""}


@router.get("/compare", tags=["evaluations"], summary="Two evaluations of the same samples")
def get_comparison(
    run: RunQuery,
    other: Annotated[str, Query(alias="with", max_length=300)],
    request: Request,
    caller: MayAdmin,
) -> dict[str, Any]:
    """With intervals over users and paired tests, computed anew."""
    return _evaluations(request, caller).compare(run, other)
