"""
Saddle points
=============

At a saddle point the gradient is zero, but some directions go down: the Hessian has a
negative eigenvalue. Plain gradient descent that begins close to the ridge stays there
for a long time. The noise of mini-batches, momentum and the scaling of Adam all help.
"""

import matplotlib.pyplot as plt
import numpy as np

from sknn_iitb import MLPRegressor
from sknn_iitb.inspection import OptimizerPathDisplay, curvature, optimizer_paths
from sknn_iitb.optimizers import SGD

plain = SGD(momentum=0)
display = OptimizerPathDisplay.from_surface(
    "saddle", [plain, "sgd", "adam"], learning_rate_init=0.02
)
for label, heights in display.heights.items():
    print(f"{label}: {heights[-1]:.4f} after 200 updates")
noisy = optimizer_paths("saddle", plain, learning_rate_init=0.02, noise=0.5)
print(f"with noisy gradients: {noisy.heights[repr(plain)][-1]:.4f}")

# %%
# A network whose weights are all zero is at a saddle point: no weight can improve the
# loss on its own, but two of them together can.

x = np.linspace(-1, 1, 50)[:, None]
net = MLPRegressor(
    hidden_layer_sizes=(1,), activation="tanh", alpha=0, learning_rate="cosine"
)
net.fit(x, x.ravel())
net.parameters_ = np.zeros(4)
found = curvature(net, x, x.ravel(), n_eigenvalues=1)
print(f"{found.shape}: gradient {found.gradient_norm:.1e}, eigenvalues from", end=" ")
print(f"{found.smallest[0]:.3f} to {found.largest[0]:.3f}")
plt.show()
