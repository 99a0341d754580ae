"""Dense layers: ``x W``."""

from dataclasses import dataclass

from sknn_iitb._engine.layers.layer import Kind, Layer, LayerSpec, Parameter
from sknn_iitb._engine.plain import kind
from sknn_iitb._jit.intrinsics import matmul, matmul_nt, matmul_tn, matrix_at

__all__ = ["Dense", "FirstDense", "dense_spec"]


def dense_forward(x, value, cache, layer, theta, batch):
    matmul(x, matrix_at(theta, layer.own[0], layer.n_in, layer.n_out), value)


def dense_backward(x, delta, cache, layer, theta, batch):
    weights = matrix_at(theta, layer.own[0], layer.n_in, layer.n_out)
    matmul_tn(x, delta, matrix_at(batch.gradient, layer.own[0], layer.n_in, layer.n_out))
    if layer.is_first:
        return
    if layer.n_out == 1:
        # an outer product: BLAS spends three times as long on packing its operands
        for i in range(x.shape[0]):
            for j in range(layer.n_in):
                x[i, j] = delta[i, 0] * weights[j, 0]
        return
    matmul_nt(delta, weights, x)


def dense_spec(n_in, n_out, weights):
    """The spec of ``x W``, where W begins at `weights`."""
    return LayerSpec(dense_forward, dense_backward, n_in, n_out, own=(weights,))


@kind("Dense")
@dataclass(frozen=True)
class Dense(Layer):
    """``x W``: dL/dW = x' delta, dL/dx = delta W'."""

    n_in: int
    n_out: int
    learning_rate: float = 1.0
    decay: float = 1.0

    def parameters(self):
        shape = self.n_in, self.n_out
        return {"coefs": Parameter(Kind.WEIGHT, shape, learning_rate=self.learning_rate, decay=self.decay)}

    def spec(self, start, mode):
        return dense_spec(self.n_in, self.n_out, start["coefs"])


@kind("FirstDense")
@dataclass(frozen=True)
class FirstDense(Dense):
    """The first dense layer; `dropout` is the dropout rate of the inputs."""

    dropout: float = 0.0

    def spec(self, start, mode):
        return mode.inputs.first_layer(self.n_in, self.n_out, start["coefs"], self.dropout if mode.dropout else 0.0)
