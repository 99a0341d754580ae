"""
Imbalanced classes
==================

Classify whether a handwritten digit is an 8, given only the amount of ink in each of
the eight columns of the image. One digit in ten is an 8, and few predictions are
certain, so a network rarely predicts the positive class. Three remedies:

- ``class_weight="balanced"`` gives an 8 nine times the weight of another digit.
- ``loss="focal"`` gives less weight to samples that are already classified correctly.
- scikit-learn's ``TunedThresholdClassifierCV`` trains an unmodified network and lowers
  the decision threshold to the probability that maximizes balanced accuracy.

All models are evaluated with 5-fold cross-validation on 1,797 digits. The upper row
shows calibration curves: the fraction of 8s among the digits with a given predicted
probability. The dotted diagonal is perfect calibration, and the vertical line is the
decision threshold. The lower row shows the scores of the predicted classes.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score, precision_score, recall_score
from sklearn.model_selection import (
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_iitb import MLPClassifier

digits = load_digits()
X = digits.images.sum(axis=1)
y = digits.target == 8


def pipeline(**parameters):
    """A network that trains for 60 epochs."""
    net = MLPClassifier(
        (32,),
        learning_rate="cosine",
        learning_rate_init=0.003,
        max_iter=60,
        random_state=0,
    )
    return make_pipeline(StandardScaler(), net.set_params(**parameters))


def out_of_fold(model, method):
    """Out-of-fold predictions."""
    return cross_val_predict(
        model, X, y, cv=StratifiedKFold(5, shuffle=True, random_state=0), method=method
    )


def calibration(p):
    """Mean predicted probability and fraction of 8s in eight bins of equal size."""
    fraction, probability = calibration_curve(y, p, n_bins=8, strategy="quantile")
    return probability, fraction


models = {
    "unmodified": pipeline(),
    'class_weight="balanced"': pipeline(class_weight="balanced"),
    'loss="focal"': pipeline(loss="focal"),
}
probabilities = {
    name: out_of_fold(model, "predict_proba")[:, 1] for name, model in models.items()
}
thresholds = dict.fromkeys(models, 0.5)
answers = {name: p > 0.5 for name, p in probabilities.items()}

tuned = TunedThresholdClassifierCV(pipeline(), scoring="balanced_accuracy")
probabilities["tuned threshold"] = probabilities["unmodified"]  # the same network
thresholds["tuned threshold"] = tuned.fit(X, y).best_threshold_
answers["tuned threshold"] = out_of_fold(tuned, "predict")

metrics = {
    "precision": precision_score,
    "recall": recall_score,
    "balanced\naccuracy": balanced_accuracy_score,
}
scores = {
    name: [metric(y, answer) for metric in metrics.values()]
    for name, answer in answers.items()
}

# class weights multiply the learned odds p / (1 - p) by their ratio, which can be
# undone
ratio = np.sum(~y) / np.sum(y)
weighted = probabilities['class_weight="balanced"']
taken_back = weighted / (weighted + ratio * (1 - weighted))

figure, axes = plt.subplots(
    4, 2, figsize=(5, 8.5), sharex="col", width_ratios=[1, 0.8], layout="constrained"
)
for (left, right), name in zip(axes, probabilities, strict=True):
    left.plot([0, 1], [0, 1], ":", color="0.3")
    left.axvline(thresholds[name], color="C2", linewidth=1)
    for p in probabilities.values():
        left.plot(*calibration(p), color="0.8", linewidth=1)
    left.plot(
        *calibration(probabilities[name]), "o-", color="C0", markersize=4, linewidth=2
    )
    left.set_title(
        f"{name}\nmean probability {probabilities[name].mean():.2f}", fontsize="medium"
    )
    left.set(xlim=(0, 1), ylim=(0, 1), ylabel="fraction of 8s")
    bars = right.barh(list(metrics), scores[name], color=["C0", "C0", "C1"])
    right.bar_label(bars, fmt="%.2f", padding=3, fontsize="small")
    right.set(xlim=(0, 1.3), xticks=[0, 0.5, 1])
    right.invert_yaxis()
axes[1, 0].plot(*calibration(taken_back), "--", color="C1", label="weights undone")
axes[1, 0].legend(loc="upper left", fontsize="small")
axes[-1, 0].set_xlabel("predicted probability")
axes[-1, 1].set_xlabel("score")

plt.show()

# %%
# **The unmodified network** is well calibrated: its curve follows the diagonal, and its
# mean predicted probability is the fraction of 8s. But with a threshold of 1/2 it finds
# only a quarter of them.
#
# **Class weights distort the probabilities.** The network finds five out of six 8s, but
# its mean predicted probability is 0.29, three times too high: where it predicts 0.6,
# only one digit in five is an 8. It learns the odds p / (1 - p) times 9.3, the ratio of
# the class weights. Dividing the odds by this ratio restores calibration, as the dashed
# line shows.
#
# **The focal loss distorts them too**, towards 1/2: their mean is 0.22. It does not
# change which class is more likely (Charoenphakdee et al., arXiv:2011.09172), so its
# predicted classes are similar to those of the unmodified network.
#
# **Tuning the threshold** gives predictions as good as those with class weights and
# keeps the probabilities calibrated. The tuned threshold is 0.12. The expected value is
# 0.10, because class weights move a probability of 1 / (1 + 9.3) to 1/2.
#
# If you need probabilities, train an unmodified network and tune the threshold. Use
# class weights only if you need nothing but the predicted class.
