"""Losses that couple the outputs of a row, as softmax does: loops over a batch.

``groups`` holds the bounds of the output groups: with several targets, each has its own softmax. Losses of softmax take
raw scores.
"""

import numpy as np

from sknn_iitb._jit.intrinsics import inlined, row, vector_at
from sknn_iitb._jit.math import exp

__all__ = ["gaussian", "quantiles", "softmax_focal", "softmax_log_loss", "softmax_squared_error"]


def exponentials(score, out, groups):
    """Write e**(z - the largest z of its group) into `out`."""
    for i in range(score.shape[0]):
        for b in range(groups.size - 1):
            largest = score[i, groups[b]]
            for j in range(groups[b] + 1, groups[b + 1]):
                if score[i, j] > largest:
                    largest = score[i, j]
            for j in range(groups[b], groups[b + 1]):
                out[i, j] = score[i, j] - largest
    flat = vector_at(out, 0, out.size)  # rows are short: exp vectorizes only over all of them
    for i in range(flat.size):
        flat[i] = exp(flat[i])


exponentials = inlined(exponentials)


def softmax_log_loss(score, target, weight, gradient, hyper, groups):
    exponentials(score, gradient, groups)
    total = 0.0
    for i in range(score.shape[0]):
        z, y, g = row(score, i), row(target, i), row(gradient, i)
        for b in range(groups.size - 1):
            mass, in_target, below = z.dtype.type(0), z.dtype.type(0), z.dtype.type(0)
            largest = z[groups[b]]
            for j in range(groups[b] + 1, groups[b + 1]):
                if z[j] > largest:
                    largest = z[j]
            for j in range(groups[b], groups[b + 1]):
                mass += g[j]
                in_target += y[j]
                below += y[j] * (largest - z[j])
            # sum_j y_j (log sum_k e**z_k - z_j), both relative to the largest z: scores may be large
            total += weight[i, 0] * (in_target * np.log(mass) + below)
            inverse = weight[i, 0] / mass
            for j in range(groups[b], groups[b + 1]):
                g[j] = g[j] * inverse - weight[i, 0] * y[j]
    return total


def softmax_squared_error(score, target, weight, gradient, hyper, groups):
    half = score.dtype.type(0.5)
    exponentials(score, gradient, groups)
    total = 0.0
    for i in range(score.shape[0]):
        for b in range(groups.size - 1):
            y, g = target[i, groups[b] : groups[b + 1]], gradient[i, groups[b] : groups[b + 1]]
            mass = g.sum()
            row, inner = y.dtype.type(0), y.dtype.type(0)
            for j in range(g.size):
                p = g[j] / mass
                g[j] = p
                row += half * (p - y[j]) * (p - y[j])
                inner += p * (p - y[j])
            for j in range(g.size):
                # the Jacobian diag(p) - p p' applied to p - y
                g[j] = weight[i, 0] * g[j] * ((g[j] - y[j]) - inner)
            total += weight[i, 0] * row
    return total


def softmax_focal(score, target, weight, gradient, hyper, groups):
    exponentials(score, gradient, groups)
    zero, one, focus = score.dtype.type(0), score.dtype.type(1), hyper[0]
    total = 0.0
    for i in range(score.shape[0]):
        for b in range(groups.size - 1):
            z, y = score[i, groups[b] : groups[b + 1]], target[i, groups[b] : groups[b + 1]]
            g = gradient[i, groups[b] : groups[b + 1]]
            mass, largest = g.sum(), z.max()
            log_mass = np.log(mass)
            row, inner = zero, zero
            for j in range(g.size):
                if y[j] > 0:
                    # the minimum changes nothing, but keeps the compiler from adding log_mass to a large score first
                    p, log_p = g[j] / mass, min(z[j] - largest, zero) - log_mass
                    q = (mass - g[j]) / mass
                    unsure = q**focus
                    # d loss / d p_j, times p_j; log p / (1 - p) is -1 at p = 1
                    slope = focus * p * unsure * (log_p / q if q > 0 else -one) - unsure
                    row -= y[j] * unsure * log_p
                    inner += y[j] * slope
            for j in range(g.size):
                p, q = g[j] / mass, (mass - g[j]) / mass
                change = -p * inner
                if y[j] > 0:
                    log_p, unsure = min(z[j] - largest, zero) - log_mass, q**focus
                    change += y[j] * (focus * p * unsure * (log_p / q if q > 0 else -one) - unsure)
                g[j] = weight[i, 0] * change
            total += weight[i, 0] * row
    return total


def quantiles(value, target, weight, gradient, hyper, groups):
    total = 0.0
    for i in range(value.shape[0]):
        for j in range(value.shape[1]):
            q = hyper[j % hyper.size]
            residual = value[i, j] - target[i, j]
            slope = 1 - q if residual > 0 else (-q if residual < 0 else residual)
            total += weight[i, j] * slope * residual
            gradient[i, j] = weight[i, j] * slope
    return total


def gaussian(value, target, weight, gradient, hyper, groups):
    n = value.shape[1] // 2
    half, floor = value.dtype.type(0.5), hyper[0]
    total = 0.0
    for i in range(value.shape[0]):
        for j in range(n):
            residual = value[i, j] - target[i, j]
            spread = exp(value[i, n + j])
            variance = spread + floor
            total += weight[i, j] * half * (np.log(variance) + residual * residual / variance)
            gradient[i, j] = weight[i, j] * residual / variance
            gradient[i, n + j] = weight[i, j] * half * (1 - residual * residual / variance) * (spread / variance)
    return total
