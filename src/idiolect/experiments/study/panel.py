"""A world as arrays: every review's vector, who wrote it, about what, and what was planted."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from idiolect.corpus.atomic import write_whole
from idiolect.difference.bulk import all_differences
from idiolect.difference.latent import Differences
from idiolect.encoders.base import Encoder
from idiolect.errors import ArtifactError
from idiolect.sandbox.world import World


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Panel:
    """The reviews of a world, one row each, in the order of ``World.reviews``."""

    vectors: np.ndarray
    """float16 (n_reviews, dim), as a store keeps them: ``e_his``."""
    users: np.ndarray
    """int64 (n_reviews,): number of the author."""
    items: np.ndarray
    """int64 (n_reviews,): number of the item."""
    categories: np.ndarray
    """int64 (n_items,): each item's category as a code."""
    effects: np.ndarray
    """float32 (n_users, n_traits): what was planted in each user."""
    traits: tuple[str, ...]
    """Names of the columns of ``effects``."""
    differences: Differences
    """To all peers: ``e_diff``."""
    fingerprint: str
    """Of the encoder, all texts, who wrote them about what, and what was planted."""


def load_panel(world: World, encoder: Encoder, cache: Path) -> Panel:
    """The arrays of a world; its texts are embedded once and kept in ``cache``.

    Args:
        world: Its reviews are all read.
        encoder: Of the texts.
        cache: A folder. Vectors are found again by encoder and texts, so a changed generator does not find old ones.

    Raises:
        ArtifactError: A cached file is damaged.
    """
    rows = [(user, review) for user in range(world.config.n_users) for review in world.reviews_of(user)]
    items = list(world.items())
    numbers = {item.id: number for number, item in enumerate(items)}
    users = np.array([user for user, _ in rows], dtype=np.int64)
    about = np.array([numbers[review.item] for _, review in rows], dtype=np.int64)
    texts = [review.text for _, review in rows]
    key = _digest(encoder.name.encode(), *(text.encode() for text in texts))
    vectors = _vectors(texts, encoder, cache / f"vectors-{key}.npy")
    truth = world.truth
    categories = np.unique([item.category for item in items], return_inverse=True)[1]
    planted = (users.tobytes(), about.tobytes(), categories.tobytes(), truth.user_effects.tobytes())
    return Panel(
        vectors=vectors,
        users=users,
        items=about,
        categories=categories,
        effects=truth.user_effects,
        traits=truth.traits,
        differences=all_differences(vectors, users, about),
        fingerprint=_digest(key.encode(), *planted),
    )


def _vectors(texts: list[str], encoder: Encoder, path: Path) -> np.ndarray:
    """float16 (n, dim), from the file or made and kept there."""
    if not path.is_file():
        made = encoder.encode(texts).astype(np.float16)
        path.parent.mkdir(parents=True, exist_ok=True)

        def save(partial: Path) -> None:
            with partial.open("wb") as file:  # np.save gives a path of another ending its own
                np.save(file, made)

        write_whole(path, save)
    try:
        vectors = np.load(path, allow_pickle=False)
        if vectors.shape == (len(texts), encoder.dim) and vectors.dtype == np.float16:
            return vectors
    except (OSError, ValueError, EOFError) as error:
        raise ArtifactError(f"{str(path)!r} is damaged: {error}", hint="delete it") from error
    raise ArtifactError(f"{str(path)!r} holds {vectors.dtype} {vectors.shape}", hint="delete it")


def _digest(*parts: bytes) -> str:
    """24 hex digits; parts are told apart by their lengths."""
    digest = blake2b(digest_size=12)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
