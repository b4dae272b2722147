"""The numbers the metrics' own packages give on real reviews, as the papers' authors call them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from idiolect.metrics.base import Metric
from idiolect.metrics.meteor import SYSTEM_FOLDER, Meteor
from idiolect.metrics.registry import load_metrics

TOLERANCE = 1e-6
SETS = ["twenty_pairs", "edge_pairs"]


@pytest.fixture(scope="module")
def pairs(golden: Path) -> dict[str, list[tuple[str, str]]]:
    data = json.loads((golden / "a9_metrics" / "pairs.json").read_text(encoding="utf-8"))
    return {
        "twenty_pairs": [(pair["prediction"], pair["reference"]) for pair in data["pairs"]],
        "edge_pairs": [(prediction, reference) for prediction, reference in data["edge_pairs_[prediction,reference]"]],
    }


@pytest.fixture(scope="module")
def expected(golden: Path) -> dict[str, Any]:
    return json.loads((golden / "a9_metrics" / "expected.json").read_text(encoding="utf-8"))


def segments(metric: Metric, pairs: list[tuple[str, str]]) -> np.ndarray:
    return metric.segments([prediction for prediction, _ in pairs], [reference for _, reference in pairs])


@pytest.mark.parametrize("which", SETS)
@pytest.mark.parametrize("name", ["rouge1", "rougeL"])
def test_rouge_is_rouge_score(name: str, which: str, pairs: dict, expected: dict) -> None:
    (metric,) = load_metrics([name])
    stats = segments(metric, pairs[which])
    np.testing.assert_allclose(stats[:, 0], expected[which][f"{name}_f"], atol=TOLERANCE)
    assert metric.aggregate(stats) == pytest.approx(expected[which]["mean"][name], abs=TOLERANCE)


@pytest.mark.parametrize("which", SETS)
def test_meteor_is_nltk_with_wordnet(which: str, pairs: dict, expected: dict) -> None:
    if not (SYSTEM_FOLDER / "data.noun").is_file():
        pytest.skip(f"no WordNet in {SYSTEM_FOLDER} (apt install wordnet-base)")
    metric = Meteor(SYSTEM_FOLDER)
    stats = segments(metric, pairs[which])
    np.testing.assert_allclose(stats[:, 0], expected[which]["meteor"], atol=TOLERANCE)
    assert metric.aggregate(stats) == pytest.approx(expected[which]["mean"]["meteor"], abs=TOLERANCE)


@pytest.mark.parametrize("which", SETS)
def test_bleu_is_sacrebleu(which: str, pairs: dict, expected: dict) -> None:
    (metric,) = load_metrics(["bleu"])
    stats = segments(metric, pairs[which])
    bleu = expected[which]["bleu"]
    assert stats.sum(axis=0).tolist() == [bleu["sys_len"], bleu["ref_len"], *bleu["counts"], *bleu["totals"]]
    assert metric.aggregate(stats) == pytest.approx(bleu["score"], abs=1e-4)
