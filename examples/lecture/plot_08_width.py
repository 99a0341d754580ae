"""
Enough hidden units fit anything
================================

One hidden layer can approximate any continuous function, if it has enough units. Each
tanh unit adds one step, at a place and of a height that it learns.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sknn_iitb import MLPRegressor

# training ends after a fixed number of iterations on purpose
warnings.filterwarnings("ignore", category=ConvergenceWarning)

x = np.linspace(-1, 1, 400)[:, np.newaxis]
y = np.sin(3 * np.pi * x.ravel()) * np.exp(x.ravel())
widths = [1, 2, 4, 8]
errors, best = [], {}
for width in widths:
    nets = [
        MLPRegressor(
            hidden_layer_sizes=(width,),
            activation="tanh",
            init="lecun_normal",
            solver="lbfgs",
            alpha=0,
            tol=0,
            max_iter=2000,
            random_state=seed,
        ).fit(4 * x, y)
        for seed in range(3)
    ]
    rms = [np.sqrt(np.mean((net.predict(4 * x) - y) ** 2)) for net in nets]
    best[width] = nets[int(np.argmin(rms))]
    errors.append(min(rms))
    print(f"{width:2} units: root mean squared error {errors[-1]:.1e}")

figure, (above, below) = plt.subplots(2, 1, figsize=(5, 6), layout="constrained")
above.plot(x, y, color="0.3", linewidth=4, alpha=0.4, label="function")
for width in (1, 2, 8):
    above.plot(x, best[width].predict(4 * x), label=f"{width} hidden")
above.set(xlabel="x", ylabel="y")
above.legend(ncols=2)
below.plot(widths, errors, "o-")
below.set(xlabel="hidden units", ylabel="root mean squared error", yscale="log")
below.set_xscale("log")
below.set_xticks(widths, widths)
below.minorticks_off()
plt.show()
