"""Elementary functions that the compiler can vectorize.

libm's scalar exp and tanh cost more than the matrix product of a small layer. These have no branches and no tables, so
the compiler vectorizes a loop over an array. Called from Python they are NumPy's functions, which the tests compare
with and which run without the JIT.
"""

import math

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from scipy.special import erfcx

from sknn_iitb._jit.intrinsics import SHIFTER, elementary, inlined, power_of_two

__all__ = ["exp", "expm1", "log1p_unit", "scaled_tail", "sigmoid", "tanh"]


def exp(x):
    """e**x; the argument is clamped to keep the result a normal number."""
    return np.exp(x)


def expm1(x):
    """e**x - 1, also accurate near zero."""
    return np.expm1(x)


def sigmoid(x):
    """1 / (1 + e**-x)."""
    one = x.dtype.type(1)
    return one / (one + np.exp(-x))


def tanh(x):
    """Hyperbolic tangent, also accurate near zero."""
    return np.tanh(x)


def log1p_unit(x):
    """log(1 + x) for 0 <= x <= 1."""
    return np.log1p(x)


def scaled_tail(x):
    """e**(x**2 / 2) P(Z > x) for a standard normal Z and x >= 0."""
    return x.dtype.type(0.5) * erfcx(x * x.dtype.type(math.sqrt(0.5)))


# Method: x = k ln 2 + r with |r| <= ln(2) / 2, and e**x = 2**k e**r. k ln 2 is subtracted in two steps, the first with
# few enough bits to make its product with k exact (Cody and Waite, Software Manual for the Elementary Functions, 1980).
# e**r is a Taylor polynomial. Functions that divide anyway use the Pade approximant with half as many terms,
# (even(r**2) + r odd(r**2)) / (even(r**2) - r odd(r**2)). Both have enough terms to be below the rounding error.
# All constants have the argument's type: a Python float would turn a float32 computation into float64.


def _pade(order):
    """Coefficients of the numerator of the Pade approximant to e**r, lowest order first."""
    return [math.comb(order, j) * math.factorial(2 * order - j) / math.factorial(2 * order) for j in range(order + 1)]


# the tail is a polynomial in s = (x - _MIDDLE) / (x + _MIDDLE), up to the x where it is negligible beside 1
_MIDDLE, _VANISHED = 2.5, 9.0


def _tail_series(degree):
    """Coefficients, lowest order first; the approximation error is below the rounding error."""
    domain = [-1, (_VANISHED - _MIDDLE) / (_VANISHED + _MIDDLE)]
    series = Chebyshev.interpolate(lambda s: scaled_tail(_MIDDLE * (1 + s) / (1 - s)), degree, domain)
    return series.convert(kind=Polynomial).coef


def _implement(f, *, limits, ln2, exp_terms, pade_order, log_terms, tail_degree):
    """Define the functions for the float type `f`."""
    lowest, highest, ln2_high, ln2_low, inverse_ln2 = map(f, (*limits, *ln2, 1 / math.log(2)))
    one, two, largest, shifter = f(1), f(2), f(20), f(SHIFTER[f])
    exp_series = tuple(f(1 / math.factorial(n)) for n in range(exp_terms, 0, -1))
    # even and odd powers separately, highest first: the compiler would not unroll one loop over all of them
    pade_even, pade_odd = (tuple(map(f, _pade(pade_order)[k::2][::-1])) for k in range(2))
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
    def reduced(x):
        # (2**k, r)
        shifted = x * inverse_ln2 + shifter
        k = shifted - shifter
        return power_of_two(shifted), (x - k * ln2_high) - k * ln2_low

    @inlined
    def clamped(x):
        # a NaN passes both comparisons and comes out as NaN
        x = lowest if x < lowest else x
        return highest if x > highest else x

    def exp_(x):
        scale, r = reduced(clamped(x))
        return scale + scale * (r * horner(exp_series, r))

    def expm1_(x):
        # near zero the scale is 1 and its difference from 1 vanishes
        scale, r = reduced(clamped(x))
        return (scale - one) + scale * (r * horner(exp_series, r))

    def sigmoid_(x):
        scale, r = reduced(clamped(-x))
        even, odd = horner(pade_even, r * r), r * horner(pade_odd, r * r)
        return (even - odd) / ((even - odd) + scale * (even + odd))

    def tanh_(x):
        # (e**2|x| - 1) / (e**2|x| + 1), with the numerator summed without cancellation
        size = abs(x)
        scale, r = reduced(two * (largest if size > largest else size))
        even, odd = horner(pade_even, r * r), r * horner(pade_odd, r * r)
        more, less = scale + one, scale - one
        return math.copysign((less * even + more * odd) / (more * even + less * odd), x)

    def log1p_unit_(x):
        # 2 atanh(x / (2 + x)), whose argument is at most 1/3
        s = x / (two + x)
        return s * horner(log_series, s * s)

    def scaled_tail_(x):
        x = vanished if x > vanished else x
        s = (x - middle) / (x + middle)
        return horner(tail_even, s * s) + s * horner(tail_odd, s * s)

    functions = exp, expm1, sigmoid, tanh, log1p_unit, scaled_tail
    implementations = exp_, expm1_, sigmoid_, tanh_, log1p_unit_, scaled_tail_
    for function, implementation in zip(functions, implementations, strict=True):
        elementary(function, f, implementation)


# limits: arguments of exp beyond which it would underflow or overflow; ln2: a short high part of ln 2, and the rest
_implement(
    np.float32,
    limits=(-87, 88),
    ln2=(355 / 512, -2.1219444005469057e-4),
    exp_terms=7,
    pade_order=3,
    log_terms=8,
    tail_degree=8,
)
_implement(
    np.float64,
    limits=(-708, 709),
    ln2=(2977044471 / 2**32, 1.9082149292705877e-10),
    exp_terms=13,
    pade_order=6,
    log_terms=16,
    tail_degree=19,
)
