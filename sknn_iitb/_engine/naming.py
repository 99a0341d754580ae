"""Errors about the data that name the argument."""

import re
from contextlib import contextmanager

__all__ = ["naming"]


@contextmanager
def naming(argument, other=None):
    """Within this context, errors of the conversion or validation of an argument name it.

    The messages of NumPy and SciPy never do, those of scikit-learn not always. OverflowError, of an integer that is too
    large for a float, becomes ValueError.

    Parameters
    ----------
    argument : str
    other : str, default=None
        An argument that the error may name instead, at the start of its message.
    """
    try:
        yield
    except (ArithmeticError, TypeError, ValueError) as error:
        names_it = re.search(rf"\b{argument}\b", str(error)) or (other and re.match(rf"`?{other}\b", str(error)))
        if names_it and not isinstance(error, ArithmeticError):
            raise
        raise (TypeError if isinstance(error, TypeError) else ValueError)(f"{argument}: {error}") from error
