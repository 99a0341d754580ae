"""Greedy selection of the networks whose average predicts held-out samples best."""

__all__ = ["greedy_selection", "temperature_of_average"]

# Prior of the average's temperature. Members are calibrated already, and a few held-out samples may be too easy.
_SPREAD = 0.2


def greedy_selection(scores, samples, goal, n, first=()):
    """Add one network after the other, so that the error of the average is lowest (Caruana et al., ICML 2004).

    Parameters
    ----------
    scores : dict
        The scores of each network for the samples.
    samples : Samples
        Held-out samples.
    goal : Goal
    n : int
        Number of networks to select; the same network may be selected several times.
    first : iterable, default=()
        Keys of `scores` that are selected to begin with.

    Returns
    -------
    selected : list
        Keys of `scores`.
    """
    predictions = {key: goal.predictions(score) for key, score in scores.items()}
    selected = list(first)
    total = sum(predictions[key] for key in selected)
    while len(selected) < n:
        errors = {
            key: goal.error(goal.score((total + prediction) / (len(selected) + 1)), samples)
            for key, prediction in predictions.items()
        }
        selected.append(min(errors, key=errors.get))
        total = total + predictions[selected[-1]]
    return selected


def temperature_of_average(scores, samples, goal, weights=None):
    """The temperature of averaged predictions, given the scores of each network for held-out samples."""
    return goal.temperature(goal.mean(scores, weights), samples, _SPREAD)
