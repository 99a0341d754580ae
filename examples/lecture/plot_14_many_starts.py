"""
From 100 starts
===============

Three hidden units can tell whether the number of ones among three bits is odd, but not
from every start: some networks end at a saddle point or in a poor local minimum. After
the same number of epochs, more of them get to the best minimum with small batches,
which make more updates and whose noise helps to leave bad places.
"""

import itertools
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sknn_iitb import MLPClassifier

# training ends after a fixed number of epochs on purpose
warnings.filterwarnings("ignore", category=ConvergenceWarning)

X = np.array(list(itertools.product([-1.0, 1.0], repeat=3)))
y = (X > 0).sum(axis=1) % 2
losses = {}
for batch_size in (1, 2, 4, 8):
    losses[batch_size] = np.array(
        [
            MLPClassifier(
                (3,),
                activation="tanh",
                solver="sgd",
                momentum=0,
                learning_rate_init=0.1,
                alpha=0,
                batch_size=batch_size,
                max_iter=700,
                tol=0,
                n_iter_no_change=700,
                random_state=seed,
            )
            .fit(X, y)
            .loss_
            for seed in range(100)
        ]
    )
    share = np.mean(losses[batch_size] < 0.1)
    print(f"batches of {batch_size}: {share:.0%} of 100 starts reach the best minimum")

# %%
# With ten times the learning rate, the difference is gone, and with thirty times,
# single samples are too noisy: about one start in ten gets there. Batch size and rate
# go together.

figure, ax = plt.subplots(figsize=(5, 3.75), layout="constrained")
for batch_size, of_starts in losses.items():
    share = np.mean(of_starts < 0.1)
    label = f"batches of {batch_size}: {share:.0%} below 0.1"
    color = plt.get_cmap("viridis")(np.log2(batch_size) / 3.5)
    ax.plot(np.arange(1, 101), np.sort(of_starts), color=color, label=label)
ax.set(xlabel="starts, by their loss", ylabel="loss after 700 epochs", yscale="log")
ax.legend()
plt.show()
