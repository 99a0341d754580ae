"""
A rare class
============

One digit in ten is an 8. Four nets look for it in noisy images: a plain one, one with ``class_weight="balanced"``, one
with the focal loss, and the plain one with its threshold moved by scikit-learn's ``TunedThresholdClassifierCV``.

The plain net finds a quarter of the eights: it says 8 only where it is more likely than not. With class weights, or
with the threshold moved, more than half are found, and more of what is found is something else. The focal loss leaves
the decisions about as they were.

What differs is what has become of the probabilities. Class weights tell the net that eights are as frequent as all
other digits together: it gives them 0.29 on average, where 0.10 are eights, and its curve lies far below the diagonal.
The focal loss pulls probabilities towards the middle as well, to 0.22. Moving the threshold leaves them right. So move
the threshold where probabilities are needed; weigh the classes where only the decision counts.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, precision_score, recall_score
from sklearn.model_selection import StratifiedKFold, TunedThresholdClassifierCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier

X, digit = load_digits(return_X_y=True)
X = X + np.random.RandomState(0).normal(scale=8, size=X.shape)  # noise: a clean 8 is too easy to tell
y = (digit == 8).astype(int)


def net(**parameters):
    """A net that stops before it has learned the noise."""
    stop = {"early_stopping": True, "scoring": "loss", "validation_fraction": 0.2}
    return make_pipeline(StandardScaler(), MLPClassifier((50,), **stop, **parameters, random_state=0))


models = {
    "plain": net(),
    "class_weight": net(class_weight="balanced"),
    "focal loss": net(loss="focal"),
    "plain, threshold moved": TunedThresholdClassifierCV(net(), scoring="balanced_accuracy", random_state=0),
}

folds = StratifiedKFold(5, shuffle=True, random_state=0)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
print(f"{'':24}{'precision':>10}{'recall':>10}{'balanced':>10}{'Brier':>10}{'mean p':>10}")
scores = {}
for name, model in models.items():
    chosen = cross_val_predict(model, X, y, cv=folds)
    p = cross_val_predict(model, X, y, cv=folds, method="predict_proba")[:, 1]
    scores[name] = precision_score(y, chosen), recall_score(y, chosen), balanced_accuracy_score(y, chosen)
    numbers = *scores[name], brier_score_loss(y, p), p.mean()
    print(f"{name:24}" + "".join(f"{number:10.3f}" for number in numbers))
    if name in ("plain", "class_weight", "focal loss"):
        CalibrationDisplay.from_predictions(y, p, n_bins=8, strategy="quantile", name=name, ax=left)
print(f"{'share of eights':64}{y.mean():10.3f}")

left.set_title("Are the probabilities right?")
left.set_xlabel("probability that the net gives")
left.set_ylabel("share of eights")
left.legend(loc="upper left")
for k, measure in enumerate(("precision", "recall", "balanced accuracy")):
    heights = [scores[name][k] for name in models]
    right.bar(np.arange(len(models)) + 0.27 * (k - 1), heights, width=0.25, label=measure)
right.set_xticks(range(len(models)), [name.replace(", ", ",\n") for name in models])
right.set_ylim(0, 1)
right.set_title("Are the eights found?")
right.legend(loc="upper left", ncols=3)
plt.show()
