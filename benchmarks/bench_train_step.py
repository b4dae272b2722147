"""A training step of DEP against one padded to 5121 positions with logits for every position.

    python benchmarks/bench_train_step.py [--size 3m] [--batch 4] [--reviews reviews.jsonl.gz]

The baseline is the DEP authors' step: the same backbone, adapter, prompts and losses, but every row padded on the left
to 3072 + 2048 + 1 positions and logits computed everywhere. Each way runs in a process of its own, so that the memory
it adds (peak minus what was there before the first step) is its own. Prints one JSON object; ``time_ratio`` (target: at
least 3), ``memory_share`` (at most 0.5) and ``loss_difference`` (at most 1e-4) are what counts. ``together_ratio``
compares with all rows of the batch at once, padded to the longest: on a CPU rows are computed one by one. Prompts hold
``k`` reviews of about 200 words, made up, or the last ones of real users with ``--reviews`` (JSON lines with
``user_id``, ``item_id``, ``text``, ``rating``, ``timestamp``).
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
import transformers
from bench_prompts import Words, histories, make_tokenizer
from torch import Tensor
from torch.nn import functional as F

from idiolect.context import Context, Entry
from idiolect.prompts.rendering import PromptConfig, render
from idiolect.prompts.tokenization import PromptTokenizer
from idiolect.softprompt.adapter import Adapter
from idiolect.softprompt.config import AdapterConfig, VectorInputs, stream_ids
from idiolect.softprompt.model import IGNORED, SoftPromptModel, insert_embeddings
from idiolect.softprompt.sae import VirtualTokenBatch
from idiolect.training.config import SHAPES
from idiolect.training.examples import Collator, Example, make_example
from idiolect.training.pretrain import train_tokenizer
from idiolect.types import Item, ItemId, Review, ReviewId, Sample, UserId

WIDTH = 3072 + 2048 + 1
DIM = 384
Batch = dict[str, Tensor]


def real_contexts(path: Path, rng: np.random.Generator, k: int) -> list[Context]:
    """The last review of every user with more than ``k``, and the ``k`` before it; vectors are drawn."""
    by_user: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            by_user[row["user_id"]].append(row)
    made = []
    for user, rows in by_user.items():
        if len(rows) > k:
            rows.sort(key=lambda row: row.get("timestamp") or row.get("order") or 0)
            *past, last = [review_of(row, user, n) for n, row in enumerate(rows[-k - 1 :])]
            entries = tuple(entry_of(review, rng) for review in reversed(past))
            made.append(Context(sample=Sample.of(last), item=Item(id=last.item), entries=entries))
    return made


def review_of(row: dict[str, Any], user: str, n: int) -> Review:
    return Review(
        id=ReviewId(f"{user}-{n}"),
        user=UserId(user),
        item=ItemId(row["item_id"]),
        text=row["text"],
        title=row.get("title") or "",
        rating=row.get("rating"),
        order=n,
    )


def entry_of(review: Review, rng: np.random.Generator) -> Entry:
    e_his, e_diff = rng.standard_normal((2, DIM)).astype(np.float32) / np.float32(DIM**0.5)
    return Entry(review=review, item=Item(id=review.item), e_his=e_his, e_diff=e_diff, n_peers=1)


def material(args: argparse.Namespace) -> tuple[list[Context], PromptTokenizer]:
    """Contexts, and a tokenizer of their text; the same at every call."""
    rng = np.random.default_rng(args.seed)
    if args.reviews:
        contexts = real_contexts(args.reviews, rng, args.k)
        texts = [entry.review.text for context in contexts[:500] for entry in context.entries]
        prompts = [message.text for context in contexts[:50] for message in render("dep", context).messages]
        tokenizer = train_tokenizer([*texts, *prompts], vocab_size=args.vocab)
    else:
        words = Words.make(rng)
        contexts = [user[0] for user in histories(words, rng, users=100, samples=1, k=args.k, dim=DIM)]
        tokenizer = make_tokenizer(words, rng, contexts[:50], vocab_size=args.vocab)
    chosen = rng.permutation(len(contexts))
    return [contexts[i] for i in chosen], PromptTokenizer(tokenizer, max_tokens=args.max_prompt_tokens)


def example_of(context: Context, encoder: PromptTokenizer, config: PromptConfig | None = None) -> Example:
    """The training example of a context."""
    encoded = encoder.encode(render("dep", context, config))
    inputs = VectorInputs(
        stream=stream_ids(encoded.virtual_tokens),
        entry=np.array([token.entry for token in encoded.virtual_tokens]),
        vectors=np.stack([context.vector(token) for token in encoded.virtual_tokens]).astype(np.float32),
    )
    return make_example(encoded, encoder.encode_reference(context.sample.reference or ""), inputs)


def make_models(args: argparse.Namespace, encoder: PromptTokenizer) -> tuple[Any, Adapter]:
    """A backbone and an adapter with random weights, the same at every call."""
    shape = SHAPES[args.size]
    torch.manual_seed(args.seed)
    backbone = transformers.Qwen2ForCausalLM(
        transformers.Qwen2Config(
            vocab_size=len(encoder.tokenizer),
            hidden_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.key_value_heads,
            intermediate_size=shape.intermediate,
            max_position_embeddings=8192,
            bos_token_id=None,
            eos_token_id=encoder.end_id,
        )
    )
    config = AdapterConfig(d_in=DIM, hidden_size=shape.hidden)
    return backbone, Adapter(config, torch.Generator().manual_seed(args.seed))


def setting(args: argparse.Namespace) -> tuple[SoftPromptModel, Batch]:
    """The same model and batch at every call."""
    contexts, encoder = material(args)
    backbone, adapter = make_models(args, encoder)
    collate = Collator(encoder.pad_id, adapter.collate)
    return SoftPromptModel(backbone, adapter), collate([example_of(one, encoder) for one in contexts[: args.batch]])


def ours(model: SoftPromptModel, batch: Batch) -> Tensor:
    return model(**batch)["loss"]


def padded(model: SoftPromptModel, batch: Batch) -> Tensor:
    """The same loss, every row padded to ``WIDTH``."""
    missing = WIDTH - batch["input_ids"].shape[1]
    ids, mask, virtual_tokens = (
        F.pad(batch[name], (missing, 0)) for name in ("input_ids", "attention_mask", "virtual_token_mask")
    )
    labels = F.pad(batch["labels"], (WIDTH - batch["labels"].shape[1], 0), value=IGNORED)
    flat = VirtualTokenBatch(batch["vectors"], batch["stream"], batch["entry"], batch["sample"], n_samples=len(ids))
    rows, terms, _ = model.adapter(flat)
    embeds = insert_embeddings(model.backbone.get_input_embeddings()(ids), virtual_tokens, rows)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    output = model.backbone(inputs_embeds=embeds, attention_mask=mask, position_ids=positions, use_cache=False)
    logits = output.logits[:, :-1].float()
    generation = F.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)
    return generation + sum(terms.values())


def together(model: SoftPromptModel, batch: Batch) -> Tensor:
    """All rows at once, padded to the longest, as on a GPU."""
    model._limit.rows = len(batch["input_ids"])
    return ours(model, batch)


def measure(step: Callable[[SoftPromptModel, Batch], Tensor], args: argparse.Namespace) -> dict[str, float]:
    """Seconds of processor time of the fastest step, megabytes that steps add, and the loss."""
    model, batch = setting(args)
    process = psutil.Process()
    before, seconds = process.memory_info().rss, []
    loss = torch.zeros(())
    for _ in range(args.repeats):
        model.zero_grad()
        start = time.process_time()
        loss = step(model, batch)
        loss.backward()
        seconds.append(time.process_time() - start)
    return {
        "seconds": min(seconds),
        "added_mb": (peak_rss() - before) / 2**20,
        "loss": loss.item(),
        "longest": batch["input_ids"].shape[1],
        "parameters": sum(p.numel() for p in model.backbone.parameters()),
    }


def peak_rss() -> int:
    """Bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


