"""The summary of a fitted estimator."""

from typing import Any

from sknn_iitb._engine.description import Description, description
from sknn_iitb.inspection._estimators import last_step

__all__ = ["describe"]


def describe(estimator: Any) -> Description:
    """Summarize the layers and the training of a fitted estimator.

    A notebook shows the same below the parameters of an estimator, also inside a pipeline or a search.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor or Pipeline that ends with one
        Fitted estimator.

    Returns
    -------
    description : dict
        Printed as a table, it has these entries.

        estimator : str
            Name of the class.
        n_parameters : int
            Number of trained parameters, in all networks.
        n_multiply_adds : int
            Number of multiplications of weights for a prediction of one row, in all networks. Those of bins and
            splines, most of which are skipped, count in full.
        networks : list of dict
            For each network, its `layers` (a list of dict with `n_inputs`, `n_neurons`, `activation`, `n_parameters`
            and `n_multiply_adds`), `solver`, `learning_rate_init` and `learning_rate` (the schedule), both None for
            lbfgs, `batch_size`, `n_epochs`, the last training `loss`, None if it is not known, and the `loss_curve`, a
            list. These are the present parameters of the estimator, if they were set after `fit`.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is of another kind.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknn_iitb import MLPClassifier
    >>> from sknn_iitb.inspection import describe
    >>> net = MLPClassifier((20, 10), learning_rate="cosine", random_state=0)
    >>> net = net.fit(*load_iris(return_X_y=True))
    >>> found = describe(net)
    >>> print(found)  # doctest: +ELLIPSIS
    estimator         MLPClassifier
    layers            4 -> 20 relu -> 10 relu -> 3 softmax
    parameters        343
    multiply-adds     310 per row
    solver            adam
    learning rate     0.001, cosine
    batch size        at most 200
    epochs            ...
    loss              ...
    >>> found["n_parameters"]
    343
    """
    return description(last_step(estimator)[0])
