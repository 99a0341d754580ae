"""
Custom components
=================

A custom activation, loss, optimizer and learning-rate schedule, each written as a plain
function and used on real data. The activation, loss and optimizer are compiled like the
built-in ones and run at the same speed.
"""

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier, MLPRegressor


# [activation]
def bent_identity(z):
    """Value and derivative of (sqrt(z**2 + 1) - 1) / 2 + z."""
    root = np.sqrt(z * z + 1.0)
    return 0.5 * (root - 1.0) + z, 0.5 * z / root + 1.0


def accuracy_with_custom_activation():
    X, y = load_breast_cancer(return_X_y=True)
    net = MLPClassifier(activation=bent_identity, tol=1e-3, random_state=0)
    return cross_val_score(make_pipeline(StandardScaler(), net), X, y).mean()


# [/activation]


# [loss]
def expectile(value, target):
    """Squared error, nine times as large below the target, and its derivative."""
    residual = value - target
    weight = 0.1 if residual > 0.0 else 0.9
    return weight * residual * residual, 2.0 * weight * residual


def fraction_below_with_custom_loss():
    X, y = load_diabetes(return_X_y=True)
    net = MLPRegressor(loss=expectile, tol=1e-3, random_state=0)
    model = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), net), transformer=StandardScaler()
    )
    return np.mean(y <= cross_val_predict(model, X, y))


# [/loss]


# [optimizer]
def signum(theta, gradient, optimizer_state, hyper, step):
    """Step by the learning rate against the sign of the gradient's moving average."""
    mean = optimizer_state[0]
    for i in range(theta.size):
        mean[i] = 0.9 * mean[i] + 0.1 * gradient[i]
        theta[i] -= step.learning_rate * np.sign(mean[i])


def accuracy_with_custom_optimizer():
    X, y = load_digits(return_X_y=True)
    net = MLPClassifier(solver=signum, tol=1e-3, random_state=0)
    return cross_val_score(make_pipeline(StandardScaler(), net), X, y).mean()


# [/optimizer]


# [schedule]
def sawtooth(step, n_steps):
    """Decay from 1 towards 0 four times during training."""
    return 1.0 - 4 * step / n_steps % 1.0


def search_with_custom_schedule():
    X, y = load_breast_cancer(return_X_y=True)
    net = MLPClassifier(
        solver="sgd", learning_rate_init=0.01, max_iter=80, tol=1e-3, random_state=0
    )
    grid = {"mlpclassifier__learning_rate": ["constant", "cosine", sawtooth]}
    return GridSearchCV(make_pipeline(StandardScaler(), net), grid).fit(X, y)


# [/schedule]


if __name__ == "__main__":
    accuracy = accuracy_with_custom_activation()
    print(f"bent_identity activation, breast cancer: accuracy {accuracy:.3f}")
    fraction = fraction_below_with_custom_loss()
    print(
        f"expectile loss, diabetes: {fraction:.0%} of the targets below the prediction"
    )
    accuracy = accuracy_with_custom_optimizer()
    print(f"signum optimizer, digits: accuracy {accuracy:.3f}")
    results = search_with_custom_schedule().cv_results_
    for params, accuracy in zip(
        results["params"], results["mean_test_score"], strict=True
    ):
        (schedule,) = params.values()
        name = getattr(schedule, "__name__", schedule)
        print(f"{name} schedule, breast cancer: accuracy {accuracy:.3f}")
