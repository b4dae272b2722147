"""An evaluation with the shipped model and adapter against the same evaluation through transformers alone.

    python benchmarks/bench_evaluate.py [--samples 1000] [--turns 1] [--with-text] [--batch-size 32]

Both run every condition (methods and controls: likelihoods of all, texts of the methods) on the same made-up world, in
one process and in turn. Baseline, ``generate``: prompts and likelihoods in left-padded batches, texts by ``generate``
of transformers, nothing kept between calls; so the library worked before. Measured: ``llm.decoding`` and
``llm.prompt_states``. On a GPU only the first of them is used.

Prints one JSON object: the seconds of every turn, the ratios of the medians (processor time: target at most 0.5) and
their range over turns, the share of equal texts, and the largest difference of likelihoods in nats. Run it with
OMP_NUM_THREADS=1 if other work shares the machine.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from idiolect.data.split import make_split
from idiolect.encoders import load_encoder
from idiolect.evaluation.runner import evaluate
from idiolect.experiments.demo import DemoConfig
from idiolect.llm.transformers import TransformersLLM
from idiolect.pipeline.adapters import SANDBOX_ADAPTER
from idiolect.pipeline.data import Data
from idiolect.pipeline.results import read_lines
from idiolect.sandbox.world import World
from idiolect.store.embedding import embed_missing
from idiolect.store.sql import SqlStore


def made(folder: Path, samples: int, changes: dict[str, Any]) -> tuple[Data, SqlStore]:
    """A world with enough users, its vectors and split; the settings are the demo's, with ``changes``."""
    demo = DemoConfig()
    users = max(150, round(1.1 * samples))
    world = World(demo.world.model_copy(update={"n_users": users, "n_items": max(110, users // 2)}))
    store = SqlStore(folder / "reviews.db")
    store.add(world.items(), world.reviews())
    encoder = load_encoder(demo.settings.encoder)
    embed_missing(store, encoder)
    split = make_split(store.review_frame(), store.item_frame(), demo.split)
    split.save(folder / "split", fingerprint=store.fingerprint())
    return Data(store, folder / "split", demo.settings.model_copy(update=changes), encoder=encoder), store


def run(data: Data, llm: TransformersLLM, folder: Path) -> dict[str, float]:
    """Processor and wall seconds of one evaluation."""
    started = time.process_time(), time.perf_counter()
    evaluate(data, llm, folder=folder, adapter=SANDBOX_ADAPTER)
    return {"processor": time.process_time() - started[0], "wall": time.perf_counter() - started[1]}


def through_transformers(llm: TransformersLLM) -> TransformersLLM:
    """The model without our decoding and without kept states: the baseline."""
    llm._decodes, llm._states = False, None
    return llm


def in_turn(data: Data, folder: Path) -> dict[str, dict[str, float]]:
    """Seconds of ours and of the baseline; each begins with a new model, which has kept nothing."""
    ours = run(data, TransformersLLM.load(data.settings.backbone), folder / "ours")
    plain = run(data, through_transformers(TransformersLLM.load(data.settings.backbone)), folder / "plain")
    return {"ours": ours, "plain": plain}


def compared(one: Path, other: Path) -> dict[str, float]:
    """How far the outputs of two evaluations agree."""
    texts, nats = [], []
    for path in sorted((one / "samples").iterdir()):
        for a, b in zip(read_lines(path), read_lines(other / "samples" / path.name), strict=True):
            nats.append(abs(a["nll"] - b["nll"]))
            texts += [a["text"] == b["text"]] if a["text"] is not None else []
    return {"likelihoods": len(nats), "largest_difference_nats": max(nats), "texts": len(texts),
            "equal_texts": sum(texts) / len(texts)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--with-text", action="store_true", help="DEP sees past reviews too")
    args = parser.parse_args()
    settings = DemoConfig().settings
    changes = {
        "targets": settings.targets.model_copy(update={"max_test": args.samples}),
        "backbone": settings.backbone.model_copy(update={"batch_size": args.batch_size}),
        "prompt": settings.prompt.model_copy(update={"with_text": args.with_text}),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, store = made(folder, args.samples, changes)
        with store:
            turns = [in_turn(data, folder / str(turn)) for turn in range(args.turns)]
        agreement = compared(folder / "0/ours", folder / "0/plain")
    ratios = {}
    for kind in ("processor", "wall"):
        ours, plain = ([turn[which][kind] for turn in turns] for which in ("ours", "plain"))
        each = [round(a / b, 3) for a, b in zip(ours, plain, strict=True)]
        ratios[f"{kind}_ratio"] = {"ratio": round(median(ours) / median(plain), 3), "spread": [min(each), max(each)]}
    print(json.dumps({"samples": args.samples, "turns": turns, **ratios, **agreement}, indent=2))


if __name__ == "__main__":
    main()
