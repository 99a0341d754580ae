"""The examples of the lecture show what they claim."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from sknn_iitb.inspection._figures import WIDTH

LECTURE = Path(__file__).parents[1] / "examples" / "lecture"


def _small(last, first):
    return last < 1e-3 * first


CLAIMS = {
    "plot_01_neurons": lambda run, out: (
        "AND [0 0 0 1]" in out
        and "OR [0 1 1 1]" in out
        and "XOR [0 1 1 0]" in out
        and abs(run["best"][:2]).max() < 1e-9
    ),
    "plot_02_activation": lambda run, out: (
        run["apart"] < 1e-3 and run["nets"]["tanh"].score(run["x"], run["y"]) > 0.999
    ),
    "plot_04_logistic_regression": lambda run, out: run["apart"] < 1e-4,
    "plot_09_step_size": lambda run, out: (
        run["mountain"].ax_.name == "3d"
        and 0.5 < run["mountain"].heights["sgd"][-1] < run["mountain"].heights["SGD(momentum=0)"][-1] - 0.5
        and run["net"].loss_ > 1e3  # just above the largest stable rate
        and all(_small(*map(float, pair[::-1])) for pair in _heights(out, "step 0.19"))
        and not _small(*map(float, _heights(out, "eigenvalue 10, step 0.21")[0][::-1]))
    ),
    "plot_10_learning_rate": lambda run, out: run["nets"][1].loss_ < 0.1 * run["nets"][0].loss_,
    "plot_16_momentum": lambda run, out: (
        _small(*(run["display"].heights[s][-1] for s in ("sgd", "SGD(momentum=0)")))
        and all(
            0.9 * limit < run["rates"][np.isfinite(run["updates"][name])].max() < limit
            for name, (_, limit) in run["variants"].items()
        )
        and np.nanmin(run["updates"]["Nesterov"]) < 0.6 * np.nanmin(run["updates"]["momentum"])
        and np.nanmax(run["updates"]["momentum"][-40:]) < 1.3 * np.nanmin(run["updates"]["momentum"])
    ),
    "plot_17_saddle_point": lambda run, out: (
        run["found"].shape == "saddle point"
        and run["display"].heights["SGD(momentum=0)"][-1] > -0.05
        and run["display"].heights["adam"][-1] < -0.24
        and run["noisy"].heights["SGD(momentum=0)"][-1] < -0.2
    ),
    "plot_11_backpropagation": lambda run, out: (
        np.allclose([run["d_v"], run["d_w"]], [run["by_v"], run["by_w"]], atol=1e-8)
        and max(run["check_gradients"](run["net"], run["X"], run["y"], n_parameters=10).errors.values()) < 1e-6
        and run["differences"] > 1000 * run["backward"]
    ),
    "plot_05_vanishing_gradient": lambda run, out: (
        float(re.search(r"logistic: .* (\S+)\n", out)[1]) < 1e-3
        and float(re.search(r"relu: .* (\S+)\n", out)[1]) > 0.1
        and "1. Before training, the gradient of the first layer" in out
    ),
    "plot_06_outputs_and_losses": lambda run, out: (
        list(run["outputs"].values()) == ["identity", "logistic", "softmax", "logistic"]
        and abs(run["slopes"]["squared error"][0]) < 1e-3
        and abs(run["slopes"]["cross-entropy"][0]) > 0.99
    ),
    "plot_08_width": lambda run, out: run["errors"][0] > 0.5 and run["errors"][-1] < 0.01,
    "plot_07_hidden_layers": lambda run, out: (
        run["probes"][0] < 0.75 and run["probes"][-1] > 0.99 and np.all(np.diff(run["probes"]) > 0)
    ),
    "plot_12_batch_size": lambda run, out: (
        run["losses"][1] < run["losses"][32] < 0.1 * run["losses"]["full"] and run["seconds"][1] > run["seconds"][32]
    ),
    "plot_15_decay": lambda run, out: (
        max(run["ends"]["0.3, linear"], run["ends"]["0.3, cosine"]) < 0.1 * run["ends"]["constant 0.3"]
        and run["ends"]["0.3, cosine"] < run["ends"]["constant 0.003"]
    ),
    "plot_19_adam_and_the_hessian": lambda run, out: (
        run["exponents"]["far from the minimum", "the ten largest"] > 0.95
        and 0.7 < run["exponents"]["far from the minimum", "all"] < 0.85
        and abs(run["exponents"]["at the minimum", "all"] - 0.5) < 0.05
    ),
    "plot_18_cost_of_the_hessian": lambda run, out: (
        run["of_hessian"][-1] > 100 * run["of_product"][2] and run["asymmetry"] < 1e-5
    ),
    "plot_14_many_starts": lambda run, out: (
        np.mean(run["losses"][1] < 0.1) > 0.9 > np.mean(run["losses"][8] < 0.1) > 0.6
    ),
    "plot_03_decision_regions": lambda run, out: (
        0 < len(run["mistakes"]) <= run["bound"]
        and (run["sign"] * (run["inputs"] @ run["weights"]) > 0).all()
        and np.allclose(run["weights"], run["learned"], rtol=1e-12)
        and np.allclose(run["weights"], np.append(run["theirs"].coef_, run["theirs"].intercept_))
        and run["same"] > 0.9
        and run["between"] < 0.1
        and np.mean((run["smooth"].units > 0.05) & (run["smooth"].units < 0.95)) > 2 * run["between"]
    ),
    "plot_13_mini_batch_losses": lambda run, out: run["spread"][128] < 0.5 * run["spread"][16],
}


def _heights(out, label):
    return re.findall(rf"{label}: (\S+) -> (\S+)", out)


def test_every_script_has_a_claim():
    assert sorted(path.stem for path in LECTURE.glob("plot_*.py")) == sorted(CLAIMS)


@pytest.mark.parametrize("name", CLAIMS)
def test_the_claim_holds(name, capsys, monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.close("all")  # leftovers of other tests
    pyplot.switch_backend("agg")
    monkeypatch.setattr(pyplot, "show", lambda: None)
    run = runpy.run_path(str(LECTURE / f"{name}.py"))
    assert CLAIMS[name](run, capsys.readouterr().out)
    assert {pyplot.figure(k).get_figwidth() for k in pyplot.get_fignums()} == {WIDTH}
    pyplot.close("all")
