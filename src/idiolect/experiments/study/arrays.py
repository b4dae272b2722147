"""A world as arrays: every review's vector, its user, its item, and the ground truth.

The codes that a fitted adapter's autoencoder gives vectors: ``z_his`` and ``z_diff``.

Which reviews of a user are averaged, and which peers they are compared with, if not all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np

from idiolect.data.output_files import atomic_write
from idiolect.difference.latent import Differences, all_differences, peer_mean_difference
from idiolect.encoders import Encoder
from idiolect.errors import ArtifactError, ConfigError, InputError, require
from idiolect.sandbox.world import World
from idiolect.types import Review, Stream


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class WorldArrays:
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
    """float32 (n_users, n_traits): the ground truth of each user."""
    traits: tuple[str, ...]
    """Names of the columns of ``effects``."""
    differences: Differences
    """To all peers: ``e_diff``."""
    fingerprint: str
    """Of the encoder, all texts, their users and items, and the ground truth."""


def load_world_arrays(world: World, encoder: Encoder, cache: Path) -> WorldArrays:
    """The arrays of a world; its texts are embedded once and kept in ``cache``.

    Args:
        world: Its reviews are all read.
        encoder: Of the texts.
        cache: A folder. Vectors are found again by encoder and texts, so a changed generator does not find old ones.

    Raises:
        ArtifactError: A cached file is damaged.
    """

    def embed(reviews: list[Review], key: str) -> np.ndarray:
        return _vectors([review.text for review in reviews], encoder, cache / f"vectors-{key}.npy")

    return world_arrays(world, embed, encoder.name)


def world_arrays(world: World, embed: Callable[[list[Review], str], np.ndarray], encoder: str) -> WorldArrays:
    """The arrays of a world.

    Args:
        world: Its reviews are all read.
        embed: Gives float16 (n, dim) for all reviews, in order, and a name for exactly this encoder and these texts.
        encoder: Name of the encoder.
    """
    rows = [(user, review) for user in range(world.config.n_users) for review in world.reviews_of(user)]
    items = list(world.items())
    numbers = {item.id: number for number, item in enumerate(items)}
    users = np.array([user for user, _ in rows], dtype=np.int64)
    about = np.array([numbers[review.item] for _, review in rows], dtype=np.int64)
    key = _digest(encoder.encode(), *(review.text.encode() for _, review in rows))
    vectors = embed([review for _, review in rows], key)
    truth = world.truth
    categories = np.unique([item.category for item in items], return_inverse=True)[1]
    content = (users.tobytes(), about.tobytes(), categories.tobytes(), truth.user_effects.tobytes())
    return WorldArrays(
        vectors=vectors,
        users=users,
        items=about,
        categories=categories,
        effects=truth.user_effects,
        traits=truth.traits,
        differences=all_differences(vectors, users, about),
        fingerprint=_digest(key.encode(), *content),
    )


def _vectors(texts: list[str], encoder: Encoder, path: Path) -> np.ndarray:
    """float16 (n, dim), from the file or made and kept there."""
    if not path.is_file():
        made = encoder.encode(texts).astype(np.float16)
        path.parent.mkdir(parents=True, exist_ok=True)

        def save(partial: Path) -> None:
            with partial.open("wb") as file:  # np.save gives a path of another ending its own
                np.save(file, made)

        atomic_write(path, save)
    try:
        vectors = np.load(path, allow_pickle=False)
        if vectors.shape == (len(texts), encoder.dim) and vectors.dtype == np.float16:
            return vectors
    except (OSError, ValueError, EOFError) as error:
        raise ArtifactError(f"{str(path)!r} is damaged: {error}", hint="delete it") from error
    raise ArtifactError(f"{str(path)!r} holds {vectors.dtype} {vectors.shape}", hint="delete it")


def _digest(*parts: bytes) -> str:
    """24 hex digits; the lengths of the parts are included."""
    digest = blake2b(digest_size=12)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class SAECodes:
    """Vectors to codes."""

    name: str
    """Kind and digest of the weights."""
    streams: tuple[Stream, ...]
    """Those it has codes for."""
    encode: Callable[[np.ndarray, Stream], np.ndarray]
    """float32 (n, dim) of a stream to float32 (n, d_sae)."""


def adapter_codes(folder: Path) -> SAECodes:
    """The codes (DEP, Eq. 5) of the adapter in ``folder``.

    Raises:
        NotFoundError: There is no adapter.
        ArtifactError: It is damaged.
        ConfigError: It has no autoencoder.
        MissingDependencyError: torch is not installed.
    """
    torch = require("torch", extra="train")
    from idiolect.encoders import folder_digest
    from idiolect.softprompt.adapter import Adapter, SoftPromptEncoder
    from idiolect.softprompt.config import STREAMS

    source = Adapter.from_pretrained(folder).source
    if not isinstance(source, SoftPromptEncoder) or source.sae is None:
        raise ConfigError(f"the adapter in {str(folder)!r} has no autoencoder", hint="fit one with refine: sae")
    sae, standardiser = source.sae, source.standardiser

    @torch.no_grad()
    def encode(vectors: np.ndarray, stream: Stream) -> np.ndarray:
        x = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32))
        if standardiser is not None:
            x = standardiser(x, torch.full((len(x),), STREAMS.index(stream)))
        return sae.feature_acts(x).numpy()

    return SAECodes(name=f"sae@{folder_digest(folder)}", streams=source.config.kept_streams, encode=encode)


class Anchors(NamedTuple):
    """The averaged reviews of users."""

    users: np.ndarray
    """int64 (n_users,): who has enough of them, ascending."""
    rows: np.ndarray
    """int64 (n_draws, n_users, n): different reviews of each user in random order, so fewer are a prefix."""


def draw_anchors(users: np.ndarray, eligible: np.ndarray, n: int, *, n_draws: int, rng: np.random.Generator) -> Anchors:
    """``n`` random reviews of every user who has as many, several times over.

    Args:
        users: int (n_reviews,): authors.
        eligible: bool (n_reviews,): which reviews may be drawn.
        n: Reviews a user.
        n_draws: Independent draws.
        rng: Where they come from.
    """
    candidates = np.flatnonzero(eligible)
    counts = np.bincount(users[candidates], minlength=1)
    starts = np.cumsum(counts) - counts
    kept = np.flatnonzero(counts >= n)
    places = starts[kept][:, None] + np.arange(n)
    # Sorted by user, randomly within: a user's reviews lie together and their first n are a random choice.
    orders = (np.lexsort((rng.random(len(candidates)), users[candidates])) for _ in range(n_draws))
    return Anchors(kept, np.stack([candidates[order][places] for order in orders]))


def sampled_differences(
    vectors: np.ndarray,
    users: np.ndarray,
    items: np.ndarray,
    *,
    pools: np.ndarray | None = None,
    k: int | None = None,
    rng: np.random.Generator,
) -> Differences:
    """Every review against at most ``k`` random others of an item (DEP, Eq. 4, over a sample of peers).

    Items' reviews are put in random order; a review's peers are the ``k`` that follow a random place, its author's own
    left out. One pass over the reviews a peer, so this is for small ``k`` and items of moderate size;
    ``difference.bulk.all_differences`` is the way to compare with everybody.

    Args:
        vectors: float (n, dim).
        users: int (n,): authors.
        items: int (n,): what each review is about.
        pools: int (n,): the item whose reviews each review is compared with; None: its own.
        k: Most peers; None: all.
        rng: Chooses peers.
    """
    pools = items if pools is None else pools
    order = np.lexsort((rng.random(len(items)), items))
    ranked = items[order]
    first = np.searchsorted(ranked, pools)
    sizes = np.searchsorted(ranked, pools, side="right") - first
    start = (rng.random(len(pools)) * sizes).astype(np.int64)
    wide = vectors.astype(np.float32)
    sums, counts = np.zeros(wide.shape), np.zeros(len(wide), dtype=np.int64)
    for step in range(int(sizes.max(initial=0))):
        open_ = np.flatnonzero((step < sizes) & (counts < (len(wide) if k is None else k)))
        if not len(open_):
            break
        peers = order[first[open_] + (start[open_] + step) % sizes[open_]]
        others = users[peers] != users[open_]
        sums[open_[others]] += wide[peers[others]]
        counts[open_[others]] += 1
    return peer_mean_difference(wide, sums, counts)


def shuffled_pools(items: np.ndarray, categories: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """For every review a random other item of its item's category: a control whose peers share nothing but that.

    Args:
        items: int (n,): what each review is about.
        categories: int (n_items,): code of each item's category.
        rng: Chooses.

    Returns:
        int64 (n,): items that have reviews.

    Raises:
        InputError: A category has a single reviewed item.
    """
    reviewed = np.unique(items)
    ordered = reviewed[np.argsort(categories[reviewed], kind="stable")]
    place = np.empty(len(categories), dtype=np.int64)
    place[ordered] = np.arange(len(ordered))
    sorted_categories, own = categories[ordered], categories[items]
    first = np.searchsorted(sorted_categories, own)
    sizes = np.searchsorted(sorted_categories, own, side="right") - first
    if (sizes < 2).any():
        raise InputError("a category has one reviewed item, so its peers cannot be shuffled", hint="more items")
    further = 1 + (rng.random(len(items)) * (sizes - 1)).astype(np.int64)
    return ordered[first + (place[items] - first + further) % sizes]
