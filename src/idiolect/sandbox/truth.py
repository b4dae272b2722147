"""What was planted: the answer sheet of a world."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np

from idiolect.errors import ArtifactError


def is_truth(path: Path) -> bool:
    """Whether a file looks like one that ``Truth.save`` wrote: an archive with an array of user effects."""
    if not is_zipfile(path):
        return False
    with ZipFile(path) as archive:
        return "user_effects.npy" in archive.namelist()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Truth:
    """The effects of a world, in logits of trait strength, and what came of them in each review."""

    traits: tuple[str, ...]
    """Name of each trait; the columns of both arrays."""
    categories: tuple[str, ...]
    """Category of each trait."""
    users: tuple[str, ...]
    """User ids; the rows of ``user_effects``."""
    user_effects: np.ndarray
    """float32 (n_users, n_traits)."""
    items: tuple[str, ...]
    """Item ids; the rows of ``item_effects``."""
    item_effects: np.ndarray
    """float32 (n_items, n_traits): the item's own effect and its genre's."""
    reviews: tuple[str, ...] = ()
    """Review ids; the rows of ``realised``."""
    realised: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float16))
    """float16 (n_reviews, n_traits): how strongly each trait shows in each review, in (0, 1)."""

    def save(self, path: Path) -> None:
        """Write everything to an ``.npz`` without pickled objects."""
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                traits=np.array(self.traits),
                categories=np.array(self.categories),
                users=np.array(self.users),
                user_effects=self.user_effects,
                items=np.array(self.items),
                item_effects=self.item_effects,
                reviews=np.array(self.reviews, dtype=np.str_),
                realised=self.realised,
            )

    @classmethod
    def load(cls, path: Path) -> Truth:
        """Read what ``save`` wrote.

        Raises:
            ArtifactError: Not such a file.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                return cls(
                    traits=tuple(data["traits"].tolist()),
                    categories=tuple(data["categories"].tolist()),
                    users=tuple(data["users"].tolist()),
                    user_effects=data["user_effects"],
                    items=tuple(data["items"].tolist()),
                    item_effects=data["item_effects"],
                    reviews=tuple(data["reviews"].tolist()),
                    realised=data["realised"],
                )
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise ArtifactError(f"{str(path)!r} holds no planted truth: {error}", hint="save it again") from error
