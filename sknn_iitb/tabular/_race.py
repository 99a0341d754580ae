"""The choice of each member's view by a short race on held-out samples."""

from collections import Counter
from typing import NamedTuple

from sknn_iitb.tabular._linear import linear_member
from sknn_iitb.tabular._member_run import MemberRun
from sknn_iitb.tabular._members import CYCLES, Ensemble
from sknn_iitb.tabular._selection import greedy_selection, temperature_of_average
from sknn_iitb.tabular._training import advance, finish, train

__all__ = ["Favourites", "ViewRace"]


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

    A network is trained with each view for two cycles of the learning rate, a fifth of the epochs, on the split of the
    first member. The members then receive the views whose averaged predictions have the lowest error on the held-out
    samples. A linear model joins the members if it improves their predictions. (On 25 tables, views that were chosen
    after 19 of 96 epochs were as good as those chosen after 32, and one split was as good as five.)

    Parameters
    ----------
    features : dict of Features
        Those of each view.
    config : EnsembleConfig
    favourites : Favourites
    views : list or None
        Views that the members use in turn, without a race.
    linear : Features or None
        What the linear model sees; None for no such model.

    Attributes
    ----------
    n_members : int
        Number of members for a goal.
    views : list or None
        The view of each member; None before they are chosen.
    errors : dict
        The error of each view on the held-out samples.
    """

    def __init__(self, features, config, favourites, views, linear):
        self._features, self._config, self._favourites = features, config, favourites
        self.n_members, self.views, self.errors, self._temperature = config.n_estimators, None, {}, 1.0
        self._linear, self._shares = linear, {}  # the shares of the views for the first goal
        if not views and (len(features) == 1 or config.n_estimators <= len(favourites.few)):
            views = favourites.few if len(features) > 1 else list(features)
        if views:
            self.views = [views[k % len(views)] for k in range(config.n_estimators)]

    def n_epochs(self, goals):
        """The number of epochs of all networks for these goals."""
        n_losers = 0 if self.views else len(self._features) - 1  # one run becomes the first member
        n_of_members = self.n_members * sum(map(self._config.n_epochs, goals))
        return n_losers * self._config.ends_of_cycles[0] + n_of_members

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
        runs = {} if self.views else self._race(data._replace(everything=None), goal, progress)
        if progress.interrupted and runs:  # keep those of the race
            counts = Counter(self.views)
            self._shares = {name: count / self.n_members for name, count in counts.items()}
            return Ensemble([runs[name].member for name in counts], [*counts.values()], self._temperature)
        started = {0: runs[self.views[0]]} if runs and data.everything is None else {}
        features = [self._features[name] for name in self.views]
        trained = train(data, features, goal, self._config, progress, started)
        shares = {name: n / len(trained) for name, n in Counter(self.views[k] for k in trained).items()}
        linear, weights = None, None
        if self._linear is not None and not progress.is_over():
            try:
                linear, share = linear_member({k: run.member for k, run in trained.items()}, data, self._linear, goal)
            except KeyboardInterrupt:
                progress.interrupt()
            if linear is not None:
                rest = 1 - share
                shares = {name: rest * each for name, each in shares.items()} | {"linear": share}
                weights = [rest / len(trained)] * len(trained) + [share]
        self._shares = self._shares or shares
        finish(trained.values(), goal, self._config, progress)
        members = [run.member for run in trained.values()] + [linear] * (linear is not None)
        return Ensemble(members, weights, self._temperature)

    def _race(self, data, goal, progress):
        """Choose the views; return the first member's training with each view."""
        runs = {
            name: MemberRun(0, data, each, goal, self._config, f"view {name}") for name, each in self._features.items()
        }
        with progress.limited(CYCLES[0]):
            trained = advance(
                [*runs.values()], self._config.ends_of_cycles[0], progress, self._config.n_jobs, required=True
            )
        # if time was up, one view has trained for fewer epochs and others not at all
        n_iter = max((run.n_iter for run in trained), default=0)
        runs = {name: run for name, run in runs.items() if run in trained and run.n_iter == n_iter}
        if runs:
            self._choose(runs, goal, data.held_out(0))
        else:
            self.views = [next(iter(self._features))] * self.n_members
        return runs

    def _choose(self, runs, goal, held_out):
        scores = {name: run.member.scores(held_out.X) for name, run in runs.items()}
        first = [name for name in self._favourites.first if name in scores]  # others may have diverged
        self.views = greedy_selection(scores, held_out, goal, self.n_members, first)
        self.errors = {name: float(goal.error(score, held_out)) for name, score in scores.items()}
        self._temperature = temperature_of_average([scores[name] for name in self.views], held_out, goal)

    def attributes(self):
        """The attributes of a fitted estimator."""
        return {"views_": dict.fromkeys(self._features, 0.0) | self._shares, "view_errors_": self.errors}
