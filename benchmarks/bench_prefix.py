"""Epochs of fitting DEP: the whole prompt at every step against prefixes that are computed once.

    python benchmarks/bench_prefix.py [--epochs 5] [--examples 64] [--reviews reviews.jsonl.gz]

Four ways, each in a process of its own, on the same reviews, backbone and initial adapter:

- ``padded``: the paper's layout, the whole prompt at every step, all rows of a batch at once and padded to the longest
  (the baseline).
- ``interleaved``: the same row by row, as rows are computed on a CPU.
- ``grouped``: the soft prompts after the past reviews, the whole prompt at every step.
- ``cached``: the grouped layout, keys and values of the text before the first soft prompt computed once.

Prints one JSON object: processor seconds of every epoch, the memory that training adds, the mean loss of every epoch,
and ratios to the baseline. ``--repeats`` runs everything so many times and gives the spread of the ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from bench_train_step import example_of, make_models, material, peak_rss

from idiolect.prompts.rendering import Layout, PromptConfig
from idiolect.softprompt.model import SoftPromptModel
from idiolect.softprompt.prefix import PrefixCache
from idiolect.training.config import SHAPES
from idiolect.training.examples import Collator

WAYS: dict[str, tuple[Layout, bool]] = {
    "padded": ("interleaved", False),
    "interleaved": ("interleaved", False),
    "grouped": ("grouped", False),
    "cached": ("grouped", True),
}


def measure(way: str, args: argparse.Namespace) -> dict[str, Any]:
    layout, cached = WAYS[way]
    contexts, encoder = material(args)
    examples = [example_of(one, encoder, PromptConfig(layout=layout)) for one in contexts[: args.examples]]
    backbone, adapter = make_models(args, encoder)
    model = SoftPromptModel(backbone, adapter, prefixes=PrefixCache(backbone, 8 * 2**30) if cached else None)
    if way == "padded":
        model._limit.rows = args.batch
    collate = Collator(encoder.pad_id, adapter.collate, split_prefix=cached)
    optimizer = torch.optim.AdamW(adapter.parameters(), lr=1e-3)
    before = psutil.Process().memory_info().rss
    seconds, losses = [], []
    for epoch in range(args.epochs):
        order = np.random.default_rng([args.seed, epoch]).permutation(len(examples))
        start, total = time.process_time(), []
        for first in range(0, len(order), args.batch):
            optimizer.zero_grad()
            loss = model(**collate([examples[i] for i in order[first : first + args.batch]]))["loss"]
            loss.backward()
            optimizer.step()
            total.append(loss.item())
        seconds.append(time.process_time() - start)
        losses.append(statistics.fmean(total))
    prefix = [one.virtual_token_positions[0] / (len(one.prompt) + len(one.target)) for one in examples]
    return {
        "seconds": seconds,
        "losses": losses,
        "added_mb": (peak_rss() - before) / 2**20,
        "tokens": float(np.mean([len(one.prompt) + len(one.target) for one in examples])),
        "prefix_share": float(np.mean(prefix)),
    }


def compare(args: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for way in WAYS:
        command = [sys.executable, *sys.argv, "--measure", way]
        found[way] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    base = found["padded"]
    for one in found.values():
        one["time_ratio"] = sum(base["seconds"]) / sum(one["seconds"])
        one["last_epoch_ratio"] = base["seconds"][-1] / one["seconds"][-1]
        one["memory_share"] = one["added_mb"] / base["added_mb"]
    return found


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=sorted(SHAPES), default="3m")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--examples", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--k", type=int, default=4)
    parser.add_argument("--vocab", type=int, default=4096)
    parser.add_argument("--max-prompt-tokens", type=int, default=2048)
    parser.add_argument("--reviews", type=Path)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measure", choices=sorted(WAYS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure, args)))
        return
    runs = [compare(args) for _ in range(args.repeats)]
    spread = {way: [run[way]["time_ratio"] for run in runs] for way in WAYS}
    print(json.dumps({**rounded(runs[-1]), "time_ratios": rounded(spread)}, indent=1))


if __name__ == "__main__":
    main()
