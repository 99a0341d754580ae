"""The choice of each member's view by a short race on held-out samples."""

from typing import NamedTuple

from sknn_iitb.tabular._members import Member, in_threads, train_member

__all__ = ["Favourites", "Race", "n_race_epochs", "race"]

# The race ends with the second of the four cycles of 'coslog', when the learning rate is zero. On 25 tables, views that
# were chosen after 19 of 96 epochs were as good as those chosen after 32.
_SHARE = 0.2

# Prior of the average's temperature. Members are calibrated already, and a few held-out samples may be too easy.
_SPREAD = 0.2


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


class Race(NamedTuple):
    """The outcome of a race.

    Attributes
    ----------
    views : list
        The view of each member.
    errors : dict
        The error of each view on the held-out samples.
    temperature : float
        Divides the scores of the averaged probabilities.
    members : list of Member
        Networks with the views that took part.
    """

    views: list
    errors: dict
    temperature: float
    members: list[Member]

    @classmethod
    def without(cls, views, n_members):
        """The outcome if members take the views in turn."""
        return cls([views[k % len(views)] for k in range(n_members)], {}, 1.0, [])


def n_race_epochs(n_views, n_few, n_members, max_iter):
    """The number of epochs of all networks in a race."""
    return n_views * max(1, round(_SHARE * max_iter)) if n_views > 1 and n_members > n_few else 0


def race(features, favourites, data, goal, config, progress):
    """Choose views by greedy selection with replacement (Caruana et al., ICML 2004, section 2.1).

    A network is trained with each view for a fifth of the epochs, on the split of the first member. The members then
    receive the views whose averaged predictions have the lowest error on the held-out samples.

    Parameters
    ----------
    features : dict of Features
        Those of each view.
    favourites : Favourites
    data : EnsembleData
    goal : Goal
    config : EnsembleConfig
    progress : Progress
        If it stops the race, views are chosen among those that took part.

    Returns
    -------
    race : Race
    """
    names, n_members = list(features), config.n_estimators
    n_epochs = n_race_epochs(len(names), len(favourites.few), n_members, config.max_iter)
    if n_epochs == 0:
        return Race.without([name for name in favourites.few if name in names] or names, n_members)

    def contestant(name):
        if progress.is_over():
            return None
        alone = data._replace(features=[features[name]])
        return train_member(0, alone, goal, config, progress, n_epochs // len(names))

    found = zip(names, in_threads(contestant, names, progress, config.n_jobs), strict=True)
    members = {name: member for name, member in found if member is not None}
    if not members:
        return Race.without(names, n_members)
    held_out = data.held_out(0)
    scores = {name: member.scores(held_out.X) for name, member in members.items()}
    views = [name for name in favourites.first if name in scores]
    while len(views) < n_members:
        chosen = [scores[name] for name in views]
        errors = {name: goal.error(goal.mean([*chosen, score]), held_out) for name, score in scores.items()}
        views.append(min(errors, key=errors.get))
    errors = {name: float(goal.error(score, held_out)) for name, score in scores.items()}
    temperature = goal.temperature(goal.mean([scores[name] for name in views]), held_out, _SPREAD)
    return Race(views, errors, temperature, list(members.values()))
