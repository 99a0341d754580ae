"""
Tabular data
============

The passengers of the Titanic, 1,309 rows that scikit-learn ships for its own tests:
numbers, categories, and missing values in a fifth of the ages and three quarters of the
decks. :class:`~sknn_iitb.tabular.TabularMLPClassifier` accepts the table without any
preprocessing, like scikit-learn's gradient boosting.

The first panel shows ROC curves from 5-fold cross-validation. The second panel shows
how much the area under the curve drops when a column is shuffled. Sex and class are the
most important columns, followed by age.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import RocCurveDisplay, log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split

from sknn_iitb import TabularMLPClassifier
from sknn_iitb.inspection import ImportanceDisplay

folder = Path(sklearn.__file__).parent / "datasets/tests/data/openml/id_40945"
(path,) = folder.glob("*.arff.gz")
names = "class survived name sex age siblings parents ticket fare cabin embarked"
titanic = pd.read_csv(
    path,
    skiprows=17,
    names=[*names.split(), "boat", "body", "home"],
    na_values="?",
    quotechar='"',
    skipinitialspace=True,
)

X = titanic[["class", "sex", "age", "siblings", "parents", "fare", "embarked"]]
X = X.assign(deck=titanic["cabin"].str[0])
X = X.astype(dict.fromkeys(["sex", "embarked", "deck"], "category"))
y = np.where(titanic["survived"] == 1, "survived", "died")

models = {
    "TabularMLPClassifier": TabularMLPClassifier(metric="log_loss", random_state=0),
    "HistGradientBoostingClassifier": HistGradientBoostingClassifier(
        categorical_features="from_dtype", random_state=0
    ),
}
folds = StratifiedKFold(5, shuffle=True, random_state=0)
figure, (above, below) = plt.subplots(2, 1, figsize=(5, 7), layout="constrained")

scores = {}
for k, (name, model) in enumerate(models.items()):
    probabilities = cross_val_predict(model, X, y, cv=folds, method="predict_proba")
    accuracy = np.mean((probabilities[:, 1] > 0.5) == (y == "survived"))
    scores[name] = accuracy, log_loss(y, probabilities)
    print(f"{name:32} accuracy {accuracy:.3f}, log loss {scores[name][1]:.3f}")
    curve = RocCurveDisplay.from_predictions(
        y == "survived", probabilities[:, 1], ax=above
    ).line_
    curve.set(
        label=f"{name}\naccuracy {accuracy:.3f}, log loss {scores[name][1]:.3f}",
        color=f"C{k}",
    )
above.legend(loc="lower right", fontsize="small")
above.set(xlabel="false positive rate", ylabel="true positive rate (survivors)")

X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
net = models["TabularMLPClassifier"].fit(X_train, y_train)
ImportanceDisplay.from_estimator(
    net, X_test, y_test, scoring="roc_auc", n_repeats=10, random_state=0, ax=below
)

plt.show()
