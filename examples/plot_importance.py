"""
Feature importance
==================

Which of ten measurements does a network use to predict the progression of diabetes
within a year? The data are the 442 patients of scikit-learn's diabetes data set.

The first panel shows permutation importance: how much the score on held-out patients
drops when a column is shuffled. The second panel shows gradient importance: how
strongly the predictions react to a column, for which no targets are needed. Both rank
the triglycerides (s5) and the body-mass index first. The lower panels show the effect
of these two columns with scikit-learn's partial dependence.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes
from sklearn.inspection import PartialDependenceDisplay
from sklearn.model_selection import train_test_split

from sknn_iitb import TabularMLPRegressor
from sknn_iitb.inspection import ImportanceDisplay

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X["sex"] = X["sex"].map({1.0: "one", 2.0: "other"})
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
net = TabularMLPRegressor(random_state=0).fit(X_train, y_train)
print(f"R2 on held-out patients: {net.score(X_test, y_test):.3f}")

figure, axes = plt.subplot_mosaic(
    [["permutation", "permutation"], ["gradient", "gradient"], ["bmi", "s5"]],
    figsize=(5, 9),
    layout="constrained",
)
ImportanceDisplay.from_estimator(
    net, X_test, y_test, n_repeats=20, random_state=0, ax=axes["permutation"]
)
ImportanceDisplay.from_estimator(net, X_test, kind="gradient", ax=axes["gradient"])
PartialDependenceDisplay.from_estimator(
    net,
    X_test,
    ["bmi", "s5"],
    kind="both",
    ax=[axes["bmi"], axes["s5"]],
    line_kw={"linewidth": 1},
    pd_line_kw={"linewidth": 3},
)

plt.show()
