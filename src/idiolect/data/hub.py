"""Data sets of the Hugging Face hub, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from idiolect.data.containers import Container
from idiolect.data.records import Row
from idiolect.errors import IdiolectError, InputError, require

SCHEME = "hf://"


@dataclass(frozen=True, slots=True)
class HubPart:
    """One split of one configuration of a data set."""

    dataset: str
    config: str
    split: str
    path: Path | None = None

    @property
    def name(self) -> str:
        """See ``Part``."""
        return SCHEME + "/".join(self.path_parts)

    @property
    def path_parts(self) -> tuple[str, ...]:
        """See ``Part``."""
        return (self.dataset, self.config, self.split)

    def container(self) -> Container | None:
        """See ``Part``."""
        return None

    def rows(self, container: Container | None) -> Iterator[Row]:
        """See ``Part``; the line is the row, from 1."""
        with _reachable(self.name):
            found = _datasets().load_dataset(self.dataset, self.config, split=self.split, streaming=True)
            for number, cells in enumerate(found, start=1):
                yield Row(number, dict(cells), cells)


def is_hub(where: str) -> bool:
    """Whether ``where`` names a data set of the hub (``Path`` takes one of the slashes away)."""
    return where.startswith((SCHEME, "hf:/"))


def find_parts(where: str) -> Iterator[HubPart]:
    """Every configuration and split of ``hf://owner/name[/config[/split]]`` that ``where`` does not narrow down.

    Raises:
        InputError: The name is incomplete, or the hub does not give it.
        MissingDependencyError: ``datasets`` is not installed.
    """
    owner, _, rest = where.removeprefix("hf:").strip("/").partition("/")
    name, *narrowed = rest.split("/")
    if not name or len(narrowed) > 2:
        raise InputError(f"{where!r} is no data set", hint="write hf://owner/name, /config and /split where you want")
    dataset, datasets = f"{owner}/{name}", _datasets()
    with _reachable(where):
        configs = narrowed[:1] or datasets.get_dataset_config_names(dataset)
        for config in configs:
            for split in narrowed[1:] or datasets.get_dataset_split_names(dataset, config):
                yield HubPart(dataset, config, split)


def _datasets() -> Any:
    return require("datasets", extra="hub")


@contextmanager
def _reachable(where: str) -> Iterator[None]:
    try:
        yield
    except IdiolectError:
        raise
    except Exception as error:  # datasets raises a dozen kinds, of its own and of the libraries below it
        said = " ".join(str(error).split())[:200]
        raise InputError(
            f"cannot read {where!r}: {type(error).__name__}: {said}",
            hint="check name, configuration and network, or name a local folder of its files",
        ) from error
