"""
Learning-rate decay
===================

Near a minimum, the noise of mini-batches keeps a constant learning rate from settling:
the parameters hover at a distance that grows with the rate. A rate that decays moves
fast at first and settles later.
"""

import matplotlib.pyplot as plt
import numpy as np

from sknn_iitb.inspection import optimizer_paths
from sknn_iitb.optimizers import SGD

# The noise of the gradient stands for the choice of the mini-batch.
schedules = {
    "constant 0.3": ("constant", 0.3),
    "constant 0.003": ("constant", 0.003),
    "0.3, linear": ("linear", 0.3),
    "0.3, cosine": ("cosine", 0.3),
}
styles = ["-", "-", "--", ":"]  # not only colors tell the lines apart
ends = {}
figure, ax = plt.subplots(figsize=(5, 3.75), layout="constrained")
for style, (label, (schedule, rate)) in zip(styles, schedules.items(), strict=True):
    runs = [
        optimizer_paths(
            "bowl",
            SGD(momentum=0),
            learning_rate_init=rate,
            learning_rate=schedule,
            n_steps=1000,
            noise=1.0,
            random_state=seed,
        )
        for seed in range(20)
    ]
    heights = np.mean([next(iter(run.heights.values())) for run in runs], axis=0)
    ends[label] = heights[-20:].mean()
    ax.plot(heights, style, label=label)
    print(f"{label}: mean value {ends[label]:.1e} at the end")
ax.set(xlabel="update", ylabel="value, mean of 20 runs", yscale="log")
ax.legend()
plt.show()