WAYS: dict[str, Callable[[SoftPromptModel, Batch], Tensor]] = {"ours": ours, "together": together, "padded": padded}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=sorted(SHAPES), default="3m")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--k", type=int, default=8)
    parser.add_argument("--vocab", type=int, default=8192)
    parser.add_argument("--max-prompt-tokens", type=int, default=2048)
    parser.add_argument("--reviews", type=Path)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measure", choices=sorted(WAYS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(WAYS[args.measure], args)))
        return
    found = {}
    for way in WAYS:
        command = [sys.executable, *sys.argv, "--measure", way]
        found[way] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    a, b = found["ours"], found["padded"]
    print(
        json.dumps(
            {
                "parameters": int(a["parameters"]),
                "batch": args.batch,
                "positions": int(a["longest"]),
                "padded_positions": WIDTH,
                "seconds": round(a["seconds"], 2),
                "padded_seconds": round(b["seconds"], 2),
                "time_ratio": round(b["seconds"] / a["seconds"], 1),
                "together_ratio": round(found["together"]["seconds"] / a["seconds"], 2),
                "memory_share": round(a["added_mb"] / b["added_mb"], 3),
                "loss_difference": abs(a["loss"] - b["loss"]),
            }
        )
    )


if __name__ == "__main__":
    main()
