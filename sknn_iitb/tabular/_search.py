"""The preset 'tuned': a random search by successive halving, and an ensemble of what it has trained."""

from collections import Counter
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sknn_iitb._engine.samples import Samples
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.tabular._members import Ensemble
from sknn_iitb.tabular._race import AVERAGE_SPREAD
from sknn_iitb.tabular._training import MemberRun, in_threads

__all__ = ["SPACE", "TrialSearch"]

# The values of the parameters that the search chooses among, if the user leaves them at their defaults; the learning
# rate is relative to the default.
SPACE = {
    "activation": ("selu", "mish", "relu"),
    "learning_rate_init": (0.4, 0.6, 1.0, 1.5, 2.5),
    "dropout": (0.0, 0.0, 0.1, 0.25),
    "hidden_layer_sizes": ((128, 128, 128), (256, 256), (256,), (64, 64, 64)),
    "batch_size": (128, 256),
    "label_smoothing": (0.0, 0.1),
}

# The share of its epochs that a trial has trained for when the better half of the trials is chosen: the ends of the
# second and the third cycle of 'coslog', when the learning rate is zero.
_RUNGS = 0.2, 7 / 15

# The number of trials that train on all splits, and the number of greedy selections, which begin with each of these
# trials once: the best of a few held-out samples alone would be a matter of chance.
_N_FINALISTS, _N_SELECTED = 8, 20

# the share of the time left that halving may take; the rest is for the other folds of the selected trials
_HALVING_TIME = 0.5


class Trial(NamedTuple):
    """A configuration, and its members by the number of their split."""

    settings: dict[str, Any]
    runs: dict[int, MemberRun]

    def members(self, splits):
        """Its members of these splits."""
        return [self.runs[k].member for k in splits]


