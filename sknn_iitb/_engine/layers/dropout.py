"""Dropout (Srivastava et al., JMLR 15, 2014)."""

from dataclasses import dataclass

from sknn_iitb._engine.layers.layer import Layer, LayerSpec
from sknn_iitb._engine.layers.randomness import is_kept, seed_of, threshold_of
from sknn_iitb._engine.plain import kind
from sknn_iitb._jit.intrinsics import inlined, vector_at

__all__ = ["Dropout", "drop_inputs"]


def dropout_forward(x, value, cache, layer, theta, batch):
    n_rows, n_out = value.shape
    rate, salt = layer.hyper[0], layer.own[0]
    threshold, scale = threshold_of(rate), value.dtype.type(1 / (1 - rate))
    for i in range(n_rows):
        seed = seed_of(batch.key, salt, batch.rows[i])
        for j in range(n_out):
            cache[i, j] = scale if is_kept(seed, j, threshold) else value.dtype.type(0)
            value[i, j] *= cache[i, j]


def dropout_backward(x, delta, cache, layer, theta, batch):
    d, factor = vector_at(delta, 0, delta.size), vector_at(cache, 0, cache.size)
    for i in range(d.size):
        d[i] *= factor[i]


def drop_inputs(x, rows, rate, key):
    """Dropout of a network's inputs, which need no backward pass."""
    threshold, scale = threshold_of(rate), x.dtype.type(1 / (1 - rate))
    for i in range(x.shape[0]):
        seed = seed_of(key, 0, rows[i])
        for j in range(x.shape[1]):
            x[i, j] = x[i, j] * scale if is_kept(seed, j, threshold) else x.dtype.type(0)


drop_inputs = inlined(drop_inputs)


@kind("Dropout")
@dataclass(frozen=True)
class Dropout(Layer):
    """Each value becomes 0 with probability `rate` and is divided by 1 - rate otherwise, which preserves the mean.

    Layers with different `salt` draw different masks.
    """

    n_out: int
    rate: float
    salt: int

    def spec(self, start, mode):
        if not mode.dropout or self.rate == 0:
            return None
        needs = {"cache_size": self.n_out, "own": (self.salt,), "hyper": (self.rate,)}
        return LayerSpec(dropout_forward, dropout_backward, self.n_out, self.n_out, in_place=True, **needs)
