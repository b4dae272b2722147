"""UVQ against text quality, and the signs of a failing run."""

from __future__ import annotations

import numpy as np
import pytest

from idiolect.errors import InputError
from idiolect.evaluation.significance import Resamples
from idiolect.evaluation.uvq import Unit, Uvq, uvq
from idiolect.evaluation.uvq_report import Thresholds, correlation, failure_signs


def resamples(n: int, **changes: object) -> Resamples:
    return Resamples(n, np.random.default_rng(0), **{"resamples": 400} | changes)  # pyright: ignore[reportArgumentType]


def test_the_correlation_is_pearsons_and_its_interval_covers_a_planted_one():
    rng = np.random.default_rng(1)
    x = rng.normal(size=400)
    y = 0.6 * x + 0.8 * rng.normal(size=400)
    found = correlation(x, y * 100 + 7, resamples(400))
    assert found.value == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert found.low < 0.6 < found.high
    assert found.high - found.low < 0.2


def test_ranks_see_through_a_monotone_curve_and_share_ties():
    x = np.repeat(np.arange(10.0), 2)
    assert correlation(x, np.exp(x), resamples(20), ranks=True).value == pytest.approx(1)
    assert correlation(x, -(x**3), resamples(20), ranks=True).low == pytest.approx(-1)


def test_a_correlation_with_what_does_not_vary_is_refused():
    with pytest.raises(InputError, match="same everywhere"):
        correlation([1, 1, 1], [1, 2, 3], resamples(3))
    with pytest.raises(InputError, match="3 UVQ values but 2"):
        correlation([1, 2, 3], [1, 2], resamples(3))


def result(*paths: str, rejected: int = 0) -> Uvq:
    cell = [Unit(category=path.split("/")[0], path=path) for path in paths]
    return uvq([[[*cell, *[Unit(category="", path="", valid=False)] * rejected], cell]])


RICH = (
    "writing/exclamations/more",
    "semantics/specificity/more",
    "structure/paragraphs/more",
    "pragmatics/quotes/more",
)


def test_a_healthy_run_shows_no_sign():
    assert failure_signs(result(*RICH, rejected=3)) == []
    assert failure_signs(uvq([])) == []


@pytest.mark.parametrize(
    ("run", "sign"),
    [
        (result("semantics/specificity/more"), "low UVQ"),
        (result(*RICH[:2], "emotion/intensity/lower", "writing/vocabulary/richer"), "Writing and Emotion dominate"),
        (result(*RICH, rejected=9), "high rejection"),
    ],
)
def test_each_failure_signature_is_reported(run: Uvq, sign: str):
    (found,) = failure_signs(run)
    assert sign in found
    assert failure_signs(run, Thresholds(min_uvq=0, max_surface=1, max_rejected=1)) == []


def test_rejection_is_validations_where_a_judge_counts() -> None:
    judged, validated = result(*RICH), result(*RICH, rejected=9)
    (sign,) = failure_signs(judged, validated=validated)
    assert "high rejection (53% of 17 features)" in sign
    assert failure_signs(validated, validated=judged) == []
