"""What caps and Gaussian noise on peers' sums (docs/server.md) leave of a difference, by the number of peers.

    python benchmarks/bench_peer_noise.py [--epsilon 1 4 16] [--delta 1e-6] [--peers 10 30 100 300]

Reviews of the sandbox, encoded by style. Of each item with enough reviewers, users' differences to so many peers (DEP,
Eq. 4) are computed with and without noise. Prints a Markdown table of the mean cosine of the two.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import numpy as np

from idiolect.difference.latent import peer_mean_difference
from idiolect.difference.stylometry.encoder import StyleEncoder
from idiolect.sandbox.domain import WorldConfig
from idiolect.sandbox.world import World
from idiolect.server.peer_privacy import Noise, PeerLimits, private_sum
from idiolect.types import Review, ReviewId


def by_item(n_users: int, n_items: int) -> list[list[Review]]:
    """The reviews of every item."""
    found: dict[str, list[Review]] = defaultdict(list)
    for review in World(WorldConfig(n_users=n_users, n_items=n_items)).reviews():
        found[review.item].append(review)
    return list(found.values())


def cosine(items: list[list[Review]], peers: int, noise: Noise) -> float:
    """Mean cosine of differences with and without noise; NaN if no item has so many peers."""
    encoder, found = StyleEncoder(), []
    for reviews in [one[: peers + 1] for one in items if len({review.user for review in one}) > peers][:20]:
        rows = encoder.encode([review.text for review in reviews])
        place = {review.id: row for row, review in enumerate(reviews)}
        read = partial(_rows, rows, place)
        for row, review in list(enumerate(reviews))[:20]:
            both = [
                peer_mean_difference(
                    rows[row : row + 1],
                    *private_sum(
                        reviews,
                        read,
                        exclude=review.user,
                        encoder=encoder.name,
                        limits=PeerLimits(cap=1, noise=used),
                    ),
                ).diff[0]
                for used in (None, noise)
            ]
            sizes = np.linalg.norm(both[0]) * np.linalg.norm(both[1])
            found.append(float(both[0] @ both[1] / sizes) if sizes else 0.0)
    return float(np.mean(found)) if found else float("nan")


def _rows(rows: np.ndarray, place: dict[ReviewId, int], ids: Sequence[ReviewId]) -> np.ndarray:
    return rows[[place[id] for id in ids]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epsilon", type=float, nargs="+", default=[1, 4, 16])
    parser.add_argument("--delta", type=float, default=1e-6)
    parser.add_argument("--peers", type=int, nargs="+", default=[10, 30, 100, 300])
    asked = parser.parse_args()
    items = by_item(2000, 60)
    print(f"| epsilon | noise (sd) |{''.join(f' {n} peers |' for n in asked.peers)}")
    print(f"|---|---|{'---|' * len(asked.peers)}")
    for epsilon in asked.epsilon:
        noise = Noise(epsilon=epsilon, delta=asked.delta, cap=1, secret=b"benchmark" * 4)
        found = [cosine(items, n, noise) for n in asked.peers]
        print(f"| {epsilon:g} | {noise.sd:.2f} |{''.join(f' {one:.2f} |' for one in found)}")


if __name__ == "__main__":
    main()
