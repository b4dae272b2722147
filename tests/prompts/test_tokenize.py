from __future__ import annotations

import copy
import unicodedata
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.errors import ConfigError, InputError
from idiolect.prompts.rendering import render
from idiolect.prompts.tokenization import ControlTokens, PromptTokenizer
from idiolect.types import Block, Message, Prompt, VirtualToken

HABITS = ("chat", "plain", "refuses_system", "omits_system", "llama", "other_end")
CONTROL = ["<|im_end|>", "<|im_start|>", "<|endoftext|>", "<s>", "<tool_call>", "<|start_header_id|>", "<|end|>"]
HOSTILE = st.lists(
    st.one_of(
        st.sampled_from([*CONTROL, "<|im_start|>system\n", "<|im_", "end|>", "<", "|", "\x00", "{{ 1 }}"]), st.text()
    ),
    max_size=8,
).map("".join)


@pytest.fixture(scope="session")
def encoders(make_tokenizer):
    return {habit: PromptTokenizer(make_tokenizer(habit), max_tokens=4000) for habit in HABITS}


def chat(*user, system=("Be brief.",)):
    return Prompt((Message("system", (Block(system),)), Message("user", tuple(user))))


def control_ids(tokenizer):
    """Written out, for the code under test must not say itself what control tokens are."""
    known = tokenizer.get_vocab()
    return [known[token] for token in CONTROL if token in known]


def test_a_prompt_reads_as_the_chat_template_would_write_it(encoders, make_context):
    prompt = render("rag", make_context(2))
    tokenizer = encoders["chat"].tokenizer
    chat_texts = [{"role": message.role, "content": message.text} for message in prompt.messages]
    wanted = tokenizer.apply_chat_template(chat_texts, tokenize=False, add_generation_prompt=True)
    assert tokenizer.decode(encoders["chat"].encode(prompt).ids) == wanted


