"""Errors about the data that name the argument."""

import re
from contextlib import contextmanager

__all__ = ["naming"]


@contextmanager
def naming(argument):
    """Within this context, errors of the conversion or validation of an argument name it.

    The messages of NumPy and SciPy never do, those of scikit-learn not always. OverflowError, of an integer that is too
    large for a float, becomes ValueError.

    Parameters
    ----------
    argument : str
    """
    try:
        yield
    except (ArithmeticError, TypeError, ValueError) as error:
        is_arithmetic = isinstance(error, ArithmeticError)
        if not is_arithmetic and re.search(rf"\b{argument}\b", str(error)):
            raise
        raise (TypeError if isinstance(error, TypeError) else ValueError)(f"{argument}: {error}") from error
