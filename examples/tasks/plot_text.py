"""
Classify texts
==============

To which module of SciPy does a function belong, judging by its documentation? The texts
are the docstrings of the installed SciPy, without their examples and without the names
of the modules, which would give the answer away.

A docstring is a sparse row of several thousand word weights. ``MLPClassifier`` reads it
without making it dense. It competes with ``LinearSVC``, which is hard to beat on texts.
"""

import importlib
import inspect
import re
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import recall_score
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from sknn_iitb import MLPClassifier

# the schedule spans max_iter epochs, so reaching max_iter is intended
warnings.filterwarnings("ignore", category=ConvergenceWarning)

names = "cluster fft integrate interpolate io linalg ndimage optimize signal sparse"
MODULES = [*names.split(), "spatial", "special", "stats"]

answers = re.compile(rf"\b({'|'.join(['scipy', *MODULES])})\b")
modules = {}
for name in MODULES:
    module = importlib.import_module(f"scipy.{name}")
    for function in filter(callable, map(module.__dict__.get, module.__all__)):
        text = (inspect.getdoc(function) or "").split("\nExamples\n")[0]
        if len(text.split()) >= 20:
            modules.setdefault(answers.sub("", text), name)  # each text once
texts, y = list(modules), np.array(list(modules.values()))
names, counts = np.unique(y, return_counts=True)
print(f"{len(texts)} texts from {len(names)} modules")

# %%
# The words are counted anew in each fold, so the models see no word of a held-out text.
# A high learning rate that decays to zero trains the network in 15 epochs.

models = {
    "LinearSVC": LinearSVC(random_state=0),
    "MLPClassifier": MLPClassifier(
        learning_rate_init=0.01, learning_rate="cosine", max_iter=15, random_state=0
    ),
}
folds = StratifiedKFold(5, shuffle=True, random_state=0)
accuracy, seconds, recall = {}, {}, {}
for name, model in models.items():
    words = TfidfVectorizer(sublinear_tf=True, min_df=2, stop_words="english")
    result = cross_validate(
        make_pipeline(words, model),
        texts,
        y,
        cv=folds,
        return_estimator=True,
        return_indices=True,
    )
    predicted = np.empty_like(y)
    for pipeline, test in zip(
        result["estimator"], result["indices"]["test"], strict=True
    ):
        predicted[test] = pipeline.predict([texts[i] for i in test])
    accuracy[name] = result["test_score"]
    seconds[name] = np.median(result["fit_time"])  # the first may have compiled
    recall[name] = recall_score(y, predicted, average=None, labels=names)
    n_words = len(result["estimator"][0][0].vocabulary_)
    print(
        f"{name:13} on {n_words} words: accuracy {accuracy[name].mean():.3f} "
        f"+- {accuracy[name].std():.3f}, {seconds[name]:.2f} s per fit"
    )

# %%
# The accuracies differ by less than their spread over the folds, and the linear model
# is faster, although counting the words takes most of its time. Try it first. A network
# is worth its time if words matter in combination, or if you need its probabilities or
# its hidden layer.

order = np.argsort(counts)
figure, ax = plt.subplots(figsize=(5, 5.6), layout="constrained")
for (name, values), marker, color, shift in zip(
    recall.items(), "so", ["C1", "C0"], [-0.15, 0.15], strict=True
):
    ax.plot(
        values[order],
        np.arange(len(names)) + shift,
        marker,
        color=color,
        label=f"{name}: {accuracy[name].mean():.1%}, {seconds[name]:.2f} s",
    )
ax.set_yticks(range(len(names)), [f"{names[i]} ({counts[i]})" for i in order])
ax.set_xlabel("fraction of the module's texts that are found")
ax.set_ylabel("module (number of texts)")
ax.grid(axis="y", color="0.9")
figure.legend(title="accuracy and time of a fit", loc="outside upper center")
plt.show()
