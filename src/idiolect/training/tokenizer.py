"""A byte-level BPE tokenizer in Qwen2's form, chat markup included, trained on any text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from idiolect.errors import require

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def train_tokenizer(texts: Iterable[str], *, vocab_size: int, min_frequency: int = 2) -> PreTrainedTokenizerFast:
    """Train a tokenizer.

    Args:
        texts: What it should be good at; include the prompts' own words.
        vocab_size: Entries, the 256 bytes and 3 control tokens included.
        min_frequency: A merge must occur this often.

    Returns:
        A fast tokenizer with chat template, ``<|im_end|>`` as end of sequence and ``<|endoftext|>`` as padding.
    """
    tokenizers = require("tokenizers", extra="train")
    transformers = require("transformers", extra="train")
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    # Beside a Qwen2 model AutoTokenizer puts the family's own rules in the place of whatever a folder says, without a
    # word: the model would then read other tokens than it was trained on.
    family = transformers.Qwen2Tokenizer().backend_tokenizer
    bpe.normalizer, bpe.pre_tokenizer, bpe.decoder = family.normalizer, family.pre_tokenizer, family.decoder
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=[PAD, TURN_START, TURN_END],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=TURN_END, pad_token=PAD, additional_special_tokens=[TURN_START]
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast
