"""Quantiles of Student's t, for intervals of means."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from idiolect.errors import InputError


def half_width(n: np.ndarray, level: float) -> np.ndarray:
    """How many standard errors an interval of a mean of ``n`` values reaches to either side.

    One and two degrees of freedom are exact, more follow the expansion of Abramowitz and Stegun 26.7.5 (within 0.2 %
    at a level of 0.95, within 1.2 % at 0.99).

    Args:
        n: int (any shape): numbers of values.
        level: Coverage, within (0, 1).

    Returns:
        float64, the shape of ``n``; infinite below two values, which say nothing of their spread.

    Raises:
        InputError: The level is not a coverage.
    """
    if not 0 < level < 1:
        raise InputError(f"a level of {level} is no coverage", hint="choose one between 0 and 1, such as 0.95")
    freedom = np.asarray(n, dtype=np.float64) - 1
    upper = (1 + level) / 2
    wide = _expansion(NormalDist().inv_cdf(upper), np.maximum(freedom, 1))
    one, two = np.tan(np.pi * (upper - 0.5)), (2 * upper - 1) * np.sqrt(2 / (4 * upper * (1 - upper)))
    return np.select([freedom < 1, freedom == 1, freedom == 2], [np.inf, one, two], wide)


def _expansion(z: float, freedom: np.ndarray) -> np.ndarray:
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + np.sum([term / freedom**power for power, term in enumerate(terms, start=1)], axis=0)
