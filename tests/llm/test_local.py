"""What a checkpoint, its tokenizer and its chat template bring: ends of a text, thinking, arguments."""

from __future__ import annotations

import copy

import pytest
import torch
import transformers as tf

from idiolect.config import build
from idiolect.errors import ConfigError
from idiolect.llm.base import Completion, SamplingParams
from idiolect.llm.checkpoint import Thinking, checkpoint_stops, completion, refuse_encoder_decoder
from idiolect.llm.fake import FakeLLM
from idiolect.llm.registry import BackboneConfig
from idiolect.llm.thinking import part_completion
from idiolect.llm.transformers import TransformersLLM
from idiolect.methods.base import write
from idiolect.prompts.rendering import render, with_soft
from idiolect.prompts.tokenization import PromptTokenizer

NO_END = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SWITCHED = NO_END.removesuffix("{% endif %}") + (
    "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% else %}<think>{% endif %}{% endif %}"
)
HARMONY = (
    "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)


@pytest.fixture
def make(tiny_tokenizer):
    def with_template(template, special=(), plain=()):
        tokenizer = copy.deepcopy(tiny_tokenizer)
        tokenizer.chat_template = template
        tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
        tokenizer.add_tokens(list(plain))
        return tokenizer

    return with_template


def test_stops_are_joined_from_checkpoint_and_tokenizer(make):
    tokenizer = make(NO_END, ["<|user|>", "<|observation|>"])
    user, seen = tokenizer.convert_tokens_to_ids(["<|user|>", "<|observation|>"])
    config = tf.LlamaConfig(vocab_size=len(tokenizer), eos_token_id=[user])
    generation = tf.GenerationConfig(eos_token_id=[seen, user])
    assert checkpoint_stops(config, generation, tokenizer) == (seen, user)
    assert checkpoint_stops(config, None, tokenizer) == (user,)
    assert checkpoint_stops(config, tf.GenerationConfig(eos_token_id=seen), tokenizer) == (seen, user)
    prompts = PromptTokenizer(tokenizer, max_tokens=100, stops=(user, seen))
    assert set(prompts.stop_ids) == {tokenizer.eos_token_id, user, seen}
    assert prompts.end_id == user  # the tokenizer's is none that the checkpoint knows
    assert PromptTokenizer(tokenizer, max_tokens=100, stops=(user, tokenizer.eos_token_id)).end_id == (
        tokenizer.eos_token_id
    )


def test_nested_settings_count_and_defaults_that_are_plain_words_do_not(make):
    tokenizer = make(NO_END, ["<|user|>"])
    user, word = tokenizer.convert_tokens_to_ids("<|user|>"), int(tokenizer("Past")["input_ids"][0])
    nested = tf.Gemma3Config(text_config={"eos_token_id": user, "vocab_size": len(tokenizer)}, eos_token_id=None)
    assert user in checkpoint_stops(nested, None, tokenizer)
    assert checkpoint_stops(tf.LlamaConfig(vocab_size=len(tokenizer), eos_token_id=word), None, tokenizer) == ()
    stray = tf.GenerationConfig(eos_token_id=[user, 10**9, -1])
    assert checkpoint_stops(tf.LlamaConfig(eos_token_id=None), stray, tokenizer) == (user,)


def test_what_ends_a_message_between_channels_ends_no_text(make):
    tokenizer = make(HARMONY, ["<|start|>", "<|message|>", "<|channel|>", "<|end|>", "<|return|>"])
    end, leave = tokenizer.convert_tokens_to_ids(["<|end|>", "<|return|>"])
    prompts = PromptTokenizer(tokenizer, max_tokens=100, stops=(leave, end))
    assert end not in prompts.stop_ids
    assert prompts.end_id == leave
    said = "<|channel|>analysis<|message|>Past<|end|><|start|>assistant<|channel|>final<|message|>New<|return|>"
    row = tokenizer(said, add_special_tokens=False)["input_ids"]
    encoded = prompts.encode(_asked())
    found = completion(prompts, encoded, row, 0.0, Thinking())
    assert (found.text, found.thinking, found.failure, found.truncated) == ("New", "Past", None, False)


def _asked():
    from idiolect.types import Block, Message, Prompt

    return Prompt((Message("user", (Block(("Past words",)),)),))


@pytest.mark.parametrize(("arguments", "finished"), [({}, False), ({"enable_thinking": False}, True)])
def test_a_template_that_opens_thinking_leaves_it_unfinished_unless_an_argument_says_otherwise(
    make, arguments, finished
):
    tokenizer = make(SWITCHED, ["<|user|>", "<|assistant|>"], ["<think>", "</think>"])
    prompts = PromptTokenizer(tokenizer, max_tokens=100, template_arguments=arguments)
    encoded = prompts.encode(_asked())
    assert encoded.opening.endswith("</think>") is finished
    row = [*tokenizer("Past words", add_special_tokens=False)["input_ids"], prompts.end_id]
    found = completion(prompts, encoded, row, 0.0, Thinking())
    assert (found.failure is None) is finished
    assert found.text == ("Past words" if finished else "")


def test_control_tokens_within_a_text_are_shown(make):
    tokenizer = make(NO_END, ["<|user|>"])
    prompts = PromptTokenizer(tokenizer, max_tokens=100)
    row = tokenizer("Past<|user|>New", add_special_tokens=False)["input_ids"]
    assert "<|user|>" in prompts.decode(row)


@pytest.mark.parametrize("value", [{"tokenize": True}, {"a b": 1}, {"x": float("nan")}, {"x": {1, 2}}, [1]])
def test_arguments_of_a_template_are_plain_data_of_its_own(value):
    with pytest.raises(ConfigError):
        build(BackboneConfig, {"chat_template_kwargs": value})
    assert build(BackboneConfig, {"chat_template_kwargs": {"enable_thinking": False}}).chat_template_kwargs


def test_tags_are_checked_and_go_where_the_model_is():
    assert build(BackboneConfig, {"thinking_tags": ["plan", ["((", "))"]]}).thinking_tags == ("plan", ("((", "))"))
    for wrong in ({"thinking_tags": [""]}, {"thinking_tags": ["a"], "endpoint": {"model": "m"}}):
        with pytest.raises(ConfigError):
            build(BackboneConfig, wrong)


def test_an_encoder_decoder_is_refused():
    with pytest.raises(ConfigError, match="encoder-decoder"):
        refuse_encoder_decoder(tf.BartConfig(), "bart")


def test_methods_that_make_one_call_part_thoughts_and_note_markup(make_context):
    said = iter(["<think>hm</think>Good.", "<think>on", "<think>hm</think>At last.", "Good.<|im_end|>"])
    context = make_context(1)
    found = write(
        "rag", FakeLLM(lambda _: next(said)), SamplingParams(), [context.sample] * 3, [context] * 3,
        [render("rag", context)] * 3,
    )  # fmt: skip
    # The second prompt is asked again after the others.
    assert [one.text for one in found] == ["Good.", "Good.<|im_end|>", "At last."]
    assert [one.stages[-1].thinking for one in found] == ["hm", "on", "hm"]
    assert [bool(one.stages[-1].notes) for one in found] == [False, True, False]
    assert ["<|im_end|>" in "".join(one.notes) for one in found] == [False, True, False]
    assert [one.usage["write"].calls for one in found] == [1, 2, 1]


def test_a_completion_is_parted_once():
    once = part_completion(Completion(text="</think>b", prompt_tokens=1, completion_tokens=3), always=True)
    assert (once.text, once.failure) == ("b", None)
    assert part_completion(once, always=True) == once
    nothing = part_completion(Completion(text="<think>a</think>", prompt_tokens=1, completion_tokens=3))
    assert nothing.failure is not None
    assert nothing.failure.kind == "empty"


@pytest.fixture(scope="module")
def gemma(tiny_tokenizer):
    if not hasattr(tf, "Gemma4TextConfig"):
        pytest.skip(f"transformers {tf.__version__} has no Gemma 4")
    size = len(tiny_tokenizer)
    config = tf.Gemma4TextConfig(
        vocab_size=size, vocab_size_per_layer_input=size, hidden_size=24, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8, max_position_embeddings=2048,
        hidden_size_per_layer_input=4, num_kv_shared_layers=0, sliding_window=64,
        layer_types=["sliding_attention", "full_attention"], bos_token_id=None,
        eos_token_id=tiny_tokenizer.eos_token_id, pad_token_id=tiny_tokenizer.eos_token_id,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = tf.AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for weight in model.parameters():
                if weight.dim() > 1:
                    weight.normal_(0, 0.25)
    return TransformersLLM(model, tiny_tokenizer, name="g", batch_size=2)


def test_embeddings_in_every_layer_are_read_by_prompts_with_and_without_soft_prompt_embeddings(gemma, make_context):
    bare, with_tokens = render("rag", make_context(2)), render("dep", make_context(2))
    ids = gemma.prompts.encode(with_tokens)
    at_tokens = torch.full((len(ids.virtual_token_positions),), gemma.prompts.pad_id)
    # Soft prompt embeddings that are a token's embedding make the prompt what it is with that token.
    rows = gemma.model.get_input_embeddings()(at_tokens).detach().numpy()
    soft = with_soft(with_tokens, rows)
    greedy = SamplingParams(temperature=0, max_new_tokens=4)
    apart = [gemma.generate([one], greedy)[0].text for one in (bare, soft)]
    assert [one.text for one in gemma.generate([bare, soft], greedy)] == apart
    nats = gemma.negative_log_likelihood([bare, soft], ["Past words"] * 2)
    target = gemma.prompts.encode_reference("Past words")
    whole = torch.tensor([[*ids.ids.tolist(), *target.tolist()]])
    logits = gemma.model(input_ids=whole).logits[0, -len(target) - 1 : -1]
    wanted = torch.nn.functional.cross_entropy(logits, torch.tensor(target).long(), reduction="sum").item()
    assert nats[1] == pytest.approx(wanted, rel=1e-4)


def test_no_text_is_longer_than_the_model_has_positions_for(tiny_llm, make_context):
    llm = tiny_llm("gpt2")
    short, long = render("nonpersonalized", make_context(0)), render("rag", make_context(3))
    length = len(llm.prompts.encode(long).ids)
    llm._positions, llm.prompts._stops = length + 3, ()
    llm.prompts.stop_ids = ()  # nothing ends a text but the lack of room
    found = llm.generate([short, long], SamplingParams(temperature=0, max_new_tokens=20))
    assert [one.completion_tokens for one in found] == [20, 3]
    assert found[1].truncated
