"""A logarithm without branches, which the processor takes of several numbers at once.

The C library's is called for one number at a time and branches by its size,
which costs as much again where numbers are random.  Limit: positive numbers of
normal size only; the error is a few units in the last place.
"""

from __future__ import annotations

import math

import numpy as np

from beacon_detect.analysis.compiled.jit import jit

MANTISSA_BITS = 52
ROOT_OF_HALF = int(np.float64(math.sqrt(0.5)).view(np.int64))
LN_2 = math.log(2.0)


@jit
def natural_log(x: float) -> float:
    """Return ``ln x`` of a positive number."""
    bits = np.float64(x).view(np.int64)
    exponent = (bits - ROOT_OF_HALF) >> MANTISSA_BITS
    # Without its exponent the number lies between the roots of one half and of two.
    mantissa = np.int64(bits - (exponent << MANTISSA_BITS)).view(np.float64)
    # ln m = 2 artanh((m - 1) / (m + 1)); the first term left out is below 1e-16.
    y = (mantissa - 1.0) / (mantissa + 1.0)
    z = y * y
    series = 1 / 21
    series = series * z + 1 / 19
    series = series * z + 1 / 17
    series = series * z + 1 / 15
    series = series * z + 1 / 13
    series = series * z + 1 / 11
    series = series * z + 1 / 9
    series = series * z + 1 / 7
    series = series * z + 1 / 5
    series = series * z + 1 / 3
    return exponent * LN_2 + 2.0 * (y + y * z * series)
