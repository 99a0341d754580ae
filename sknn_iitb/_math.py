"""Elementary functions that a compiler can vectorise.

libm's scalar exp and tanh cost more than the matrix product of a small layer. These have no branches and no
table, so a loop over an array becomes vector code. Called from Python they are NumPy's functions: the twin that
tests compare with, and what runs without the JIT.
"""

import math

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from scipy.special import erfcx

from sknn_iitb._intrinsics import elementary, inlined, power_of_two

__all__ = ["exp", "log1p_unit", "scaled_tail", "sigmoid", "tanh"]


def exp(x):
    """e**x; the argument is clamped where the result would leave the normal numbers."""
    return np.exp(x)


def sigmoid(x):
    """1 / (1 + e**-x)."""
    one = x.dtype.type(1)
    return one / (one + np.exp(-x))


def tanh(x):
    """Hyperbolic tangent, accurate near zero as well."""
    return np.tanh(x)


def log1p_unit(x):
    """log(1 + x) for 0 <= x <= 1."""
    return np.log1p(x)


def scaled_tail(x):
    """e**(x**2 / 2) P(Z > x) for a standard normal Z and x >= 0."""
    return x.dtype.type(0.5) * erfcx(x * x.dtype.type(math.sqrt(0.5)))


# Method: x = k ln 2 + r with |r| <= ln(2) / 2, and e**x = 2**k (1 + r + r**2 / 2 + ...), the series cut where the next
# term is below the rounding error. k ln 2 is taken off in two parts, the first with so few bits that its product
# with k is exact (Cody and Waite, Software Manual for the Elementary Functions, 1980).
# All constants have the argument's type: a Python float would turn a float32 computation into float64.


# the tail is taken as a polynomial of s = (x - _MIDDLE) / (x + _MIDDLE), up to where it vanishes beside 1
_MIDDLE, _VANISHED = 2.5, 9.0


def _tail_series(degree):
    """Coefficients, the lowest first; their error is below that of the arithmetic."""
    domain = [-1, (_VANISHED - _MIDDLE) / (_VANISHED + _MIDDLE)]
    series = Chebyshev.interpolate(lambda s: scaled_tail(_MIDDLE * (1 + s) / (1 - s)), degree, domain)
    return series.convert(kind=Polynomial).coef


def _implement(f, lowest, highest, ln2_high, ln2_low, exp_terms, log_terms, tail_degree):
    """Define the functions for the float type `f`."""
    lowest, highest, ln2_high, ln2_low, inverse_ln2 = map(f, (lowest, highest, ln2_high, ln2_low, 1 / math.log(2)))
    half, one, two, largest = f(0.5), f(1), f(2), f(20)
    exp_series = tuple(f(1 / math.factorial(n)) for n in range(exp_terms, 0, -1))
    # even and odd powers apart: a loop over all is too long for a compiler to unroll
    tail_even, tail_odd = (tuple(map(f, _tail_series(tail_degree)[k::2][::-1])) for k in range(2))
    middle, vanished = f(_MIDDLE), f(_VANISHED)
    log_series = tuple(f(2 / (2 * n + 1)) for n in range(log_terms - 1, -1, -1))

    @inlined
    def horner(coefficients, x):
        result = coefficients[0]
        for i in range(1, len(coefficients)):
            result = result * x + coefficients[i]
        return result

    @inlined
    def exp_parts(x):
        # (2**k, e**r - 1); a NaN passes both comparisons and comes out as NaN
        x = lowest if x < lowest else x
        x = highest if x > highest else x
        k = np.floor(x * inverse_ln2 + half)
        r = (x - k * ln2_high) - k * ln2_low
        return power_of_two(k), r * horner(exp_series, r)

    def exp_(x):
        scale, rest = exp_parts(x)
        return scale + scale * rest

    def sigmoid_(x):
        scale, rest = exp_parts(-x)
        return one / (one + (scale + scale * rest))

    def tanh_(x):
        # (e**2|x| - 1) / (e**2|x| + 1), where the numerator is summed without cancellation
        scale, rest = exp_parts(two * min(abs(x), largest))
        numerator = (scale - one) + scale * rest
        return math.copysign(numerator / (numerator + two), x)

    def log1p_unit_(x):
        # 2 atanh(x / (2 + x)), whose argument is at most 1/3
        s = x / (two + x)
        return s * horner(log_series, s * s)

    def scaled_tail_(x):
        x = vanished if x > vanished else x
        s = (x - middle) / (x + middle)
        return horner(tail_even, s * s) + s * horner(tail_odd, s * s)

    implementations = {exp: exp_, sigmoid: sigmoid_, tanh: tanh_, log1p_unit: log1p_unit_, scaled_tail: scaled_tail_}
    for function, implementation in implementations.items():
        elementary(function, f, implementation)


_implement(np.float32, -87, 88, 355 / 512, -2.1219444005469057e-4, 7, 8, 8)
_implement(np.float64, -708, 709, 2977044471 / 2**32, 1.9082149292705877e-10, 13, 16, 19)
