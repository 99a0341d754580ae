"""What all estimators on a cluster share: the parameter `client`, and the estimator for one machine."""

import copy
import inspect
import re
from typing import Any

from sknn_iitb._suggestions import names_checked

__all__ = ["ClientMixin", "with_parameters_of"]


class ClientMixin:
    """The parameter `client`, and the estimator for one machine, which is the next class in the bases."""

    # parameters that the estimator for one machine does not have
    _own: tuple = ("client",)

    @classmethod
    def _local_class(cls):
        """The estimator for one machine."""
        return next(each for each in cls.__mro__ if not issubclass(each, ClientMixin) and hasattr(each, "fit"))

    def to_local(self) -> Any:
        """The estimator for one machine, with the same parameters and fitted attributes, which are copied.

        Returns
        -------
        estimator : estimator instance
        """
        local = self._local_class()(**self._local_params())
        others = {*self._get_param_names(), "_rounds", "_skl_callbacks"}
        vars(local).update(copy.deepcopy({k: v for k, v in vars(self).items() if k not in others}))
        return local

    def _local_params(self):
        return {name: value for name, value in self.get_params(deep=False).items() if name not in self._own}

    def _saved(self):
        return {name: value for name, value in super()._saved().items() if name != "_rounds"} | {"client": None}

    def __sklearn_clone__(self):
        client, other = self.client, copy.copy(self)
        other.client = None
        other = super(ClientMixin, other).__sklearn_clone__()
        other.client = client
        return other


def with_parameters_of(parent):
    """Decorate a class: its signature and docstring have the parameters and attributes of another as well.

    Parameters
    ----------
    parent : type
        The estimator for one machine.
    """

    def decorate(cls):
        own = inspect.signature(cls.__init__).parameters
        inherited = inspect.signature(parent.__init__).parameters
        named = [each for each in own.values() if each.kind is each.KEYWORD_ONLY]
        cls.__init__.__signature__ = inspect.Signature([*inherited.values(), *named])
        cls.__init__ = names_checked(cls.__init__)
        if cls.__doc__ is not None:  # as with python -OO
            plain = re.sub(r" \[\d\]_", "", inspect.cleandoc(parent.__doc__))  # without its references
            sections = re.split(r"^(\w[\w ]+)\n-+\n", plain, flags=re.MULTILINE)
            found = dict(zip(sections[1::2], sections[2::2], strict=True))
            doc = inspect.cleandoc(cls.__doc__)
            doc = doc.replace("Parameters\n----------\n", f"Parameters\n----------\n{found['Parameters'].rstrip()}\n\n")
            cls.__doc__ = doc.replace(
                "See Also\n", f"Attributes\n----------\n{found['Attributes'].rstrip()}\n\nSee Also\n"
            )
        return cls

    return decorate
