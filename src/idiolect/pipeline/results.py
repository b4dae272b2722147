"""What a run leaves behind: per-sample outputs as JSONL and one result file with everything its numbers depend on."""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeInt, TypeAdapter, ValidationError

from idiolect.config import Config, parse_json, upgraded
from idiolect.data.output_files import atomic_write
from idiolect.difference.claims.feature import Feature
from idiolect.errors import ArtifactError, ConfigError, without_passwords
from idiolect.types import ComparedReview, Curve, Failure, Prediction, StageResult, Stream
from idiolect.version import __version__

_PACKAGES = (
    "torch", "transformers", "tokenizers", "sentence-transformers", "numpy", "polars", "sqlalchemy",
    "sacrebleu", "rouge-score", "nltk", "bert-score", "rank-bm25",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Python, the library and every package that a number may depend on, where installed."""
    found = {"python": platform.python_version(), "idiolect": __version__}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def device() -> str:
    """What computed: the GPU's name, or the processor's; without torch it was the processor."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return f"cpu ({platform.machine()})"
    return torch.cuda.get_device_name()


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write one JSON file, whole or not at all."""
    text = _json(record, indent=1) + "\n"
    atomic_write(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines, whole or not at all."""
    text = "".join(_json(row) + "\n" for row in rows)
    atomic_write(path, lambda part: part.write_text(text, encoding="utf-8"))


def _json(value: Any, *, indent: int | None = None) -> str:
    """JSON, in which a number that is not finite is null: the format has no word for it."""
    try:
        return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    except ValueError:
        plain = json.loads(json.dumps(value), parse_constant=lambda _: None)
        return json.dumps(plain, indent=indent, ensure_ascii=False)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a run.

    Raises:
        ArtifactError: The file is damaged.
    """
    return _object(path.read_bytes(), str(path))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON lines file; only a line feed ends a line, because texts may hold other separators.

    Raises:
        ArtifactError: A line is damaged.
    """
    lines = enumerate(path.read_bytes().split(b"\n"), start=1)
    return [_object(line, f"{path}, line {number}") for number, line in lines if line]


def _object(text: bytes, place: str) -> dict[str, Any]:
    try:
        value = parse_json(text)
    except ValueError as error:
        raise ArtifactError(f"{place} is damaged: {error}", hint=_REMEDY) from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{place} holds no JSON object", hint=_REMEDY)
    return value


_REMEDY = "delete the file, and run the same command again"


def claim(path: Path, record: Mapping[str, Any], what: str, config: type[Config]) -> None:
    """Mark a folder as this run's by the file ``path`` in it; the same run continues there.

    Args:
        path: The file that marks it.
        record: Everything the run depends on.
        what: Kind of run, for the message.
        config: Class of the record's ``config``: an earlier version may have recorded fewer settings, or more.

    Raises:
        ConfigError: Another run has marked it.
        ArtifactError: The file is damaged.
    """
    known = read_json(path) if path.is_file() else None
    if known is not None:
        known, wanted = {**known, "config": upgraded(config, known.get("config"))}, plain(record)
        if known != wanted:
            raise ConfigError(
                f"{str(path.parent)!r} holds another {what}: {', '.join(_changed(known, wanted))} changed",
                hint="choose another folder, or remove that one",
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, plain(record))


def _changed(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The names under which two records differ, those of their ``config`` included."""
    one, other = (
        {**record, **(record["config"] if isinstance(record.get("config"), dict) else {})} for record in (known, wanted)
    )
    return sorted(name for name in one.keys() | other.keys() if name != "config" and one.get(name) != other.get(name))


def plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """As it is read back from JSON, without passwords in addresses."""
    return json.loads(without_passwords(json.dumps(record)))


class _Outputs(BaseModel):
    """What is read of a line of outputs; it may have further fields."""

    model_config = ConfigDict(extra="allow", strict=True)

    user: str
    item: str
    target: str | None
    reference: str
    method: str | None = None
    control: str | None = None
    text: str | None
    nll: float | None
    nats_by_class: dict[str, tuple[float, int]] | None = None
    failure: Failure | None = None
    prompt: str = ""
    virtual_tokens: list[tuple[NonNegativeInt, Stream]] | None = None
    """None: an earlier version wrote it, which did not record them."""
    profile: str | None = None
    stages: list[StageResult] = []
    compared: list[ComparedReview] = []
    not_measured: int = 0
    curve: Curve | None = None
    anchors: list[str] = []
    peer_scopes: dict[str, int] = {}
    usage: dict[str, dict[str, float | None]] = {}


def read_outputs(path: Path) -> list[dict[str, Any]]:
    """A condition's outputs from a folder that is not trusted.

    Raises:
        OSError: The file cannot be read.
        ValueError: A line is not JSON, nested too deeply, or not what this version writes.
    """
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line:
            continue
        try:
            row = parse_json(line)
            if isinstance(row, dict) and "rungs" in row:
                raise ValueError("an older version wrote it ('rungs' is called 'peer_scopes' now)")
            _Outputs.model_validate_json(line)  # in JSON, a list may be a tuple's value
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"]))[:80]
            what = place or "a row"
            raise ValueError(f"{path.name}, line {number}: {what!r} is not what an evaluation writes") from error
        except ValueError as error:
            raise ValueError(f"{path.name}, line {number}: {error}") from error
        rows.append(row)
    return rows


def output_file(folder: Path, kind: str, condition: str) -> Path:
    """Where an evaluation keeps what it has of a condition (``samples``: its outputs)."""
    return folder / kind / f"{file_name(condition)}.jsonl"


def file_name(condition: str) -> str:
    """A condition's name as a file may bear it."""
    return re.sub("[^A-Za-z0-9_]+", "-", condition)


def sample_row(prediction: Prediction | None, nats: float | None, **given: Any) -> dict[str, Any]:
    """One line of a condition's outputs; ``text`` or ``nll`` is None where only the other was asked for."""
    shown = {} if prediction is None else asdict(prediction)
    shown.pop("sample", None)
    return {**given, "text": None, **shown, "nll": nats}


def texts(rows: Sequence[Mapping[str, Any]]) -> list[str] | None:
    """The generated texts of a condition; None where it has none."""
    values = [row["text"] for row in rows]
    return None if any(value is None for value in values) else values


def features(row: Mapping[str, Any]) -> tuple[Feature, ...]:
    """The differences in a line of outputs, as it was made or as it was read back.

    Raises:
        ArtifactError: They are not what this version writes.
    """
    try:
        return _features().validate_python(row.get("features") or ())
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise ArtifactError(f"differences on record cannot be read: {place}", hint="evaluate again") from error


@cache
def _features() -> TypeAdapter[tuple[Feature, ...]]:
    return TypeAdapter(tuple[Feature, ...])


def lacks_text(row: Mapping[str, Any]) -> bool:
    """Whether a text was asked for and not given: it is empty."""
    return row.get("usage", {}).get("write", {}).get("failed", 0) > 0 and not row.get("text")
