"""From reviews to a text in the user's voice, on a small made-up world: the same calls serve your own reviews.

Run: python examples/fit_and_write.py [FOLDER]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import idiolect as idl
from idiolect.sandbox.domain import WorldConfig
from idiolect.sandbox.world import World

SETTINGS = {
    "backbone": {"max_prompt_tokens": 512},
    "context": {"k": 2},
    "fit": {"max_steps": 3, "batch_size": 2, "metric": "nll"},
    "targets": {"max_validation": 4, "max_test": 6},
    "sampling": {"max_new_tokens": 32},
}


def main(folder: Path) -> None:
    """Add, split, fit, evaluate, write."""
    folder.mkdir(parents=True, exist_ok=True)
    world = World(WorldConfig(seed=5, n_users=24, n_items=30, reviews_per_user=(8, 10), words=25))
    store = idl.Store(folder / "reviews.db")
    store.add(world.reviews(), items=world.items())
    split = store.split(folder / "split", min_item_users=2, min_peers=2, min_profile=3)

    dep = idl.DEP(encoder="style", settings=SETTINGS).fit(split, folder / "adapter")
    print(idl.evaluate([idl.RAG(settings=SETTINGS), dep], split, folder / "results").report.read_text())

    user, item = split.users[0], next(world.items())
    print(f"{user} on {item.title}: {dep.write(store, user=user, item=item.id, rating=4).text}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made_folder:
            main(Path(made_folder))
