"""Numbers of `deeplab adopt` that are none."""

from __future__ import annotations

import math

import pytest

from export.adopt.options import Pixels, Reading
from export.errors import UserError

ZEROS, ONES = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(number: float) -> None:
    with pytest.raises(UserError, match=r"^--mean is .* all must be finite"):
        Pixels((0.0, number, 0.0), ONES, 1)
    with pytest.raises(UserError, match=r"^--mean is .* all must be finite"):
        Pixels(ZEROS, (1.0, 1.0, number), 1)
    with pytest.raises(UserError, match=r"^--threshold is .* must be finite"):
        Reading(threshold=number)
