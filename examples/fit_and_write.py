"""From reviews to a text in the user's voice, on a small made-up world: the same calls serve your own reviews.

Run: python examples/fit_and_write.py [FOLDER]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from idiolect.experiments.commands import run_evaluate, run_fit
from idiolect.experiments.embed import embed_store
from idiolect.experiments.split import split_store
from idiolect.experiments.write import write_review
from idiolect.sandbox.config import WorldConfig
from idiolect.sandbox.world import World
from idiolect.store.sql import SqlStore

SETTINGS = {
    "backbone": {"max_prompt_tokens": 768},
    "context": {"k": 2},
    "fit": {"max_steps": 6, "batch_size": 4, "metric": "nll"},
    "targets": {"max_validation": 8, "max_test": 8},
    "sampling": {"max_new_tokens": 32},
}


def main(folder: Path) -> None:
    """Ingest, split, embed, fit, evaluate, write."""
    folder.mkdir(parents=True, exist_ok=True)
    store, split, adapter = str(folder / "reviews.db"), folder / "split", folder / "adapter"
    world = World(WorldConfig(seed=5, n_users=24, n_items=30, reviews_per_user=(8, 10), words=25))
    with SqlStore(store) as database:
        database.add(world.items(), world.reviews())

    made = split_store(store, split, preset="small", changes={"min_item_users": 2, "min_peers": 2, "min_profile": 3})
    embed_store(store, "minilm")
    run_fit(store, split, adapter, changes=SETTINGS)
    found = run_evaluate(store, split, folder / "results", adapter=adapter)
    print((found.folder / "report.md").read_text())

    item = next(world.items())
    prediction = write_review(store, user=made.users[0], item=item.id, adapter=adapter, rating=4.0)
    print(f"{made.users[0]} on {item.title}: {prediction.text}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made_folder:
            main(Path(made_folder))
