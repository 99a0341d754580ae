"""The gradient and the updates of each layer during training."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from sknn_iitb._typing import Array, MatrixLike
from sknn_iitb.inspection._estimators import check_count
from sknn_iitb.inspection._figures import set_axes
from sknn_iitb.inspection._training import training_path

__all__ = ["GradientFlowDisplay", "gradient_flow"]

# range of the histogram of gradients, in powers of ten
_DECADES = 10


def gradient_flow(
    estimator: Any,
    X: MatrixLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    n_points: int = 50,
    member: int = 0,
) -> Bunch:
    """Train from the beginning and record the gradient and the updates of each layer.

    In a deep network with sigmoid neurons the gradient of the first layers vanishes: each layer multiplies it by slopes
    of at most 1/4 [1]_. With ReLU it stays of the same size.

    Parameters
    ----------
    estimator : estimator or Pipeline
        Estimator of this package with a first-order solver, or a pipeline that ends with one. A tabular estimator must
        be fitted; the others are cloned. It stays as it is.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        Training data.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights.
    n_points : int, default=50
        Maximum number of epochs to record, evenly spaced.
    member : int, default=0
        Which network of a tabular estimator. It is trained on all samples, from other initial weights than in `fit`.

    Returns
    -------
    result : Bunch
        - `epochs`, ndarray of int of shape (n,): the recorded epochs; 0 is the beginning.
        - `gradients`, dict of str to ndarray of shape (n,): for each array of parameters, such as ``coefs_[0]``, the
          root mean square of its gradient on all samples.
        - `updates`, dict of str to ndarray of shape (n - 1,): the root mean square of the change of its parameters
          from one recorded epoch to the next, per epoch, divided by that of the parameters.
        - `first_gradient`, `last_gradient`, dict of str to ndarray: the gradient of each array at the first and the
          last recorded epoch.
        - `losses`, ndarray of shape (n,): the loss on all samples, with its penalties and without dropout.

    Raises
    ------
    NotFittedError
        If a tabular estimator is not fitted.
    TypeError
        If it is not an estimator of this package.
    ValueError
        If its solver is 'lbfgs', or a parameter or the data are invalid.

    References
    ----------
    .. [1] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
       AISTATS 2010.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknn_iitb import MLPClassifier
    >>> from sknn_iitb.inspection import gradient_flow
    >>> X, y = load_digits(return_X_y=True)
    >>> deep = MLPClassifier([20] * 6, activation="logistic", learning_rate="cosine")
    >>> gradients = gradient_flow(deep.set_params(max_iter=3), X / 16, y).gradients
    >>> bool(gradients["coefs_[0]"][0] < 1e-3 * gradients["coefs_[6]"][0])
    True
    """
    check_count("n_points", n_points, 2)
    path = training_path(estimator, X, y, sample_weight, member, int(n_points))
    loss = path.loss
    losses, gradients = map(np.array, zip(*map(loss.value_and_gradient, path.thetas), strict=True))
    moves = np.diff(path.thetas, axis=0) / np.diff(path.epochs)[:, None]
    arrays = loss.arrays
    return Bunch(
        epochs=path.epochs,
        gradients={name: _size(gradients[:, where]) for name, where in arrays.items()},
        updates={
            name: _size(moves[:, where]) / np.maximum(_size(path.thetas[1:, where]), 1e-300)
            for name, where in arrays.items()
        },
        first_gradient={name: gradients[0, where] for name, where in arrays.items()},
        last_gradient={name: gradients[-1, where] for name, where in arrays.items()},
        losses=losses,
    )


def _size(values):
    """The root mean square of each row."""
    return np.sqrt(np.mean(values**2, axis=1))


class GradientFlowDisplay:
    """Plot of the size of the gradient of each layer over the epochs, and of its distribution over the weights.

    Create a display with :meth:`from_estimator`.

    Parameters
    ----------
    flow : Bunch
        What :func:`gradient_flow` returns.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first of `axes_`.
    axes_ : list of matplotlib Axes
        Those of the gradients over the epochs, of the updates, and of the last gradient of the single weights.
    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    gradient_flow : The numbers.
    """

    ax_: Any
    axes_: list[Any]
    figure_: Any

    def __init__(self, flow: Bunch) -> None:
        self.flow = flow

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        n_points: int = 50,
        member: int = 0,
        ax: Any = None,
    ) -> Self:
        """Train from the beginning and plot the gradients.

        Parameters
        ----------
        estimator : estimator or Pipeline
            Estimator of this package, or a pipeline that ends with one. A tabular estimator must be fitted.
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.
        n_points : int, default=50
            Maximum number of epochs to record.
        member : int, default=0
            Which network of a tabular estimator.
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.

        Returns
        -------
        display : GradientFlowDisplay

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As :func:`gradient_flow`.
        """
        return cls(gradient_flow(estimator, X, y, sample_weight, n_points=n_points, member=member)).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the gradients, the updates and the distribution of the last gradient for each weight matrix.

        Parameters
        ----------
        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.

        Returns
        -------
        self : GradientFlowDisplay
        """
        axes = set_axes(self, ax, ["gradients", "updates", "last gradient"])
        from matplotlib import colormaps

        names = [name for name in self.flow.gradients if name.startswith("coefs_")]
        colors = colormaps["viridis"](np.linspace(0, 0.85, len(names)))
        logarithms = {name: np.log10(_positive(abs(self.flow.last_gradient[name]))) for name in names}
        largest = np.nanmax([np.nanmax(values, initial=-300.0) for values in logarithms.values()])
        bins = np.linspace(largest - _DECADES, largest, 81)
        for name, color in zip(names, colors, strict=True):
            label = f"layer {int(name[7:-1]) + 1}"
            axes[0].plot(self.flow.epochs, _positive(self.flow.gradients[name]), color=color, label=label)
            axes[1].plot(self.flow.epochs[1:], _positive(self.flow.updates[name]), color=color)
            axes[2].hist(logarithms[name], bins=bins, histtype="step", density=True, color=color)
        axes[0].set(yscale="log", xlabel="epoch", ylabel="gradient (RMS)")
        axes[1].set(yscale="log", xlabel="epoch", ylabel="change per epoch,\nrelative to the weights")
        axes[2].set(xlabel="log10 of the absolute gradient of a weight, last epoch", ylabel="density")
        owner, place = (self.figure_, "outside upper center") if ax is None else (axes[0], "best")
        owner.legend(loc=place, fontsize="small", ncols=min(4, len(names)))
        return self


def _positive(values: Array) -> Array:
    """The values, with NaN for zeros, which have no logarithm."""
    return np.where(values > 0, values, np.nan)
