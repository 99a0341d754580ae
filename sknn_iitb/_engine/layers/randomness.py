"""Random masks that depend on the key of a batch, the layer and the sample only."""

import numpy as np

from sknn_iitb._jit.intrinsics import inlined

__all__ = ["is_kept", "seed_of", "threshold_of"]

_LOW = 0xFFFFFFFF


def mixed(number):
    """A hash of 32 bits to 32 bits (T. Mueller's), in 64-bit arithmetic that cannot overflow; becomes vector code."""
    number = ((number ^ (number >> 16)) * 0x119DE1F3) & _LOW
    number = ((number ^ (number >> 16)) * 0x119DE1F3) & _LOW
    return number ^ (number >> 16)


mixed = inlined(mixed)


def seed_of(key, salt, row):
    """Where the draws of one layer for one sample begin."""
    return mixed((mixed(mixed((mixed(key & _LOW) + row) & _LOW) ^ ((key >> 32) & _LOW)) + salt) & _LOW)


seed_of = inlined(seed_of)


def is_kept(seed, column, threshold):
    """Whether a number survives dropout: a function of the seed, so the mask can be recomputed."""
    return mixed((seed + column * 0x9E3779B9) & _LOW) >= threshold


is_kept = inlined(is_kept)


def threshold_of(rate):
    """The draw below which a number is dropped."""
    return np.int64(rate * 4294967296.0)


threshold_of = inlined(threshold_of)
