"""
What mattered to a net
======================

The diabetes table of scikit-learn, 442 patients: what of ten measurements does a net use to predict how the illness
goes on in a year?

Above on the left, by how much the score of held-out patients falls when a column is shuffled; on the right, how
strongly the predictions react to it, by gradients, for which no targets are needed. Both put the triglycerides (s5) and
the body-mass index first. What they do is below, in scikit-learn's partial dependence.
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
print(f"R2 of held-out patients: {net.score(X_test, y_test):.3f}")

figure, axes = plt.subplots(2, 2, figsize=(10, 8), layout="constrained")
ImportanceDisplay.from_estimator(net, X_test, y_test, n_repeats=20, random_state=0, ax=axes[0, 0])
ImportanceDisplay.from_estimator(net, X_test, kind="gradient", ax=axes[0, 1])
PartialDependenceDisplay.from_estimator(
    net, X_test, ["bmi", "s5"], kind="both", ax=axes[1], line_kw={"linewidth": 1}, pd_line_kw={"linewidth": 3}
)

plt.show()
