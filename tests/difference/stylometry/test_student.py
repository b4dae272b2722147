from __future__ import annotations

import numpy as np
import pytest

from idiolect.difference.stylometry.style_difference import half_width
from idiolect.errors import InputError


@pytest.mark.parametrize(
    ("n", "level", "tabulated", "tolerance"),
    [
        (2, 0.95, 12.7062, 1e-4),
        (3, 0.95, 4.3027, 1e-4),
        (4, 0.95, 3.1824, 2e-3),
        (6, 0.95, 2.5706, 2e-3),
        (11, 0.95, 2.2281, 1e-4),
        (31, 0.95, 2.0423, 1e-4),
        (4, 0.99, 5.8409, 1.2e-2),
        (6, 0.99, 4.0321, 2e-3),
        (11, 0.8, 1.3722, 1e-4),
    ],
)
def test_half_widths_are_those_of_the_tables(n: int, level: float, tabulated: float, tolerance: float) -> None:
    assert half_width(np.array([n]), level)[0] == pytest.approx(tabulated, rel=tolerance)


def test_below_two_values_nothing_is_known() -> None:
    assert np.isinf(half_width(np.array([0, 1]), 0.95)).all()


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_that_is_no_coverage_is_refused(level: float) -> None:
    with pytest.raises(InputError, match="coverage"):
        half_width(np.array([3]), level)
