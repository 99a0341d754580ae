"""Optuna: searches that prune, through partial_fit and through a callback."""

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold, train_test_split

from sknn_iitb import MLPClassifier, MLPRegressor

optuna = pytest.importorskip("optuna")
PAGE = (Path(__file__).parents[1] / "docs" / "scale.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _from_page(name):
    """A class that the documentation defines."""
    (block,) = [each for each in re.findall(r"```\{code-block\} python\n(.*?)```", PAGE, re.DOTALL) if name in each]
    namespace = {"optuna": optuna}
    exec(block.partition("\n\n\ndef ")[0], namespace)
    return namespace[name]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning", "ignore::FutureWarning:optuna")
@pytest.mark.parametrize("cls", [MLPClassifier, pytest.param(MLPRegressor, marks=pytest.mark.newest)])
def test_optuna_search_prunes_through_partial_fit(cls, cancer):
    integration = pytest.importorskip("optuna_integration")
    X, y = cancer
    space = {"learning_rate_init": optuna.distributions.FloatDistribution(1e-7, 1e-1, log=True)}
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=1),
    )
    search = integration.OptunaSearchCV(
        cls(hidden_layer_sizes=8, random_state=0),
        space,
        cv=StratifiedKFold(3),
        enable_pruning=True,
        max_iter=6,
        n_trials=8,
        random_state=0,
        study=study,
    )
    search.fit(X, y)
    states = [trial.state for trial in search.trials_]
    assert optuna.trial.TrialState.PRUNED in states
    assert states.count(optuna.trial.TrialState.PRUNED) + states.count(optuna.trial.TrialState.COMPLETE) == 8
    assert all(1 <= len(trial.intermediate_values) <= 6 for trial in search.trials_)
    # the value of a trial is that of as many calls of partial_fit on each split
    scores = []
    for train, test in StratifiedKFold(3).split(X, y):
        net = cls(hidden_layer_sizes=8, random_state=0, **search.best_params_)
        for _ in range(6):
            net.partial_fit(X[train], y[train], **({"classes": [0, 1]} if cls is MLPClassifier else {}))
        scores.append(net.score(X[test], y[test]))
    assert search.best_score_ == pytest.approx(np.mean(scores))


def test_callback_of_the_documentation_prunes(cancer):
    pytest.importorskip("sklearn.callback", reason="this release has no callbacks", exc_type=ImportError)
    pruning = _from_page("Pruning")
    X, X_val, y, y_val = train_test_split(*cancer, random_state=0)
    fitted = {}

    def objective(trial):
        rate = trial.suggest_float("learning_rate_init", 1e-7, 1e-1, log=True)
        net = MLPClassifier(8, learning_rate_init=rate, learning_rate="cosine", max_iter=10, random_state=0)
        fitted[trial.number] = net.set_callbacks(pruning(trial)).fit(X, y, X_val=X_val, y_val=y_val)
        return net.best_validation_score_

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=1),
    )
    study.optimize(objective, n_trials=8)
    pruned = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.PRUNED]
    assert pruned
    assert all(2 <= len(trial.intermediate_values) < 10 for trial in pruned)
    assert fitted.keys() == {trial.number for trial in study.trials} - {trial.number for trial in pruned}
    for trial in study.trials:
        if trial not in pruned:
            assert [*trial.intermediate_values.values()] == fitted[trial.number].validation_scores_
            assert trial.value == max(trial.intermediate_values.values())