class TrialSearch:
    """Random search over views and parameters, then greedy selection with replacement (Caruana et al., ICML 2004).

    All trials begin on the first split. After a fifth of the epochs the better half continues, after 7/15 the better
    half of these, and they train to the end. Greedy selection by the error of averaged predictions on the held-out
    samples chooses eight finalists, which then train on the other splits, and finally their weights, with the held-out
    samples of all splits. No network is trained twice.

    Parameters
    ----------
    features : dict of Features
        Those of each view.
    config : EnsembleConfig
        The first trials, one for each view, have this configuration.
    space : dict
        The values of each parameter to choose among.
    n_trials : int
    rng : RandomState

    Attributes
    ----------
    table : dict of ndarray
        What was tried in the search for the first goal.
    """

    def __init__(self, features, config, space, n_trials, rng):
        self._features, self._config, self.table, self._failure = features, config, None, None
        first = [{"view": view} for view in features][:n_trials]
        default = {"activation": config.activation, "learning_rate_init": 1.0, "dropout": config.dropout}
        default |= {"hidden_layer_sizes": config.hidden, "batch_size": config.batch_size}
        default |= {"label_smoothing": config.label_smoothing}
        choices = {"view": list(features), **space}
        drawn = [
            {name: values[rng.randint(len(values))] for name, values in choices.items()}
            for _ in range(n_trials - len(first))
        ]
        self._settings = [default | settings for settings in first + drawn]
        self._seeds = rng.randint(2**31 - 1, size=(n_trials, config.n_estimators))

    def n_epochs(self, n_goals):
        """The maximum number of epochs of all networks."""
        n, n_trials, before = 0.0, 2 * len(self._settings), 0.0
        for rung in (*_RUNGS, 1.0):
            n_trials = -(-n_trials // 2)
            n, before = n + n_trials * (rung - before), rung
        n += min(_N_FINALISTS, n_trials) * (self._config.n_estimators - 1)
        return n_goals * round(n * self._config.max_iter)

    def train(self, data, goal, progress):
        """Search for a goal.

        Parameters
        ----------
        data : EnsembleData
        goal : Goal
        progress : Progress
            If it stops the search, members are selected from those that were trained.

        Returns
        -------
        ensemble : Ensemble
        """
        begin = partial(self._begin, data, goal)
        trials = [Trial(settings, {0: begin(t, 0)}) for t, settings in enumerate(self._settings)]
        held_out = [data.held_out(k) for k in range(self._config.n_estimators)]
        everything, going_on = trials, trials
        with progress.limited(_HALVING_TIME):
            for rung in (*_RUNGS, 1.0):
                self._advance([trial.runs[0] for trial in going_on], rung, progress, at_least=1)
                trials = [trial for trial in going_on if trial.runs[0].member is not None]
                errors = [goal.error(self._scores([trial], [0], held_out)[0], held_out[0]) for trial in trials]
                trials = [trials[t] for t in np.argsort(errors, kind="stable")]
                going_on = trials[: -(-len(trials) // 2)]
        if not trials and self._failure:
            raise self._failure
        if not trials:
            return Ensemble([])
        counts = self._select(trials, [], [0], held_out, goal)
        ranking = [t for t, _ in counts.most_common()] + [t for t in range(len(trials)) if t not in counts]
        chosen = [trials[t] for t in ranking[:_N_FINALISTS]]
        numbers = [everything.index(trial) for trial in chosen]
        for k in range(1, len(held_out)):
            for t, trial in zip(numbers, chosen, strict=True):
                trial.runs[k] = begin(t, k)
            self._advance([trial.runs[k] for trial in chosen], 1.0, progress)
        complete = [k for k in range(len(held_out)) if all(trial.runs[k].member is not None for trial in chosen)]
        counts = self._select(chosen, range(len(chosen)), complete, held_out, goal)
        weight = {numbers[t]: count / counts.total() for t, count in counts.items()}
        if self.table is None:
            self.table = self._table(everything, weight, held_out, goal)
        members = [member for t in weight for member in everything[t].members(complete)]
        weights = [weight[t] / len(complete) for t in weight for _ in complete]
        mean = goal.mean(self._scores([everything[t] for t in weight], complete, held_out), [*weight.values()])
        temperature = goal.temperature(mean, _joined([held_out[k] for k in complete]), AVERAGE_SPREAD)
        return Ensemble(members, weights, temperature)

    def _begin(self, data, goal, t, k):
        """The training of a trial on a split."""
        settings = self._settings[t]
        config = self._config._replace(
            activation=ACTIVATIONS.resolve(settings["activation"]),
            learning_rate_init=settings["learning_rate_init"] * self._config.learning_rate_init,
            dropout=settings["dropout"],
            hidden=settings["hidden_layer_sizes"],
            batch_size=settings["batch_size"],
            label_smoothing=settings["label_smoothing"],
        )
        features = self._features[settings["view"]]
        return MemberRun(k, data._replace(seeds=self._seeds[t]), features, goal, config)

    def _advance(self, runs, share, progress, at_least=0):
        """Train until this share of the epochs; `at_least` so many runs for an epoch, even if time is up."""
        n_epochs = max(1, round(share * self._config.max_iter))

        def advance(run):
            is_needed = run.member is None and run in runs[:at_least] and not progress.interrupted
            if is_needed or not progress.is_over():
                try:
                    run.advance(n_epochs, progress)
                except ValueError as error:  # it diverged in its first epoch; others may not
                    self._failure = error

        in_threads(advance, runs, progress, self._config.n_jobs)

    def _scores(self, trials, splits, held_out):
        """The scores of each trial for the held-out samples of these splits."""
        return [
            np.vstack([member.scores(held_out[k].X) for k, member in zip(splits, trial.members(splits), strict=True)])
            for trial in trials
        ]

    def _select(self, trials, first, splits, held_out, goal):
        """How often greedy selection chooses each trial, after those of `first`."""
        scores, samples = self._scores(trials, splits, held_out), _joined([held_out[k] for k in splits])
        chosen = list(first)
        while len(chosen) < _N_SELECTED:
            before = [scores[t] for t in chosen]
            errors = [goal.error(goal.mean([*before, score]), samples) for score in scores]
            chosen.append(int(np.argmin(errors)))
        return Counter(chosen)

    def _table(self, trials, weight, held_out, goal):
        columns = {name: [trial.settings[name] for trial in trials] for name in self._settings[0]}
        columns["learning_rate_init"] = [
            factor * self._config.learning_rate_init for factor in columns["learning_rate_init"]
        ]
        columns["activation"] = [ACTIVATIONS.resolve(each).names[0] for each in columns["activation"]]
        columns |= {name: [str(value) for value in columns[name]] for name in ("view", "hidden_layer_sizes")}
        members = [trial.runs[0].member for trial in trials]
        columns["n_epochs"] = [0 if member is None else member.n_iter for member in members]
        columns["error"] = [
            np.nan if member is None else float(goal.error(member.scores(held_out[0].X), held_out[0]))
            for member in members
        ]
        columns["weight"] = [weight.get(t, 0.0) for t in range(len(trials))]
        return {name: np.array(values) for name, values in columns.items()}

    def attributes(self):
        """The attributes of a fitted estimator."""
        weights, errors = (self.table[name].tolist() for name in ("weight", "error"))
        of_view = {
            name: [t for t, settings in enumerate(self._settings) if settings["view"] == name]
            for name in self._features
        }
        share = {name: sum(weights[t] for t in trials) for name, trials in of_view.items()}
        tried = {name: [errors[t] for t in trials if errors[t] == errors[t]] for name, trials in of_view.items()}
        best = {name: min(each) for name, each in tried.items() if each}
        return {"views_": share, "view_errors_": best, "trials_": self.table}


def _joined(held_out):
    """Encoded targets and weights of samples, one after the other."""
    weight = None if held_out[0].weight is None else np.concatenate([each.weight for each in held_out])
    return Samples(None, np.concatenate([each.Y for each in held_out]), None, weight, None)
