"""The summary of a fitted estimator, as a dict, as text and as HTML."""

from html import escape
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sknn_iitb._engine.layers import Kind
from sknn_iitb._registry import Custom

__all__ = ["Description", "DescriptionMixin", "description", "network_entries", "training_entries"]

_WIDTH, _HEIGHT = 180, 36


class Description(dict[str, Any]):
    """Summary of a fitted estimator: a dict that prints as a table.

    A notebook shows the table with a sparkline of the loss. :func:`~sknn_iitb.inspection.describe` lists the entries.
    """

    def __str__(self) -> str:
        return "\n".join(f"{name:<18}{text}" for name, text in self._rows())

    def _rows(self):
        networks = self["networks"]
        yield "estimator", self["estimator"]
        if len(networks) > 1:
            yield "networks", f"{len(networks):,}"
        for layers in _different(each["layers"] for each in networks):
            yield "layers", " -> ".join([f"{layers[0]['n_inputs']:,}", *map(_layer_text, layers)])
        yield "parameters", f"{self['n_parameters']:,}"
        yield "multiply-adds", f"{self['n_multiply_adds']:,} per row"
        for name, text in (("solver", _solver_text), ("learning rate", _rate_text), ("batch size", _batch_text)):
            if shown := _different(filter(None, map(text, networks))):
                yield name, "; ".join(shown)
        epochs = [each["n_epochs"] for each in networks]
        yield "epochs", ", ".join(f"{n:,}" for n in epochs)
        losses = [each["loss"] for each in networks if each["loss"] is not None]
        if losses:
            yield "loss", ", ".join(f"{loss:.4g}" for loss in losses)

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td style="text-align:left">{escape(name)}</td><td style="text-align:left">{escape(text)}</td></tr>'
            for name, text in self._rows()
        )
        curves = [each["loss_curve"] for each in self["networks"] if len(each["loss_curve"]) > 1]
        if curves:
            picture = sparkline(curves)
            rows += f'<tr><td style="text-align:left">loss curve</td><td style="text-align:left">{picture}</td></tr>'
        return f"<table>{rows}</table>"


def _different(each):
    found = []
    for one in each:
        if one not in found:
            found.append(one)
    return found


def _layer_text(layer):
    return f"{layer['n_neurons']:,} {layer['activation']}"


def _solver_text(network):
    return network["solver"]


def _rate_text(network):
    rate, schedule = network["learning_rate_init"], network["learning_rate"]
    return None if rate is None else f"{rate:.3g}, {schedule}"


def _batch_text(network):
    return {"auto": "at most 200", "full": "all samples"}.get(network["batch_size"], str(network["batch_size"]))


def sparkline(curves: Any) -> str:
    """A small picture of curves, as SVG, on a logarithmic scale if they are positive."""
    curves = [np.asarray(curve, dtype=float) for curve in curves]
    curves = [np.log(curve) for curve in curves] if min(curve.min() for curve in curves) > 0 else curves
    finite = np.concatenate([curve[np.isfinite(curve)] for curve in curves])
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    lines = []
    for curve in curves:
        x = np.linspace(1, _WIDTH - 1, len(curve))
        y = _HEIGHT - 2 - (_HEIGHT - 4) * (curve - low) / max(high - low, 1e-300)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True) if np.isfinite(b))
        lines.append(f'<polyline points="{points}" fill="none" stroke="#0072B2" stroke-width="1.2"/>')
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    return f'<svg {size} role="img" aria-label="training loss per epoch">{"".join(lines)}</svg>'


def component_text(component: Any) -> str:
    """An optimizer or a schedule: its name, or the call that creates it if its parameters are not the defaults."""
    if isinstance(component, Custom):
        return getattr(component.function, "__name__", type(component).__name__)
    call = " ".join(repr(component).split())
    return component.names[0] if component.names and call.endswith("()") else call


def training_entries(optimizer: Any, schedule: Any, learning_rate_init: float, batch_size: Any) -> dict[str, Any]:
    """How a network was trained; lbfgs has no learning rate."""
    has_rate = optimizer.kernel is not None
    return {
        "solver": component_text(optimizer),
        "learning_rate_init": float(learning_rate_init) if has_rate else None,
        "learning_rate": component_text(schedule) if has_rate else None,
        "batch_size": "full" if not has_rate or (batch_size == "auto" and optimizer.full_batch) else batch_size,
    }


def network_entries(
    network: Any, training: dict[str, Any], n_epochs: int, loss: float | None, loss_curve: Any
) -> dict[str, Any]:
    """The entry of a network."""
    layers = []
    for block, activation in zip(network.blocks, network.activations, strict=True):
        coefs = block[0].parameters()["coefs"].shape
        n_parameters = sum(
            int(np.prod(each.shape))
            for layer in block
            for each in layer.parameters().values()
            if each.kind is not Kind.MOMENT
        )
        layers.append(
            {
                "n_inputs": block[0].n_in,
                "n_neurons": block[0].n_out,
                "activation": activation.label,
                "n_parameters": n_parameters,
                "n_multiply_adds": int(np.prod(coefs)),
            }
        )
    results = {"n_epochs": int(n_epochs), "loss": loss, "loss_curve": list(loss_curve)}
    return {"layers": layers, **training, **results}


def description(estimator: Any) -> Description:
    """The description of a fitted estimator of this package."""
    estimator._validate_params()  # they may have been set since
    networks = estimator._described_networks()
    layers = [layer for each in networks for layer in each["layers"]]
    return Description(
        estimator=type(estimator).__name__,
        n_parameters=sum(layer["n_parameters"] for layer in layers),
        n_multiply_adds=sum(layer["n_multiply_adds"] for layer in layers),
        networks=networks,
    )


class DescriptionMixin(BaseEstimator):
    """Adds the description to the HTML with which a notebook shows an estimator, alone or inside another one."""

    def _get_params_html(self, *args, **options):
        params = super()._get_params_html(*args, **options)
        parameters = params._repr_html_inner
        params._repr_html_inner = lambda: parameters() + self._description_html()
        return params

    def _description_html(self):
        try:
            check_is_fitted(self)
            table = description(self)._repr_html_()
        except (NotFittedError, ValueError):  # parameters may have been set to invalid values since
            return ""
        summary = "<summary>Layers and training</summary>"
        return f'<div class="estimator-table"><details>{summary}{table}</details></div>'
