"""What an answer depends on, as one digest: equal questions, equal keys."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from idiolect.llm.base import SamplingParams, Schema
from idiolect.types import Prompt

# Part of every key: raise it when a reply comes to be read differently, so that old records are not taken for new ones.
FORMAT = 1


def cache_key(identity: str, prompt: Prompt, params: SamplingParams, schema: Schema | None = None) -> str:
    """The key of a question: 64 hexadecimal digits.

    Args:
        identity: Endpoint, model and revision, and every setting that changes what is sent or how a reply is read.
        prompt: Its messages block by block, slots and soft rows; what it was made from does not count.
        params: Every parameter; the seed is the index of a replicate.
        schema: As it is sent, for the order of properties shows in answers.
    """
    turns = [[message.role, [[block.entry, block.segments] for block in message.blocks]] for message in prompt.messages]
    question = [FORMAT, identity, params.model_dump(), schema, turns]
    digest = hashlib.blake2b(json.dumps(question).encode(), digest_size=32)
    if prompt.soft is not None:
        digest.update(repr(prompt.soft.shape).encode())
        digest.update(np.ascontiguousarray(prompt.soft, dtype="<f4").tobytes())
    return digest.hexdigest()
