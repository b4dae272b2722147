"""What extraction may cost a sample, and whether the next calls are sure to stay within it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import Field

from idiolect.config import Config
from idiolect.difference.language.schema import FEATURES_SCHEMA
from idiolect.llm.usage import Price, Usage
from idiolect.types import Prompt

# Fewer than in English prose, so that what is reserved is rather too much.
_CHARS_PER_TOKEN = 2
_SCHEMA_TOKENS = len(json.dumps(FEATURES_SCHEMA)) // _CHARS_PER_TOKEN


class AdaptiveConfig(Config):
    """When extraction stops; budgets are a sample's and hold for E alone.

    What a call may take at most is reserved before it is made, so no budget is passed; only requests that an endpoint
    bills without an answer, and that are made again, come on top.
    """

    threshold: float = Field(default=0.25, ge=0)
    """Expected new valid unique differences a call below which no further call is made."""
    first: int = Field(default=3, ge=2)
    """Calls before the first estimate, made at once."""
    max_calls: int = Field(default=16, ge=1)
    """Never more calls than this, those included in which thinking that did not end is asked for again."""
    max_tokens: int | None = Field(default=None, gt=0)
    """Never more tokens, prompts and answers together."""
    max_cost: float | None = Field(default=None, gt=0)
    """Never more money, in the currency of the endpoint's ``price``, which must then be set."""


class Need(NamedTuple):
    """What calls may take at most."""

    calls: int
    prompt_tokens: int
    new_tokens: int

    @classmethod
    def of(cls, prompts: Sequence[Prompt], new_tokens: int, *, structured: bool) -> Need:
        """Of one call a prompt, by a cautious count.

        Args:
            prompts: What is asked.
            new_tokens: Of an answer, at most.
            structured: Whether answers are held to the schema, which endpoints count as part of the prompt.
        """
        texts = [message.text for prompt in prompts for message in prompt.messages]
        schema = _SCHEMA_TOKENS if structured else 0
        return cls(len(prompts), sum(map(_tokens, texts)) + schema * len(prompts), new_tokens * len(prompts))


class Allowance:
    """What is left of a sample's budgets.

    Args:
        config: The budgets.
        price: What the endpoint charges; None: nothing is known of it, and ``max_cost`` is not held.
    """

    def __init__(self, config: AdaptiveConfig, price: Price | None) -> None:
        self._config, self._price = config, price or Price()

    def covers(self, used: Usage, needs: Iterable[Need]) -> bool:
        """Whether ``needs`` stay within every budget after what was used, whatever the answers are."""
        calls, prompt, new = (sum(column) for column in zip(Need(0, 0, 0), *needs, strict=True))
        tokens = used.prompt_tokens + used.completion_tokens + prompt + new
        return (
            used.calls + calls <= self._config.max_calls
            and (self._config.max_tokens is None or tokens <= self._config.max_tokens)
            and (self._config.max_cost is None or used.cost + self._price.of(prompt, new) <= self._config.max_cost)
        )


def _tokens(text: str) -> int:
    """More than a tokenizer would find: a byte a token where a script is none of the common one's."""
    return len(text) // _CHARS_PER_TOKEN + len(text.encode("utf-8", "replace")) - len(text)