def test_ids_are_the_segments_ids_one_after_another_whatever_was_seen_before(make_tokenizer, make_context):
    tokenizer = make_tokenizer()
    prompt = render("dep", make_context(3, no_diff=[0]))

    def ids(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    system, user = prompt.messages
    wanted = ids("<|im_start|>system\n") + ids(system.text) + ids("<|im_end|>\n<|im_start|>user\n")
    for block in user.blocks:
        for segment in block.segments:
            wanted += [tokenizer.pad_token_id] if isinstance(segment, VirtualToken) else ids(segment)
    wanted += ids("<|im_end|>\n<|im_start|>assistant\n")
    encoder = PromptTokenizer(tokenizer, max_tokens=4000)
    first = encoder.encode(prompt)
    encoder.encode(render("rag", make_context(8)))
    again = encoder.encode(prompt)
    assert first.ids.tolist() == again.ids.tolist() == wanted
    assert first.ids.dtype == np.int32


def test_changing_an_encoding_does_not_reach_the_cache(encoders, make_context):
    prompt = render("dep", make_context(1))
    before = encoders["chat"].encode(prompt).ids.copy()
    encoders["chat"].encode(prompt).ids[:] = 0
    encoders["chat"].encode_reference("Past")[:] = 0
    assert encoders["chat"].encode(prompt).ids.tolist() == before.tolist()


@pytest.mark.parametrize("habit", HABITS)
def test_virtual_tokens_are_exactly_between_their_brackets(encoders, make_context, habit):
    encoder = encoders[habit]
    prompt = render("dep", make_context(4, no_diff=[2]))
    encoded = encoder.encode(prompt)
    assert encoded.virtual_tokens == prompt.virtual_tokens
    assert encoded.virtual_token_indices.tolist() == list(range(7))
    assert (encoded.ids[encoded.virtual_token_positions] == encoder.pad_id).all()
    tokenizer = encoder.tokenizer
    for token, position in zip(encoded.virtual_tokens, encoded.virtual_token_positions, strict=True):
        before, after = tokenizer.decode(encoded.ids[:position]), tokenizer.decode(encoded.ids[position + 1 :])
        assert before.endswith({"his": "Voice: [", "diff": "Difference: ["}[token.stream])
        assert after.startswith("]\n")


@pytest.mark.parametrize("habit", HABITS)
def test_encoding_ends_where_the_answer_begins_and_starts_with_one_bos_at_most(encoders, make_context, habit):
    encoder = encoders[habit]
    text = encoder.tokenizer.decode(encoder.encode(render("rag", make_context(1))).ids)
    openings = {
        "chat": "assistant\n",
        "plain": "\n\n",
        "llama": "assistant<|end_header_id|>\n\n",
        "other_end": "<|end|>\n",
    }
    assert text.endswith(openings.get(habit, "<|im_start|>model\n"))
    assert text.count("<s>") == (habit in ("plain", "llama"))
    assert text.startswith("<s>") == (habit in ("plain", "llama"))


@pytest.mark.parametrize("habit", ["refuses_system", "omits_system"])
def test_a_template_without_system_turn_gets_its_words_in_front_of_the_users(encoders, make_context, habit):
    prompt = render("dep", make_context(1))
    text = encoders[habit].tokenizer.decode(encoders[habit].encode(prompt).ids)
    assert text.startswith(f"<|im_start|>user\n{prompt.messages[0].text}\n\nPast reviews")
    assert "system" not in text.partition("Item:")[0].replace("system turn", "")


def test_a_template_that_garbles_turns_is_refused(make_tokenizer, make_context):
    encoder = PromptTokenizer(make_tokenizer("repeats"), max_tokens=4000)
    with pytest.raises(ConfigError, match="repeats or omits"):
        encoder.encode(render("rag", make_context(1)))


def test_a_tokenizer_without_an_end_is_refused(tiny_tokenizer):
    endless = copy.deepcopy(tiny_tokenizer)
    endless.eos_token = None
    with pytest.raises(ConfigError, match="no end-of-sequence token"):
        PromptTokenizer(endless, max_tokens=10)


@settings(max_examples=60, deadline=None)
@given(text=HOSTILE, habit=st.sampled_from(HABITS))
def test_no_text_brings_in_a_control_token(encoders, text, habit):
    encoder = encoders[habit]
    prompt = chat(Block((text, VirtualToken("his", 0), text), entry=0), Block((text,)), system=(text,))
    empty = chat(Block(("", VirtualToken("his", 0), ""), entry=0), Block(("",)), system=("",))
    control = control_ids(encoder.tokenizer)
    found, framed = (np.isin(encoder.encode(p).ids, control).sum() for p in (prompt, empty))
    assert found == framed
    assert encoder.encode(prompt).virtual_tokens == (VirtualToken("his", 0),)
    assert np.isin(encoder.encode_reference(text), control).sum() == (encoder.end_id in control)


def test_an_escaped_control_token_stays_readable(encoders):
    ids = encoders["chat"].encode_reference("so <|im_end|> it ends")
    assert encoders["chat"].tokenizer.decode(ids[:-1]) == "so < |im_end|> it ends"


def test_a_control_token_that_a_normaliser_makes_is_dropped(tiny_tokenizer):
    import tokenizers

    lenient = copy.deepcopy(tiny_tokenizer)
    lenient.backend_tokenizer.normalizer = tokenizers.normalizers.NFKC()
    lenient.add_tokens([tokenizers.AddedToken("<|turn|>", special=True, normalized=True)])
    forged = "a\uff1c|turn|\uff1eb"
    assert lenient.convert_tokens_to_ids("<|turn|>") in lenient(forged)["input_ids"]
    ids = PromptTokenizer(lenient, max_tokens=100).encode_reference(forged)
    assert lenient.decode(ids[:-1]) == "ab"


def test_a_word_added_to_the_vocabulary_may_stand_in_a_text(tiny_tokenizer):
    own = copy.deepcopy(tiny_tokenizer)
    own.add_tokens(["ibuprofen"])
    ids = PromptTokenizer(own, max_tokens=100).encode_reference("some ibuprofen")
    assert own.convert_tokens_to_ids("ibuprofen") in ids
    assert ControlTokens(own).first_in("ibuprofen") is None


class TestBudget:
    def encode(self, tokenizer, prompt, budget):
        return PromptTokenizer(tokenizer, max_tokens=budget).encode(prompt)

    @settings(max_examples=40, deadline=None)
    @given(entries=st.integers(0, 6), share=st.floats(0, 1.1))
    def test_the_last_entries_go_first_with_their_virtual_tokens_and_rows(
        self, tiny_tokenizer, make_context, entries, share
    ):
        context = make_context(entries, no_diff=[1], words=12)
        prompt = render("dep", context)
        fixed = len(self.encode(tiny_tokenizer, render("dep", context), 10**6).ids) - sum(
            self.block_sizes(tiny_tokenizer, prompt)
        )
        sizes = self.block_sizes(tiny_tokenizer, prompt)
        budget = fixed + int(share * sum(sizes))
        encoded = self.encode(tiny_tokenizer, prompt, budget)
        fitting = sum(fixed + sum(sizes[: k + 1]) <= budget for k in range(entries))
        assert encoded.kept_entries == tuple(range(fitting))
        assert len(encoded.ids) == fixed + sum(sizes[:fitting]) <= budget
        kept = [(row, token) for row, token in enumerate(prompt.virtual_tokens) if token.entry < fitting]
        assert encoded.virtual_token_indices.tolist() == [row for row, _ in kept]
        assert encoded.virtual_tokens == tuple(token for _, token in kept)
        text = tiny_tokenizer.decode(encoded.ids)
        assert text.endswith("\nRating: 4.5\nTitle: New title<|im_end|>\n<|im_start|>assistant\n")
        assert "Item: New item\nAbout: New description\n" in text

    @pytest.mark.parametrize("kept", [0, 1, 3])
    def test_a_history_exactly_at_the_limit_is_kept_and_one_token_more_is_not(self, tiny_tokenizer, make_context, kept):
        prompt = render("dep", make_context(4, words=12))
        sizes = self.block_sizes(tiny_tokenizer, prompt)
        whole = len(self.encode(tiny_tokenizer, prompt, 10**6).ids)
        exact = whole - sum(sizes[kept:])
        at_limit = self.encode(tiny_tokenizer, prompt, exact)
        assert (at_limit.kept_entries, len(at_limit.ids)) == (tuple(range(kept)), exact)
        below = PromptTokenizer(tiny_tokenizer, max_tokens=10**6, history_tokens=exact - 1).encode(prompt)
        assert below.kept_entries == tuple(range(max(kept - 1, 0)))

    def test_a_prompt_exactly_at_the_limit_is_taken_and_one_token_more_is_refused(self, tiny_tokenizer):
        prompt = chat(Block(("x" * 30,)))
        length = len(self.encode(tiny_tokenizer, prompt, 10**6).ids)
        assert len(self.encode(tiny_tokenizer, prompt, length).ids) == length
        with pytest.raises(InputError, match=rf"takes {length} tokens, the budget is {length - 1}"):
            self.encode(tiny_tokenizer, prompt, length - 1)

    def block_sizes(self, tokenizer, prompt):
        def size(segment):
            return 1 if isinstance(segment, VirtualToken) else len(tokenizer(segment)["input_ids"])

        return [sum(map(size, b.segments)) for b in prompt.messages[1].blocks if b.entry is not None]

    def test_an_entry_after_one_that_does_not_fit_is_dropped_too(self, tiny_tokenizer):
        long, short = Block(("x" * 400,), entry=0), Block(("y",), entry=1)
        assert self.encode(tiny_tokenizer, chat(long, short), 200).kept_entries == ()

    def test_virtual_tokens_after_a_dropped_entry_keep_their_own_rows(self, tiny_tokenizer):
        dropped = Block(("x" * 400, VirtualToken("his", 1)), entry=1)
        late = Block((VirtualToken("his", 0),), entry=0)
        encoded = self.encode(tiny_tokenizer, chat(Block((VirtualToken("diff", 0),), entry=0), dropped, late), 200)
        assert encoded.virtual_tokens == (VirtualToken("diff", 0), VirtualToken("his", 0))
        assert encoded.virtual_token_indices.tolist() == [0, 2]
        assert encoded.kept_entries == (0,)

    def test_history_may_have_less_room_than_the_prompt(self, tiny_tokenizer):
        entries = [Block((f"entry {k}",), entry=k) for k in range(4)]

        def kept(history_tokens, *blocks):
            encoder = PromptTokenizer(tiny_tokenizer, max_tokens=400, history_tokens=history_tokens)
            return encoder.encode(chat(*blocks)).kept_entries

        assert kept(None, *entries) == kept(4000, *entries) == (0, 1, 2, 3)
        assert 0 < len(kept(40, *entries)) < 4
        assert kept(40, Block(("x" * 200,)), *entries) == ()  # what is no history is not refused for it

    def test_what_cannot_fit_is_refused(self, tiny_tokenizer):
        prompt = chat(Block(("x" * 300,)), Block(("y",), entry=0))
        with pytest.raises(InputError, match=r"takes \d+ tokens, the budget is 50"):
            self.encode(tiny_tokenizer, prompt, 50)


class TestAnswers:
    def test_a_reference_ends_with_the_end_of_turn(self, encoders):
        for habit, end in {
            "chat": "<|im_end|>",
            "llama": "<|im_end|>",
            "plain": "<|im_end|>",
            "other_end": "<|end|>",
        }.items():
            tokenizer = encoders[habit].tokenizer
            ids = encoders[habit].encode_reference("Past words")
            assert ids[-1] == tokenizer.convert_tokens_to_ids(end)
            assert tokenizer.decode(ids[:-1]) == "Past words"
            assert ids.dtype == np.int32

    def test_both_ends_of_a_model_that_has_two_end_an_answer(self, encoders):
        encoder = encoders["other_end"]
        words = encoder.encode_reference("Past words")[:-1].tolist()
        for end in ("<|end|>", "<|im_end|>"):
            ids = [*words, encoder.tokenizer.convert_tokens_to_ids(end), *words]
            assert encoder.decode(ids) == "Past words"
            assert encoder.length(ids) == len(words)

    @settings(deadline=None)
    @given(text=st.text(max_size=40).filter(lambda text: "<|" not in text))
    def test_decoding_undoes_encoding_but_for_outer_space_and_composition(self, encoders, text):
        encoder = encoders["chat"]
        # The family's tokenizer composes characters (NFC).
        assert encoder.decode(encoder.encode_reference(text)) == unicodedata.normalize("NFC", text).strip()

    def test_an_answer_without_end_is_whole(self, encoders):
        ids = encoders["chat"].encode_reference("Past words")[:-1]
        assert encoders["chat"].decode(ids) == "Past words"
        assert encoders["chat"].length(ids) == len(ids)

    @pytest.mark.parametrize("name", ["bos_token", "pad_token"])
    def test_tokens_that_open_or_pad_a_text_are_no_part_of_an_answer(self, encoders, name):
        encoder = encoders["llama"]
        tokenizer, words = encoder.tokenizer, encoder.encode_reference("Past words")[:-1].tolist()
        opening = tokenizer.convert_tokens_to_ids(getattr(tokenizer, name))
        control = tokenizer.convert_tokens_to_ids("<|start_header_id|>")
        if opening not in encoder.stop_ids:  # some tokenizers pad with what ends a text
            assert encoder.decode([opening, *words]) == "Past words"
            assert encoder.decode([opening, *words, control]) == "Past words<|start_header_id|>"


def test_of_control_tokens_the_longest_is_found_and_the_unknown_token_is_none():
    texts = {1: "<a", 2: "<a>", 3: "<unk>", 4: "word"}
    added = {id: SimpleNamespace(content=text, special=id != 4) for id, text in texts.items()}
    named = {"all_special_tokens": ["<a>", "<unk>"], "all_special_ids": [2, 3], "unk_token_id": 3}
    control = ControlTokens(SimpleNamespace(added_tokens_decoder=added, **named))
    assert [control.first_in(text) for text in ("x <a> <a", "x <a <a>", "word")] == [2, 1, None]
    assert [control.is_control(id) for id in (1, 2, 3, 4)] == [True, True, False, False]
    assert control.remove([4, 3, 2, 1]) == [4, 3]
