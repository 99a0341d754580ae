"""
Learning-rate schedules
=======================

The factor by which each schedule multiplies the learning rate, with its default
parameters, over 60 epochs of 10 updates. Schedules apply to every solver except lbfgs.

Two schedules depend on the loss, which is assumed here to improve until epoch 20 and to
stay constant afterwards. Plateau then halves the learning rate every four epochs.
Adaptive waits until training would stop and divides it by five. Invscaling depends only
on the number of samples, which is 200 here.
"""

import matplotlib.pyplot as plt
import numpy as np

from sknn_iitb.schedules import SCHEDULES, WarmUp

N_EPOCHS, N_STEPS, N_SAMPLES, N_ITER_NO_CHANGE = 60, 10, 200, 10
LAST_IMPROVEMENT = 20


def curve(schedule):
    """The factor of each update."""
    divisor, waited, result = 1.0, 0, []
    for epoch in range(N_EPOCHS):
        steps = np.arange(epoch * N_STEPS, (epoch + 1) * N_STEPS)
        result.append(schedule.factors(steps, N_EPOCHS * N_STEPS, N_STEPS) / divisor)
        waited = waited + 1 if epoch > LAST_IMPROVEMENT else 0
        divisor = schedule.after_epoch(divisor, (epoch + 1) * N_SAMPLES, waited)
        if waited > N_ITER_NO_CHANGE:
            lowered = schedule.instead_of_stopping(divisor, 1 / divisor)
            divisor, waited = (divisor, waited) if lowered is None else (lowered, 0)
    return np.concatenate(result)


curves = {cls.names[0]: curve(cls()) for cls in SCHEDULES}
curves["cosine with warm-up"] = curve(WarmUp("cosine", duration=0.1))

n_columns = 2
n_rows = -(-len(curves) // n_columns)
figure, axes = plt.subplots(
    n_rows,
    n_columns,
    figsize=(5, 1.3 * n_rows),
    sharex=True,
    sharey=True,
    layout="constrained",
)
epochs = np.arange(N_EPOCHS * N_STEPS) / N_STEPS
for ax, (name, factor) in zip(axes.flat, curves.items(), strict=False):
    ax.plot(epochs, factor, linewidth=2)
    ax.fill_between(epochs, factor, alpha=0.15)
    ax.set_title(name, fontsize="medium")
    ax.set_ylim(0, 1.08)
for ax in axes.flat[len(curves) :]:
    ax.axis("off")
for ax in axes.flat[len(curves) - n_columns : len(curves)]:
    ax.tick_params(labelbottom=True)
figure.supxlabel("epoch")
figure.supylabel("learning-rate factor")

plt.show()
