"""The preset 'tuned': a random search by successive halving, and an ensemble of what it has trained."""

from collections import Counter
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sknn_iitb._engine.samples import Samples
from sknn_iitb.activations import ACTIVATIONS
from sknn_iitb.tabular._member_run import MemberRun
from sknn_iitb.tabular._members import CYCLES, Ensemble
from sknn_iitb.tabular._selection import greedy_selection, temperature_of_average
from sknn_iitb.tabular._training import advance, finish

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

# The number of trials that train on all splits, and the number of greedy selections, which begin with each of these
# trials once: the best of a few held-out samples alone would be a matter of chance.
_N_FINALISTS, _N_SELECTED = 8, 20


class Trial(NamedTuple):
    """A configuration, and its training on each split."""

    number: int
    view: Any
    settings: dict[str, Any]  # fields of EnsembleConfig
    runs: dict[int, MemberRun]

    def scores(self, held_out, splits):
        """Its scores for the held-out samples of these splits, one after the other."""
        return np.vstack([self.runs[k].member.scores(held_out[k].X) for k in splits])


class TrialSearch:
    """Random search over views and parameters, then greedy selection with replacement (Caruana et al., ICML 2004).

    All trials begin on the first split. After a fifth of the epochs the better half continues, after 7/15 the better
    half of these, and they train to the end. Greedy selection by the error of averaged predictions on the held-out
    samples chooses eight finalists, which then train on the other splits, and finally their weights, with the held-out
    samples of all splits. No network is trained twice. If time is limited, each of these stages has its share of it.

    Parameters
    ----------
    features : dict of Features
        Those of each view.
    config : EnsembleConfig
        The first trials, one for each view, have this configuration. `n_estimators` is the number of splits.
    space : dict
        The values of each parameter to choose among.
    n_trials : int
    rng : RandomState

    Attributes
    ----------
    n_members : int
        Maximum number of members.
    table : dict of ndarray
        What was tried in the search for the first goal.
    """

    def __init__(self, features, config, space, n_trials, rng):
        self._features, self._config, self.table = features, config, None
        views, self._drawn = list(features), []
        for t in range(n_trials):
            settings = {name: getattr(config, name) for name in SPACE}
            if t < len(views):
                view = views[t]
            else:
                view = views[rng.randint(len(views))]
                settings |= {name: values[rng.randint(len(values))] for name, values in space.items()}
                if "learning_rate_init" in space:
                    settings["learning_rate_init"] *= config.learning_rate_init
            settings["activation"] = ACTIVATIONS.resolve(settings["activation"])
            self._drawn.append((view, settings))
        self._seeds = rng.randint(2**31 - 1, size=(n_trials, config.n_estimators))
        self.n_members = min(_N_FINALISTS, self._n_trials()[-1]) * config.n_estimators

    def _n_trials(self):
        """The number of trials that train until each rung."""
        n_trials = [len(self._drawn)]
        while len(n_trials) < len(CYCLES):
            n_trials.append(-(-n_trials[-1] // 2))
        return n_trials

    def _plan(self):
        """For each rung, the epoch that it ends with, and the number of epochs of all trials until then."""
        ends = self._config.ends_of_cycles
        lengths = np.diff(ends, prepend=0).tolist()
        return [(end, n * length) for end, n, length in zip(ends, self._n_trials(), lengths, strict=True)]

    def n_epochs(self, goals):
        """The maximum number of epochs of all networks for these goals."""
        n_finalists = self.n_members // self._config.n_estimators
        # the first split of a finalist is among the trials
        n_searched = sum(n for _, n in self._plan()) - n_finalists * self._config.n_validated
        return sum(n_searched + self.n_members * self._config.n_epochs(goal) for goal in goals)

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
        run = partial(self._run, data, goal)
        trials = [Trial(t, view, settings, {0: run(t, 0)}) for t, (view, settings) in enumerate(self._drawn)]
        held_out = [data.held_out(k) for k in range(self._config.n_estimators)]
        ranking = self._halve(trials, goal, held_out, progress)
        if not ranking:
            return Ensemble([])
        scores = {trial.number: trial.scores(held_out, [0]) for trial in ranking}
        selected = Counter(greedy_selection(scores, held_out[0], goal, _N_SELECTED))
        finalists = sorted(ranking, key=lambda trial: -selected[trial.number])[:_N_FINALISTS]
        finalists, complete = self._finish(finalists, run, progress)
        scores = {trial.number: trial.scores(held_out, complete) for trial in finalists}
        samples = _joined([held_out[k] for k in complete])
        counts = Counter(greedy_selection(scores, samples, goal, _N_SELECTED, scores))
        weight = {t: count / counts.total() for t, count in counts.items()}
        if self.table is None:
            self.table = self._table(trials, weight, held_out, goal)
        weights = [weight[t] / len(complete) for t in weight for _ in complete]
        temperature = temperature_of_average([scores[t] for t in weight], samples, goal, [*weight.values()])
        selected = [trials[t].runs[k] for t in weight for k in complete]
        finish(selected, goal, self._config, progress)
        settings = (trials[t].settings for t in weight for _ in complete)
        members = [run.member._replace(settings=each) for run, each in zip(selected, settings, strict=True)]
        return Ensemble(members, weights, temperature)

    def _run(self, data, goal, t, k):
        """The training of a trial on a split."""
        view, settings = self._drawn[t]
        seeds = data._replace(seeds=self._seeds[t])
        label = f"trial {t + 1} of {len(self._drawn)}, split {k + 1} of {self._config.n_estimators}"
        return MemberRun(k, seeds, self._features[view], goal, self._config._replace(**settings), label)

    def _halve(self, trials, goal, held_out, progress):
        """Train fewer and fewer trials on the first split; return those that went furthest, the best first."""
        n_left = self.n_epochs([goal])
        for rung, (end, n_epochs) in enumerate(self._plan()):
            if rung > 0:
                trials = trials[: -(-len(trials) // 2)]
            with progress.limited(n_epochs / n_left):
                runs = advance([trial.runs[0] for trial in trials], end, progress, self._config.n_jobs, required=True)
            n_left -= n_epochs
            trials = [trial for trial in trials if trial.runs[0] in runs]
            errors = [goal.error(trial.scores(held_out, [0]), held_out[0]) for trial in trials]
            trials = [trials[t] for t in np.argsort(errors, kind="stable")]
        return trials

    def _finish(self, finalists, run, progress):
        """Train on the other splits; return the finalists that time suffices for, and the splits they have trained on.

        If it does not suffice for one, the best has trained on some of the splits.
        """
        splits = range(1, self._config.n_estimators)
        for trial in finalists:
            trial.runs.update({k: run(trial.number, k) for k in splits})
        runs = [trial.runs[k] for trial in finalists for k in splits]
        advance(runs, self._config.n_validated, progress, self._config.n_jobs)
        finished = [trial for trial in finalists if all(trial.runs[k].is_complete for k in splits)] or finalists[:1]
        return finished, [0, *(k for k in splits if finished[0].runs[k].is_complete)]

    def _table(self, trials, weight, held_out, goal):
        columns = {"view": [str(trial.view) for trial in trials]}
        columns |= {name: [trial.settings[name] for trial in trials] for name in SPACE}
        columns["activation"] = [each.label for each in columns["activation"]]
        columns["hidden_layer_sizes"] = [str(each) for each in columns["hidden_layer_sizes"]]
        columns["n_epochs"] = [trial.runs[0].n_iter if trial.runs[0].member else 0 for trial in trials]
        columns["error"] = [
            float(goal.error(trial.scores(held_out, [0]), held_out[0])) if trial.runs[0].member else np.nan
            for trial in trials
        ]
        columns["weight"] = [weight.get(trial.number, 0.0) for trial in trials]
        return {name: np.array(values) for name, values in columns.items()}

    def attributes(self):
        """The attributes of a fitted estimator."""
        errors, weights = self.table["error"], self.table["weight"]
        share, best = {}, {}
        for name in self._features:
            chosen = np.array([view == name for view, _ in self._drawn])
            share[name] = float(weights[chosen].sum())
            if np.isfinite(errors[chosen]).any():
                best[name] = float(np.nanmin(errors[chosen]))
        return {"views_": share, "view_errors_": best, "trials_": self.table}


def _joined(held_out):
    """Encoded targets and weights of samples, one after the other."""
    weight = None if held_out[0].weight is None else np.concatenate([each.weight for each in held_out])
    return Samples(None, np.concatenate([each.Y for each in held_out]), None, weight, None)
