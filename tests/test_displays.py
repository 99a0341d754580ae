"""The convention that all displays follow: from_..., plot(ax=None), ax_, axes_, figure_ and one size."""

from inspect import signature

import numpy as np
import pytest
from sklearn.datasets import make_moons

from sknn_iitb import MLPClassifier, inspection
from sknn_iitb.inspection import (
    ActivationDisplay,
    DecisionRegionDisplay,
    GradientFlowDisplay,
    ImportanceDisplay,
    LearningRateRangeDisplay,
    LossCurveDisplay,
    LossSurfaceDisplay,
    NetworkDisplay,
    OptimizerPathDisplay,
)
from sknn_iitb.inspection._figures import WIDTH

X, y = make_moons(120, noise=0.1, random_state=0)
CLASSES = [getattr(inspection, name) for name in inspection.__all__ if name.endswith("Display")]
AX = """        ax : matplotlib Axes, list of them or None, default=None
            Axes to plot on, one for each panel, as in `axes_`. None creates a new figure.
"""
NET = MLPClassifier((4, 3), max_iter=3, n_iter_no_change=3, learning_rate="cosine", random_state=0)

# by name, a display and the number of its panels; `options` are those of plotting
DISPLAYS = {
    "activation": (lambda net, **options: ActivationDisplay.from_activation(["relu", "tanh"], **options), 2),
    "one activation": (lambda net, **options: ActivationDisplay.from_activation("tanh", **options), 2),
    "layers": (lambda net, **options: ActivationDisplay.from_estimator(net, X, **options), 2),
    "regions": (lambda net, **options: DecisionRegionDisplay.from_estimator(net, X, y, **options), 5),
    "gradient flow": (lambda net, **options: GradientFlowDisplay.from_estimator(net, X, y, **options), 3),
    "importance": (lambda net, **options: ImportanceDisplay.from_estimator(net, X, y, **options), 1),
    "range test": (lambda net, **options: LearningRateRangeDisplay.from_estimator(net, X, y, **options), 1),
    "loss": (lambda net, **options: LossCurveDisplay.from_estimator(net, **options), 1),
    "rates": (lambda net, **options: LossCurveDisplay.from_estimator(net, show="learning_rate", **options), 2),
    "surface": (lambda net, **options: LossSurfaceDisplay.from_estimator(net, X, y, n_points=5, **options), 1),
    "mini-batches": (
        lambda net, **options: LossSurfaceDisplay.from_estimator(net, X, y, n_points=5, n_batches=2, **options),
        3,
    ),
    "network": (lambda net, **options: NetworkDisplay.from_estimator(net, **options), 1),
    "paths": (lambda net, **options: OptimizerPathDisplay.from_surface("ravine", n_steps=5, **options), 2),
}


@pytest.fixture(scope="module")
def net():
    return NET.fit(X, y)


@pytest.fixture(autouse=True)
def pyplot():
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    yield plt
    plt.close("all")


def test_every_display_is_tested(net):
    assert {type(make(net)) for make, _ in DISPLAYS.values()} == set(CLASSES)


def _check(display, n_panels):
    from matplotlib.axes import Axes

    assert isinstance(display.axes_, list)
    assert len(display.axes_) == n_panels
    assert all(isinstance(each, Axes) and each.has_data() for each in display.axes_)
    assert display.ax_ is display.axes_[0]
    assert all(each.figure is display.figure_ for each in display.axes_)


@pytest.mark.parametrize("name", DISPLAYS)
def test_displays_follow_one_convention(name, net, pyplot):
    make, n_panels = DISPLAYS[name]
    display = make(net)
    _check(display, n_panels)
    assert pyplot.get_fignums() == [display.figure_.number]
    assert display.figure_.get_figwidth() == WIDTH
    options = {"show": "learning_rate"} if name == "rates" else {}
    assert display.plot(**options) is display  # again, on a new figure
    _check(display, n_panels)
    assert len(pyplot.get_fignums()) == 2

    figure, axes = pyplot.subplots(n_panels, squeeze=False)
    wanted = axes[0, 0] if n_panels == 1 else axes.ravel()
    for _ in (display.plot(wanted, **options), make(net, ax=wanted)):
        _check(display, n_panels)
        assert display.axes_ == list(axes.ravel())
        assert display.figure_ is figure
    assert len(pyplot.get_fignums()) == 3
    figure.canvas.draw()

    with pytest.raises(ValueError, match=rf"ax must have an Axes for each of the {n_panels} panels .*, got 9"):
        display.plot(pyplot.subplots(3, 3)[1], **options)
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes or a list of them, got 'here'"):
        display.plot("here", **options)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_displays_document_the_convention_in_the_same_words(cls):
    assert "    ax_ : matplotlib Axes\n        The first of `axes_`.\n" in cls.__doc__
    assert "    axes_ : list of matplotlib Axes\n        Those of " in cls.__doc__
    assert "    figure_ : matplotlib Figure\n        Figure of the axes.\n" in cls.__doc__
    makers = [value for name, value in vars(cls).items() if name.startswith("from_")]
    assert makers
    for function in (cls.plot, *(each.__func__ for each in makers)):
        assert signature(function).parameters["ax"].default is None
        assert AX in function.__doc__
    assert list(signature(cls.plot).parameters)[1] == "ax"


def test_a_surface_is_drawn_in_three_dimensions(pyplot):
    display = OptimizerPathDisplay.from_surface("saddle", ["sgd", "adam"], kind="surface", n_steps=20)
    assert display.ax_.name == "3d"
    _check(display, 2)
    lines = {line.get_label(): line.get_data_3d() for line in display.ax_.get_lines()}
    np.testing.assert_allclose(np.transpose(lines["adam"])[:, :2], display.paths["adam"])
    np.testing.assert_allclose(lines["adam"][2], display.heights["adam"])
    figure = pyplot.figure()
    axes = [figure.add_subplot(121, projection="3d"), figure.add_subplot(122)]
    assert display.plot(axes, kind="surface").axes_ == axes
    with pytest.raises(ValueError, match="kind='surface' needs axes with the projection '3d'"):
        display.plot(pyplot.subplots(2)[1], kind="surface")
    with pytest.raises(ValueError, match="kind must be 'contour' or 'surface', got 'wire'"):
        OptimizerPathDisplay.from_surface("saddle", kind="wire")


def test_a_path_that_leaves_the_surface_is_cut_off():
    """In three dimensions, matplotlib draws beyond the limits."""
    display = OptimizerPathDisplay.from_surface("ravine", "sgd", learning_rate_init=10, kind="surface", n_steps=9)
    (line,) = (line for line in display.ax_.get_lines() if line.get_label() == "sgd")
    x, y, _ = line.get_data_3d()
    low, high = display.surface.limits
    assert np.nanmin([x, y]) >= low
    assert np.nanmax([x, y]) <= high
