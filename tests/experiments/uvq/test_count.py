"""UVQ of a run in numbers, and as a reader sees them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from idiolect.difference.claims.feature import Feature
from idiolect.difference.claims.taxonomy import CONTROLLED
from idiolect.evaluation import uvq_report as uvq_report
from idiolect.evaluation.judge import Found, Judged
from idiolect.evaluation.significance import Resamples
from idiolect.evaluation.uvq import Unit
from idiolect.evaluation.uvq_report import MIN_USERS, MethodUvq, judging, method_uvq, user_scores
from idiolect.llm.base import Usage
from idiolect.metrics.bleu import Bleu
from idiolect.metrics.rouge import rouge_l
from idiolect.types import ConditionId, UserId

DRP = ConditionId("drp")


def made(numbers: list[int], *, keys=CONTROLLED[::-4], dropped: int = 0, judged=None) -> Found:
    """For every user as many differences as given, in two comparisons, and further ones that were dropped."""
    features = {
        (UserId(f"u{k}"), f"u{k}-{cell}"): (
            *(
                Feature(name="n", category=key.category, attribute=key.attribute, direction=key.direction)
                for key in keys[:number]
            ),
            *[Feature(name="no", status="dropped", reason="unclear")] * dropped,
        )
        for k, number in enumerate(numbers)
        for cell in "ab"
    }
    users = tuple(UserId(f"u{k}") for k in range(len(numbers)))
    told = None if judged is None else dict.fromkeys(features, judged)
    return Found(users=users, features=features, listed=dict.fromkeys(users, ()), judged=told)


def counted(found: Found, **scores: np.ndarray) -> MethodUvq:
    return method_uvq(found, scores, Resamples(len(found.users), np.random.default_rng(0), resamples=200))


SPREAD = [1, 2, 3, 4, 5, 6, 7, 8, 3, 4]
RISING = np.array(SPREAD) * 1.5 + np.array([0.1, -0.1] * 5)


def test_uvq_is_a_mean_over_users_with_an_interval_and_goes_with_their_scores() -> None:
    one = counted(made(SPREAD, dropped=1), bleu=RISING, meteor=np.full(10, 0.2))
    assert one.mean.value == one.uvq.mean == np.mean(SPREAD)
    assert one.mean.low < one.mean.value < one.mean.high
    assert (one.users, one.comparisons, one.reasons) == (10, 20, {"unclear": 20})
    assert list(one.related) == ["bleu"], "what does not vary is correlated with nothing"
    assert one.related["bleu"].low > 0.9
    assert counted(made([1] * 12), bleu=np.arange(12.0)).related == {}
    few = MIN_USERS - 1
    assert counted(made(SPREAD[:few]), bleu=RISING[:few]).related == {}


def test_a_run_that_fails_as_the_paper_says_is_warned_of() -> None:
    assert counted(made([4] * 2)).warnings == []
    (low, surface, rejected) = counted(made([1] * 2, keys=CONTROLLED, dropped=3)).warnings
    assert low.startswith("low UVQ")
    assert surface.startswith("Writing and Emotion dominate")
    assert rejected.startswith("high rejection (75%")
    (sign,) = counted(made([0, 0])).warnings
    assert sign.startswith("low UVQ (0.00")


def test_a_judge_counts_in_validations_place_and_its_silence_is_reported() -> None:
    units = tuple(Unit(category=key.category, path=key.path) for key in CONTROLLED[::8])
    usage = Usage(calls=1, cost=0.5)
    heard = counted(made([1, 1], judged=Judged(units=units, usage=usage)))
    assert (heard.uvq.mean, heard.validated.mean) == (len(units), 1)
    assert (heard.judged, heard.unread, heard.warnings) == (4, 0, [])
    assert judging({DRP: heard, ConditionId("dpl"): counted(made([1, 1]))}) == {DRP: Usage(calls=4, cost=2.0)}
    silent = counted(made([4, 4], judged=Judged(units=(), failed=True)))
    (warning,) = silent.warnings
    assert warning.startswith("4 of 4 comparisons have no judgement"), "the extractor is not to blame"
    assert counted(made([0, 0], judged=Judged(units=()))).judged == 0, "without claims nobody was asked"


def test_scores_of_users_are_those_of_their_texts_together() -> None:
    texts = ["a b c d e f", "x y z w v u", "a b c d q r", "k l m n o p"]
    references = ["a b c d e g", "x y z w u v", "a b c d r q", "k l m n p o"]
    users = [UserId(name) for name in ("ann", "bob", "ann", "cyd")]
    metrics = [Bleu(), rouge_l()]
    stats = {metric.name: metric.segments(texts, references) for metric in metrics}
    found = user_scores(metrics, stats, users)
    assert list(found) == ["bleu"]
    expected = [metrics[0].aggregate(stats["bleu"][places]) for places in ([0, 2], [1], [3])]
    assert found["bleu"].tolist() == pytest.approx(expected)


def test_a_report_has_the_numbers_and_a_terminal_a_line_a_method() -> None:
    found = {ConditionId("dpl"): counted(made([4] * 2)), DRP: counted(made(SPREAD, dropped=1), bleu=RISING)}
    text = uvq_report.to_text(found).splitlines()
    assert len(text) == 2
    assert text[1].startswith("drp  UVQ 4.30 [")
    assert "20 comparisons; 20 of 106 claims rejected" in text[1]
    page = uvq_report.to_markdown(found, [Path("out/categories.svg")])
    assert "| dpl | 2 | 4 | 4.00 [4.00, 4.00] |" in page
    assert "- drp: rejected as unclear (20)\n- drp: correlation of UVQ over users (Pearson's r) with bleu 1.00" in page
    assert page.endswith("![categories](categories.svg)\n")
    record = uvq_report.to_dict(found)["drp"]
    assert record["uvq"]["value"] == 4.3
    assert record["rejected"] == {"unclear": 20}
    assert set(record["correlation_over_users"]) == {"bleu"}
    assert uvq_report.warnings({DRP: counted(made([0, 0]))})[0].startswith("warning: drp: low UVQ")


def test_figures_are_drawn_where_they_can_be_and_name_nobody(tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("matplotlib")
    found = {ConditionId("My Method"): counted(made(SPREAD), bleu=RISING)}
    names = [path.name for path in uvq_report.draw_if_possible(found, tmp_path)]
    assert names == ["categories.svg", "uvq-bleu-My-Method.svg"]
    assert uvq_report.draw_if_possible({DRP: counted(made([1, 2]))}, tmp_path) == [tmp_path / "categories.svg"]
    assert [path.name for path in tmp_path.iterdir()] == ["categories.svg"], "no figure of an earlier call is left"
    assert uvq_report.draw_if_possible({}, tmp_path) == []
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert uvq_report.draw_if_possible(found, tmp_path / "none") == []


def test_users_of_whom_nothing_could_be_read_are_left_out_and_not_counted_as_0() -> None:
    found = made(SPREAD)
    partly = counted(replace(found, unread=frozenset({UserId("u0"), UserId("u1")})), bleu=RISING)
    assert partly.mean is not None
    assert (partly.users, partly.unknown, partly.mean.value) == (8, 2, np.mean(SPREAD[2:]))
    assert partly.warnings == ["2 users are left out: no answer about them could be read"]
    nobody = counted(replace(found, unread=frozenset(found.users)), bleu=RISING)
    silent = counted(made([4, 4], judged=Judged(units=(), failed=True)))
    for one in (nobody, silent):
        assert (one.mean, one.users) == (None, 0)
        assert "UVQ not known over 0 users" in uvq_report.to_text({DRP: one})
        assert "| drp | 0 |" in uvq_report.to_markdown({DRP: one}, [])
        assert uvq_report.to_dict({DRP: one})["drp"]["uvq"] is None
