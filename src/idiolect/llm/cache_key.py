"""What an answer depends on, as one digest: equal questions, equal keys."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from idiolect.llm.base import SamplingParams, Schema
from idiolect.types import Prompt

# Part of every key: raise it when a reply comes to be read differently, so that old records are not taken for new ones.
FORMAT = 1


def cache_keys(
    identity: str, prompts: Sequence[Prompt], params: SamplingParams, schema: Schema | None = None
) -> list[str]:
    """The keys of questions, 64 hexadecimal digits each.

    Args:
        identity: Endpoint, model and revision, and every setting that changes what is sent or how a reply is read.
        prompts: Their messages block by block, slots and soft rows; what they were made from does not count.
        params: Every parameter; the seed is the index of a replicate.
        schema: As it is sent, for the order of properties shows in answers.
    """
    asked_with = json.dumps([FORMAT, identity, params.model_dump(), schema]).removesuffix("]")
    return [_key(asked_with, prompt) for prompt in prompts]


def _key(asked_with: str, prompt: Prompt) -> str:
    turns = [[message.role, [[block.entry, block.segments] for block in message.blocks]] for message in prompt.messages]
    digest = hashlib.blake2b(f"{asked_with}, {json.dumps(turns)}]".encode(), digest_size=32)
    if prompt.soft is not None:
        digest.update(repr(prompt.soft.shape).encode())
        digest.update(np.ascontiguousarray(prompt.soft, dtype="<f4").tobytes())
    return digest.hexdigest()
