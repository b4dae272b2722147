"""What was planted: the answer sheet of a world."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from idiolect.errors import ArtifactError


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Truth:
    """The effects of a world, in logits of trait strength."""

    traits: tuple[str, ...]
    """Name of each trait; the columns of every array."""
    categories: tuple[str, ...]
    """Category of each trait."""
    users: tuple[str, ...]
    user_effects: np.ndarray
    """float32 (n_users, n_traits), in the order of ``users``."""
    items: tuple[str, ...]
    item_effects: np.ndarray
    """float32 (n_items, n_traits): the item's own effect and its genre's, in the order of ``items``."""

    def save(self, path: Path) -> None:
        """Write everything to an ``.npz`` without pickled objects."""
        with path.open("wb") as file:
            np.savez_compressed(file, **{f.name: np.asarray(getattr(self, f.name)) for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Truth:
        """Read what ``save`` wrote.

        Raises:
            ArtifactError: Not such a file.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                arrays = {f.name: data[f.name] for f in fields(cls)}
        except (OSError, ValueError, KeyError) as error:
            raise ArtifactError(f"{str(path)!r} holds no planted truth: {error}", hint="save it again") from error
        return cls(**{name: a if a.ndim == 2 else tuple(a.tolist()) for name, a in arrays.items()})
