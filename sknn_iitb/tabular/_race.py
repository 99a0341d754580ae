"""The choice of each member's view by a short race on held-out samples."""

from typing import NamedTuple

from sknn_iitb.tabular._members import Ensemble
from sknn_iitb.tabular._training import MemberRun, in_threads, train

__all__ = ["AVERAGE_SPREAD", "Favourites", "ViewRace"]

# The race ends with the second of the four cycles of 'coslog', when the learning rate is zero. On 25 tables, views that
# were chosen after 19 of 96 epochs were as good as those chosen after 32, and one fold was as good as five.
_SHARE = 0.2

# Prior of the average's temperature. Members are calibrated already, and a few held-out samples may be too easy.
AVERAGE_SPREAD = 0.2


class Favourites(NamedTuple):
    """Views that are chosen without a race.

    Parameters
    ----------
    few : tuple of str
        The views of so few members that a race would take as long as they do.
    first : tuple of str, default=()
        The views of the first members of more.
    """

    few: tuple[str, ...]
    first: tuple[str, ...] = ()


class ViewRace:
    """Members with the views that win a race, by greedy selection with replacement (Caruana et al., ICML 2004).

    A network is trained with each view for a fifth of the epochs, on the split of the first member. The members then
    receive the views whose averaged predictions have the lowest error on the held-out samples.

    Parameters
    ----------
    features : dict of Features
        Those of each view.
    config : EnsembleConfig
    favourites : Favourites
    views : list or None
        Views that the members use in turn, without a race.

    Attributes
    ----------
    views : list or None
        The view of each member; None before they are chosen.
    errors : dict
        The error of each view on the held-out samples.
    """

    def __init__(self, features, config, favourites, views):
        self._features, self._config, self._favourites = features, config, favourites
        self.views, self.errors, self._temperature = None, {}, 1.0
        self._trained = []  # the views of the members for the first goal
        if not views and (len(features) == 1 or config.n_estimators <= len(favourites.few)):
            views = [name for name in favourites.few if name in features] or list(features)
        if views:
            self.views = [views[k % len(views)] for k in range(config.n_estimators)]

    def n_epochs(self, n_goals):
        """The number of epochs of all networks."""
        in_race = 0 if self.views else len(self._features) * self._n_race_epochs()
        return in_race + n_goals * self._config.n_estimators * self._config.max_iter

    def _n_race_epochs(self):
        return max(1, round(_SHARE * self._config.max_iter))

    def train(self, data, goal, progress):
        """Train the members for a goal, after the race if it is the first.

        Parameters
        ----------
        data : EnsembleData
        goal : Goal
        progress : Progress
            If it stops the race, views are chosen among those that took part.

        Returns
        -------
        ensemble : Ensemble
        """
        runs = {} if self.views else self._race(data, goal, progress)
        if progress.interrupted and runs:  # keep those of the race
            self._trained = list(runs)
            return Ensemble([run.member for run in runs.values()])
        started = {0: runs[self.views[0]]} if runs else {}
        features = [self._features[name] for name in self.views]
        members = train(data, features, goal, self._config, progress, started)
        trained = [k for k, member in enumerate(members) if member is not None]
        self._trained = self._trained or [self.views[k] for k in trained]
        return Ensemble([members[k] for k in trained], None, self._temperature)

    def _race(self, data, goal, progress):
        """Choose the views; return the first member's training with each view."""
        runs = {name: MemberRun(0, data, each, goal, self._config) for name, each in self._features.items()}

        def compete(name):
            if not progress.is_over():
                runs[name].advance(self._n_race_epochs(), progress)

        with progress.limited(_SHARE):
            in_threads(compete, list(runs), progress, self._config.n_jobs)
        runs = {name: run for name, run in runs.items() if run.member is not None}
        if runs:
            self._choose(runs, goal, data.held_out(0))
        else:
            self.views = [next(iter(self._features))] * self._config.n_estimators
        return runs

    def _choose(self, runs, goal, held_out):
        scores = {name: run.member.scores(held_out.X) for name, run in runs.items()}
        views = [name for name in self._favourites.first if name in scores]
        while len(views) < self._config.n_estimators:
            chosen = [scores[name] for name in views]
            errors = {name: goal.error(goal.mean([*chosen, score]), held_out) for name, score in scores.items()}
            views.append(min(errors, key=errors.get))
        self.views = views
        self.errors = {name: float(goal.error(score, held_out)) for name, score in scores.items()}
        mean = goal.mean([scores[name] for name in views])
        self._temperature = goal.temperature(mean, held_out, AVERAGE_SPREAD)

    def attributes(self):
        """The attributes of a fitted estimator."""
        share = {name: self._trained.count(name) / len(self._trained) for name in self._features}
        return {"views_": share, "view_errors_": self.errors}
