"""Networks of other libraries, wrapped as estimators for timing.

``fit`` continues training for `max_iter` epochs and keeps what is compiled. The extra `bench` installs the libraries;
those that are missing are skipped.
"""

import importlib.util
import os
import sys
from itertools import pairwise

import numpy as np

__all__ = ["PEERS"]

_ALPHA = 1e-4  # scikit-learn's default


class _Peer:
    """A network trained by Adam with scikit-learn's defaults."""

    module = None

    def __init__(self, units, regression, batch_size, activation, n_threads, dtype):
        self.units, self.regression, self.batch_size, self.activation = units, regression, batch_size, activation
        self.n_threads, self.dtype = n_threads, dtype

    @classmethod
    def is_installed(cls):
        return importlib.util.find_spec(cls.module) is not None

    def set_params(self, max_iter):
        self.n_iter_ = max_iter

    def targets(self, y):
        binary = not self.regression and self.units[-1] == 1
        return y[:, None].astype(self.dtype) if self.regression or binary else y


class Torch(_Peer):
    """PyTorch modules, loss and fused optimizer in a loop over batches."""

    name, module, compiles = "PyTorch", "torch", False

    def fit(self, X, y):
        import torch

        torch.set_num_threads(self.n_threads)
        if not hasattr(self, "_step"):
            self._step = self._build(torch)
        X, y = torch.from_numpy(X), torch.from_numpy(self.targets(y))
        for _ in range(self.n_iter_):
            for rows in torch.randperm(len(X)).split(self.batch_size):
                self._step(X[rows], y[rows])
        return self

    def _build(self, torch):
        kind = getattr(torch, self.dtype)
        activation = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "logistic": torch.nn.Sigmoid, "gelu": torch.nn.GELU}
        layers = []
        for n_in, n_out in pairwise(self.units):
            layers += [torch.nn.Linear(n_in, n_out, dtype=kind), activation[self.activation]()]
        net = torch.nn.Sequential(*layers[:-1])
        if self.regression:
            loss = torch.nn.MSELoss()
        else:
            loss = torch.nn.BCEWithLogitsLoss() if self.units[-1] == 1 else torch.nn.CrossEntropyLoss()
        decay = _ALPHA / self.batch_size
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, eps=1e-8, weight_decay=decay, fused=True)

        def gradient(x, y):
            loss(net(x), y).backward()

        if self.compiles:
            gradient = torch.compile(gradient)

        def step(x, y):
            optimizer.zero_grad()
            gradient(x, y)
            optimizer.step()

        return step


class CompiledTorch(Torch):
    """The same network with torch.compile."""

    name, compiles = "compiled", True


class Jax(_Peer):
    """An epoch as one compiled scan over its batches. An incomplete last batch is dropped."""

    name, module = "JAX", "jax"

    def fit(self, X, y):
        if "jax" not in sys.modules and self.n_threads == 1:
            flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
            os.environ.setdefault("XLA_FLAGS", flags)
            os.environ.setdefault("NPROC", "1")
        import jax

        jax.config.update("jax_enable_x64", True)
        if not hasattr(self, "_epoch"):
            self._epoch, self._state = self._build(jax)
        X, y = jax.numpy.asarray(X), jax.numpy.asarray(self.targets(y))
        rng = np.random.RandomState(0)
        n_batches = len(X) // self.batch_size
        for _ in range(self.n_iter_):
            order = rng.permutation(len(X))[: n_batches * self.batch_size].reshape(n_batches, self.batch_size)
            self._state = self._epoch(self._state, X, y, order)
        jax.block_until_ready(self._state)
        return self

    def _build(self, jax):
        jnp = jax.numpy
        activation = {"relu": jax.nn.relu, "tanh": jnp.tanh, "logistic": jax.nn.sigmoid, "gelu": jax.nn.gelu}
        g = activation[self.activation]

        def loss(parameters, x, y):
            for weights, bias in parameters[:-1]:
                x = g(x @ weights + bias)
            weights, bias = parameters[-1]
            z = x @ weights + bias
            if self.regression:
                each = 0.5 * jnp.square(z - y)
            elif self.units[-1] == 1:
                each = jax.nn.softplus(z) - y * z
            else:
                each = -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1)
            penalty = sum((weights**2).sum() for weights, _ in parameters)
            return each.mean() + 0.5 * _ALPHA / self.batch_size * penalty

        def step(carry, rows, X, y):
            parameters, means, squares, t = carry
            gradient = jax.grad(loss)(parameters, X[rows], y[rows])
            t = t + 1
            rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            means = jax.tree.map(lambda m, d: 0.9 * m + 0.1 * d, means, gradient)
            squares = jax.tree.map(lambda v, d: 0.999 * v + 0.001 * d * d, squares, gradient)
            parameters = jax.tree.map(
                lambda p, m, v: p - rate.astype(p.dtype) * m / (jnp.sqrt(v) + 1e-8), parameters, means, squares
            )
            return (parameters, means, squares, t), None

        @jax.jit
        def epoch(carry, X, y, order):
            return jax.lax.scan(lambda carry, rows: step(carry, rows, X, y), carry, order)[0]

        rng = np.random.RandomState(0)
        parameters = [
            (
                jnp.asarray(rng.normal(scale=(2 / n_in) ** 0.5, size=(n_in, n_out)).astype(self.dtype)),
                jnp.zeros(n_out, self.dtype),
            )
            for n_in, n_out in pairwise(self.units)
        ]
        nothing = jax.tree.map(jnp.zeros_like, parameters)
        return epoch, (parameters, nothing, nothing, jnp.zeros((), jnp.int32))


PEERS = [Torch, CompiledTorch, Jax]
