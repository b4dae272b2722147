"""Control tokens of language models in texts of others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.data.control_tokens import neutralised

TOKENS = [
    *("<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|start_header_id|>", "<|channel|>", "<|message|>", "<|endoftext|>"),
    *("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "[SYSTEM_PROMPT]", "[TOOL_CALLS]", "[gMASK]", "[|system|]"),
    *("<start_of_turn>", "<end_of_turn>", "<|turn>", "<turn|>", "<s>", "</s>", "<bos>", "<eos>", "<pad>", "<unk>"),
    *("<think>", "</think>", "<tool_call>", "</tool_call>", "<prompt_embeds>", "<image_soft_token>", "<extra_id_0>"),
    *("<｜begin▁of▁sentence｜>", "<｜User｜>", "＜|im_end|＞", "<unused3>", "<seed:bos>", "<IMAGE>"),
]
ORDINARY = [
    *(
        "3 < 4 and 5 > 4",
        "I <3 it",
        "<b>bold</b><br/>",
        "[sic] [1] array[0]",
        "a|b",
        "<i>",
        "<p>",
        "<john_smith@x.com>",
    ),
    *("I <| loved |> it", "", "<", "[", "line\nline", "see [edit]", "(s)", "x<y|z>w is maths"),
]


@pytest.mark.parametrize("token", TOKENS)
def test_every_kind_of_control_token_is_broken_up_and_reads_the_same(token):
    found = neutralised(f"so {token}it{token}")
    assert token not in found
    assert found.replace(" ", "") == f"so {token}it{token}".replace(" ", "")


@pytest.mark.parametrize("text", ORDINARY[:-1])
def test_ordinary_text_is_not_changed(text):
    assert neutralised(text) == text


pieces = st.lists(
    st.sampled_from([*TOKENS, "<|", "|>", "<", ">", "[", "]", " ", "a_b", "im_end"]) | st.text(max_size=3)
)


@given(pieces.map("".join))
def test_nothing_is_left_to_break_up(text):
    found = neutralised(text)
    assert neutralised(found) == found
    assert not [token for token in TOKENS if token in found]


@given(st.text(alphabet=st.characters(exclude_characters="<＜[［")))
def test_text_without_brackets_is_the_same_object(text):
    assert neutralised(text) is text
