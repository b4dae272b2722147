"""Evaluations read back: what each condition wrote and how likely it found the references, sample by sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from idiolect.config import read_json
from idiolect.errors import ConfigError, InputError
from idiolect.experiments import results
from idiolect.experiments.columns import Rows

_MAX_BYTES = 2**28
_MOST_RESAMPLES = 1_000_000
_KEY = ("user", "item", "target", "reference")


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """A finished evaluation."""

    folder: Path
    settings: Mapping[str, Any]
    """As they were recorded."""
    runs: Mapping[str, Rows]
    """By condition, in the order of its tables."""

    @property
    def samples(self) -> list[tuple[str, ...]]:
        """User, item, target and reference of each sample."""
        return [tuple(row[key] for key in _KEY) for row in next(iter(self.runs.values()))]


class Group(NamedTuple):
    """Evaluations that are taken for one: the same but for the seed."""

    label: str
    members: tuple[Recorded, ...]


def read_evaluation(folder: Path) -> Recorded:
    """A finished evaluation's outputs.

    Raises:
        InputError: The folder holds none, or one of its files is not whole.
    """
    path = folder / "results.json"
    if not path.is_file():
        raise InputError(f"{str(folder)!r} holds no finished evaluation", hint="name a folder of idiolect evaluate")
    try:
        record = read_json(path, max_bytes=_MAX_BYTES)
        names = dict.fromkeys(row["name"] for table in record["tables"].values() for row in table["methods"])
        _check_record(record["settings"], list(names))
        files = {name: results.output_file(folder, "samples", name) for name in names}
        found = Recorded(folder, record["settings"], {name: results.read_outputs(path) for name, path in files.items()})
        if any([row["target"] for row in rows] != [s[2] for s in found.samples] for rows in found.runs.values()):
            raise ValueError("its conditions have different samples")
    except (KeyError, TypeError, AttributeError, StopIteration, ValueError, OSError) as error:
        raise InputError(f"the evaluation in {str(folder)!r} cannot be read: {error}", hint="evaluate again") from error
    return found


def _check_record(settings: Any, names: Sequence[Any]) -> None:
    """Refuse what is not a record of an evaluation; the folder may be somebody else's."""
    if not all(isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable() for name in names):
        raise ValueError("a condition has no plain name")
    metrics = settings.get("metrics", [])
    if not isinstance(metrics, list) or not all(isinstance(name, str) for name in metrics):
        raise ValueError("its metrics are no names")
    for name, most in (("resamples", _MOST_RESAMPLES), ("seed", 2**63 - 1)):
        value = settings.get(name, 1)
        if not isinstance(value, int) or not 0 <= value <= most:
            raise ValueError(f"its {name} is no number from 0 to {most}")


def read_groups(given: Sequence[str], *, pool: bool = False) -> list[Group]:
    """The evaluations that were named, as groups of the same samples.

    Args:
        given: Folders, ``LABEL=FOLDER``, or several with commas between them, which are pooled.
        pool: Take all that is named for one group.

    Raises:
        ConfigError: Two groups have one label.
        InputError: A folder holds no evaluation, or one of other samples than the first.
    """
    groups = [_group(text) for text in ([",".join(given)] if pool else given)]
    labels = [group.label for group in groups]
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigError(f"two evaluations are called {label!r}", hint="name them: one=FOLDER other=FOLDER")
    first, *others = (member for group in groups for member in group.members)
    for other in others:
        _check_same(first, other)
    return groups


def _group(text: str) -> Group:
    label, _, folders = ("", "", text) if Path(text).is_dir() else text.rpartition("=")
    paths = [Path(text)] if Path(text).is_dir() else [Path(part) for part in folders.split(",")]
    return Group(label or ",".join(path.resolve().name for path in paths), tuple(map(read_evaluation, paths)))


def _check_same(first: Recorded, other: Recorded) -> None:
    ours, theirs = first.samples, other.samples
    if ours != theirs:
        same = len(set(ours) & set(theirs))
        raise InputError(
            f"{str(other.folder)!r} has other samples than {str(first.folder)!r}: {same} of {len(theirs)} and "
            f"{len(ours)} are shared",
            hint="evaluate both on one split, with the same targets.max_test and targets.seed",
        )
