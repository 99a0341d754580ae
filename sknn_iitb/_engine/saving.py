"""What pickle, joblib and skops save of an estimator, and the check of what they load."""

from collections.abc import Callable
from typing import Any, Self

from sknn_iitb._engine.plain import from_plain, to_plain
from sknn_iitb._version import __version__

__all__ = ["MIGRATIONS", "SCHEMA", "SavedStateMixin"]

# Raise it with any change of the saved state, add a function to MIGRATIONS, and keep the files in tests/data.
SCHEMA = 2


def _from_schema_1(state):
    """Forget the order of the last epoch, which was an array of rows, and add the batch size of ensembles."""
    if "_optimizer" in state:
        state = state | {"_optimizer": state["_optimizer"] | {"order": None}}
    if "members_" in state:
        state = state | {"batch_size_": state["batch_size"]}
    return state


# by the schema that it reads: a function that turns a saved state into that of the next schema
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_schema_1}

_SCHEMA, _VERSION = "_schema", "_version"


class SavedStateMixin:
    """Save fitted attributes as plain values, with the version of the package and the number of their schema.

    A subclass may override ``_restored()``, which is called after loading, to rebuild what was not saved and to check
    the rest. Parameters are saved as the user set them.
    """

    def __copy__(self) -> Self:
        """A copy that shares the attributes."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        return other

    def __getstate__(self) -> dict[str, Any]:
        """The parameters and the fitted attributes."""
        parameters = type(self)._get_param_names()
        state = {name: value if name in parameters else to_plain(value) for name, value in self._saved().items()}
        return {_SCHEMA: SCHEMA, _VERSION: __version__, **state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`__getstate__` has returned, in this or an earlier version.

        Raises
        ------
        ValueError
            If the state is of a newer or unknown schema, or damaged.
        """
        name = type(self).__name__
        schema = state.get(_SCHEMA) if isinstance(state, dict) else None
        if type(schema) is not int or not min(MIGRATIONS, default=SCHEMA) <= schema <= SCHEMA:
            author = f"version {state[_VERSION]}" if schema is not None and _VERSION in state else "another version"
            raise ValueError(
                f"This {name} was saved by {author} of sknn_iitb, with schema {schema!r}; version {__version__} reads "
                f"schemas {min(MIGRATIONS, default=SCHEMA)} to {SCHEMA}. Load it with the version that saved it."
            )
        parameters = type(self)._get_param_names()
        try:
            for number in range(schema, SCHEMA):
                state = MIGRATIONS[number](state)
            vars(self).update(
                (key, value if key in parameters else from_plain(value))
                for key, value in state.items()
                if key not in (_SCHEMA, _VERSION)
            )
            self._restored()
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            vars(self).clear()
            raise ValueError(f"This saved {name} is damaged: {error}.") from error

    def _saved(self):
        """The attributes to save."""
        return dict(vars(self))

    def _restored(self):
        """Rebuild what was not saved, and check the rest."""
