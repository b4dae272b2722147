from __future__ import annotations

import numpy as np
import pytest

from idiolect.difference.stylometry.style_difference import half_width
from idiolect.errors import InputError


@pytest.mark.parametrize(
    ("n", "level", "tabulated"),
    [
        (2, 0.95, 12.7062),
        (3, 0.95, 4.3027),
        (4, 0.95, 3.1824),
        (6, 0.95, 2.5706),
        (11, 0.95, 2.2281),
        (31, 0.95, 2.0423),
        (4, 0.99, 5.8409),
        (6, 0.99, 4.0321),
        (11, 0.8, 1.3722),
    ],
)
def test_half_widths_are_those_of_the_tables(n: int, level: float, tabulated: float) -> None:
    assert half_width(np.array([n]), level)[0] == pytest.approx(tabulated, abs=6e-5)


def test_the_shape_is_that_of_the_numbers() -> None:
    assert half_width(np.full((2, 3), 4), 0.95).shape == (2, 3)
    assert half_width(np.array(4), 0.95) == pytest.approx(3.1824463, abs=1e-7)


def test_below_two_values_nothing_is_known() -> None:
    assert np.isinf(half_width(np.array([0, 1]), 0.95)).all()


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_that_is_no_coverage_is_refused(level: float) -> None:
    with pytest.raises(InputError, match="coverage"):
        half_width(np.array([3]), level)
