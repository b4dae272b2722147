"""Building DEP prompts against re-tokenizing the whole history for every length tried.

    python benchmarks/bench_prompts.py [--users 40] [--samples 8] [--k 8] [--tokenizer FOLDER]

Every user has several samples, one after another, each with the ``k`` reviews before it as history: what a split, an
evaluation under several conditions, or a live user asks for. The baseline drops the oldest review until the whole
prompt, tokenized anew each time, fits. Prints one JSON object; ``ratio`` (first pass, nothing tokenized before; target:
at least 10) is what counts, for all times are taken on the same machine. ``ratio_unseen`` is of samples none of whose
history was met before, ``ratio_again`` of a second pass.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from idiolect.context import Context, Entry
from idiolect.prompts.rendering import render
from idiolect.prompts.tokenization import PromptTokenizer
from idiolect.training.pretrain import train_tokenizer
from idiolect.types import Item, ItemId, Prompt, Review, ReviewId, Sample, UserId, VirtualToken

PLACEHOLDER = "<|virtual token|>"


@dataclass(frozen=True)
class Words:
    """Made-up words with Zipf's frequencies."""

    known: np.ndarray
    weights: np.ndarray

    @classmethod
    def make(cls, rng: np.random.Generator, n: int = 6000) -> Words:
        """``n`` words of one to three syllables."""
        syllables = ["".join(parts) for parts in itertools.product("bdfgklmnprstvw", "aeiou", ["", "n", "r", "st"])]
        known = np.array(["".join(rng.choice(syllables, rng.integers(1, 4))) for _ in range(n)])
        weights = 1 / (np.arange(n) + 2.7)
        return cls(known, weights / weights.sum())

    def text(self, rng: np.random.Generator, mean: int) -> str:
        """About ``mean`` words; lengths are long-tailed, as reviews' are."""
        n = int(np.clip(rng.lognormal(np.log(mean) - 0.32, 0.8), 20, 6 * mean))
        return " ".join(rng.choice(self.known, n, p=self.weights)) + "."


def histories(
    words: Words, rng: np.random.Generator, *, users: int, samples: int, k: int, dim: int = 1
) -> list[list[Context]]:
    """For each user the contexts of ``samples`` samples in time order, most recent review first."""

    def vector() -> np.ndarray:
        return rng.standard_normal(dim).astype(np.float32) / np.float32(dim**0.5)

    def entry(user: int, n: int) -> Entry:
        item = Item(id=ItemId(f"i{user}-{n}"), title=words.text(rng, 6), description=words.text(rng, 40))
        review = Review(
            id=ReviewId(f"r{user}-{n}"),
            user=UserId(str(user)),
            item=item.id,
            text=words.text(rng, 200),
            rating=4.0,
            title=words.text(rng, 5),
        )
        return Entry(review=review, item=item, e_his=vector(), e_diff=vector(), n_peers=1)

    made = []
    for user in range(users):
        entries = [entry(user, n) for n in range(k + samples)]
        made.append(
            [
                Context(
                    sample=Sample.of(entries[n].review), item=entries[n].item, entries=tuple(entries[n - k : n][::-1])
                )
                for n in range(k, k + samples)
            ]
        )
    return made


def make_tokenizer(words: Words, rng: np.random.Generator, contexts: Sequence[Context], *, vocab_size: int) -> Any:
    """A tokenizer that knows the words and what the prompts say around them."""
    prompts = [message.text for context in contexts[:50] for message in render("dep", context).messages]
    return train_tokenizer([*prompts, *(words.text(rng, 200) for _ in range(3000))], vocab_size=vocab_size)


def retokenizing(tokenizer: Any, max_tokens: int) -> Callable[[Context], Sequence[int]]:
    """The plain way: write the prompt out, tokenize it, drop the oldest review, and again until it fits."""

    def text(prompt: Prompt, entries: int) -> list[dict[str, str]]:
        return [
            {
                "role": message.role,
                "content": "".join(
                    PLACEHOLDER if isinstance(segment, VirtualToken) else segment
                    for block in message.blocks
                    if block.entry is None or block.entry < entries
                    for segment in block.segments
                ),
            }
            for message in prompt.messages
        ]

    def encode(context: Context) -> Sequence[int]:
        prompt = render("dep", context)
        for entries in range(len(context.entries), -1, -1):
            chat = tokenizer.apply_chat_template(text(prompt, entries), tokenize=False, add_generation_prompt=True)
            ids = tokenizer(chat, add_special_tokens=False)["input_ids"]
            if len(ids) <= max_tokens:
                return ids
        raise ValueError("a prompt does not fit even without history")

    return encode


def per_sample(encode: Callable[[Context], Any], contexts: Sequence[Context]) -> float:
    """Milliseconds of processor time a sample: what a busy machine does meanwhile does not count."""
    start = time.process_time()
    for context in contexts:
        encode(context)
    return 1000 * (time.process_time() - start) / len(contexts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--k", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=2048, help="budget of a prompt (the DEP paper's)")
    parser.add_argument("--tokenizer", type=Path, help="a Hugging Face folder; default: trained here")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    words = Words.make(rng)
    users = histories(words, rng, users=args.users, samples=args.samples, k=args.k)
    contexts = [context for user in users for context in user]
    if args.tokenizer:
        from transformers import AutoTokenizer

        tokenizer: Any = AutoTokenizer.from_pretrained(args.tokenizer)
    else:
        tokenizer = make_tokenizer(words, rng, contexts, vocab_size=8192)
    tokenizer.add_special_tokens({"additional_special_tokens": [PLACEHOLDER]}, replace_extra_special_tokens=False)

    def ours() -> Callable[[Context], Any]:
        encoder = PromptTokenizer(tokenizer, max_tokens=args.max_tokens)
        return lambda context: encoder.encode(render("dep", context))

    plain = retokenizing(tokenizer, args.max_tokens)
    ours()(contexts[0])  # templates are read and compiled once a process
    rounds = []
    for _ in range(args.repeats):
        encode = ours()
        rounds.append(
            [
                per_sample(plain, contexts),
                per_sample(encode, contexts),
                per_sample(encode, contexts),
                per_sample(ours(), [user[0] for user in users]),
            ]
        )
    baseline, first, again, unseen = np.min(rounds, axis=0)
    kept = [
        len(PromptTokenizer(tokenizer, max_tokens=args.max_tokens).encode(render("dep", c)).kept_entries)
        for c in contexts
    ]
    print(
        json.dumps(
            {
                "samples": len(contexts),
                "k": args.k,
                "words_per_review": round(np.mean([len(e.review.text.split()) for c in contexts for e in c.entries])),
                "entries_kept": round(float(np.mean(kept)), 2),
                "baseline_ms": round(baseline, 2),
                "first_pass_ms": round(first, 2),
                "second_pass_ms": round(again, 3),
                "unseen_ms": round(unseen, 2),
                "ratio": round(baseline / first, 1),
                "ratio_again": round(baseline / again, 1),
                "ratio_unseen": round(baseline / unseen, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
