from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, Qwen2Config

from idiolect.training.pretrain import PAD, TURN_END, TURN_START, train_tokenizer

TEXTS = ["a dark amber ale with a nutty finish", "a pale ale with a dry finish"] * 3


def test_the_vocabulary_is_bytes_control_tokens_and_merges():
    tokenizer = train_tokenizer(TEXTS, vocab_size=270)
    assert len(tokenizer) == 270
    assert len(tokenizer(" finish")["input_ids"]) < len(" finish")


def test_it_cannot_be_smaller_than_its_alphabet():
    assert len(train_tokenizer(TEXTS, vocab_size=10)) == 256 + 3


def test_rare_pairs_are_not_merged():
    assert len(train_tokenizer(["abcdefg"], vocab_size=300, min_frequency=2)) == 256 + 3


@settings(deadline=None)
@given(text=st.text())
def test_any_text_comes_back_in_unicodes_composed_form(tiny_tokenizer, text):
    ids = tiny_tokenizer(text)["input_ids"]
    assert tiny_tokenizer.decode(ids, clean_up_tokenization_spaces=False) == unicodedata.normalize("NFC", text)


def test_control_tokens_have_their_roles(tiny_tokenizer):
    assert (tiny_tokenizer.eos_token, tiny_tokenizer.pad_token) == (TURN_END, PAD)
    assert tiny_tokenizer.bos_token is None
    for token in (PAD, TURN_START, TURN_END):
        assert len(tiny_tokenizer(token)["input_ids"]) == 1


def test_it_speaks_qwens_chat_markup(tiny_tokenizer):
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    text = tiny_tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert text == ("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")


def test_a_saved_tokenizer_is_the_same_when_loaded(tiny_tokenizer, tmp_path):
    tiny_tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.get_vocab() == tiny_tokenizer.get_vocab()
    assert loaded.chat_template == tiny_tokenizer.chat_template
    assert (loaded.eos_token_id, loaded.pad_token_id) == (tiny_tokenizer.eos_token_id, tiny_tokenizer.pad_token_id)
    assert loaded("Past words\n\n don't")["input_ids"] == tiny_tokenizer("Past words\n\n don't")["input_ids"]


def test_the_same_texts_make_the_same_tokenizer():
    one, other = (train_tokenizer(TEXTS, vocab_size=290).get_vocab() for _ in range(2))
    assert one == other


def test_the_family_s_own_loader_reads_the_folder_as_it_was_written(tmp_path):
    texts = [
        "On page 301,\n\nPros:\n- it's naïve, isn't it?  Two  spaces\tand tabs!!\r\n",
        "Ünïcödé 2024 … 'quoted' —dash",
    ]
    tokenizer = train_tokenizer(texts * 3, vocab_size=400)
    tokenizer.save_pretrained(tmp_path)
    Qwen2Config(vocab_size=448).save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    for text in [*texts, "other words: 12,345.\n\n\nLast line\n"]:
        assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]
        assert loaded.decode(loaded(text)["input_ids"]) == tokenizer.decode(tokenizer(text)["input_ids"])
    assert (loaded.eos_token_id, loaded.pad_token_id) == (tokenizer.eos_token_id, tokenizer.pad_token_id)
