"""Warnings that point to the user's code, however deep in the package they are raised."""

import os
import sys
import warnings
from pathlib import Path

import joblib
import sklearn

__all__ = ["deprecated", "warn"]

# code between the user's line and ours: a decorator of scikit-learn's, a Pipeline, a search
_SKIPPED = tuple(f"{Path(file).parent}{os.sep}" for file in (Path(__file__).parent, sklearn.__file__, joblib.__file__))


def warn(message, category=UserWarning):
    """Warn at the nearest line outside this package, scikit-learn and joblib.

    Parameters
    ----------
    message : str
    category : type, default=UserWarning
    """
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_SKIPPED):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level + 1)


def deprecated(what, instead, removed_in):
    """Warn that something will be removed; Python shows it once for each line of the user's.

    Parameters
    ----------
    what : str
        Such as "The parameter x of MLPClassifier".
    instead : str
        What to write instead.
    removed_in : str
        The version without it; a test fails when it is reached.
    """
    warn(f"{what} is deprecated and will be removed in version {removed_in}. Use {instead}.", FutureWarning)
