from __future__ import annotations

import numpy as np
import pytest

from idiolect.errors import InputError
from idiolect.metrics.base import Mean, SufficientStatistics


def test_a_mean_of_numbers_is_their_mean() -> None:
    assert Mean("nll", greater_is_better=False).aggregate(np.array([[1.0], [2.0], [6.0]])) == 3


def test_means_of_many_sets_at_once() -> None:
    metric = Mean("nll", greater_is_better=False)
    assert isinstance(metric, SufficientStatistics)
    assert metric.score_totals(np.array([[6.0], [9.0]]), np.array([2.0, 3.0])).tolist() == [3, 3]


def test_the_unit_is_in_the_signature() -> None:
    signature = Mean("nll", greater_is_better=False, unit="nats/text").signature()
    assert str(signature) == "metric:nll|unit:nats/text|aggregate:mean"


def test_no_rows_have_no_mean() -> None:
    with pytest.raises(InputError, match="no segment"):
        Mean("nll", greater_is_better=False).aggregate(np.empty((0, 1)))
