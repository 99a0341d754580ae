"""The examples of tasks from end to end reach the numbers that they state."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from sknn_iitb.inspection._figures import WIDTH

TASKS = Path(__file__).parents[1] / "examples" / "tasks"

CLAIMS = {
    "plot_simulated_churn": lambda run, out: (
        run["costs"]["formula"] < 0.5 * run["costs"]["default"]
        and abs(run["costs"]["tuned"] - run["costs"]["formula"]) < 0.5
        and run["costs"]["formula"] < 0.8 * run["NEEDLESS_CALL"] * np.mean(~run["y_test"])  # calling everyone
        and abs(run["probability"].mean() - run["y_test"].mean()) < 0.02
    ),
    "plot_diabetes_intervals": lambda run, out: (
        np.allclose(run["coverages"]["TabularMLPRegressor"][1], run["LEVELS"], atol=0.05)
        and np.allclose(run["coverages"]["MLPRegressor"][0], run["LEVELS"], atol=0.05)
        and (run["coverages"]["MLPRegressor"][1] < run["LEVELS"] - 0.02).all()
    ),
    "plot_text": lambda run, out: (
        min(score.mean() for score in run["accuracy"].values()) > 0.97
        and np.ptp([score.mean() for score in run["accuracy"].values()]) < 0.01
    ),
    "plot_search": lambda run, out: (
        len(run["ours"]) == 200
        and len(run["theirs"]) == 10
        and np.allclose(run["ours"][:10], run["theirs"], rtol=1e-6)
        and run["ours"].max() >= run["theirs"].max()
        and run["per_candidate"][0] < 0.5 * run["per_candidate"][1]
    ),
}


def test_every_script_has_a_claim():
    assert sorted(path.stem for path in TASKS.glob("plot_*.py")) == sorted(CLAIMS)


@pytest.mark.parametrize("name", CLAIMS)
def test_the_claim_holds(name, capsys, monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.close("all")  # leftovers of other tests
    pyplot.switch_backend("agg")
    monkeypatch.setattr(pyplot, "show", lambda: None)
    run = runpy.run_path(str(TASKS / f"{name}.py"))
    assert CLAIMS[name](run, capsys.readouterr().out)
    assert [pyplot.figure(k).get_figwidth() for k in pyplot.get_fignums()] == [WIDTH]
    pyplot.close("all")
