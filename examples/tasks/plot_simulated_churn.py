"""
A decision with costs, on simulated customers
=============================================

Which customers should get a call before they leave? A needless call costs 10, and a
customer who leaves without a call costs 100. The right threshold for the predicted
probability is then not 1/2 but 10 / (10 + 100) = 0.09, the probability at which both
errors cost the same on average.

The 8,000 customers are simulated, because scikit-learn and the packages that this
documentation needs ship no table of real ones. The log-odds of leaving are a sum of
effects of the contract, the way of payment, the months as a customer, the monthly
price, which matters only without a fixed term, and the number of complaints. One price
in ten is missing.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import make_scorer
from sklearn.model_selection import TunedThresholdClassifierCV, train_test_split

from sknn_iitb import TabularMLPClassifier

rng = np.random.default_rng(0)
n = 8000
X = pd.DataFrame(
    {
        "contract": rng.choice(
            ["monthly", "one year", "two years"], n, p=[0.55, 0.25, 0.2]
        ),
        "payment": rng.choice(["card", "transfer", "cheque"], n, p=[0.4, 0.35, 0.25]),
        "months": rng.integers(1, 73, n),
        "price": rng.normal(65, 20, n).clip(20).round(2),
        "complaints": rng.poisson(1.2, n),
    }
)
log_odds = (
    -1.6
    + X["contract"].map({"monthly": 1, "one year": -0.7, "two years": -2})
    + 0.6 * (X["payment"] == "cheque")
    - X["months"] / 30
    + 0.03 * (X["price"] - 65) * (X["contract"] == "monthly")
    + 0.5 * X["complaints"]
)
leaves = rng.random(n) < 1 / (1 + np.exp(-log_odds))
X.loc[rng.random(n) < 0.1, "price"] = np.nan
X_train, X_test, y_train, y_test = train_test_split(
    X, leaves, test_size=0.5, random_state=0, stratify=leaves
)
print(X_train.head(3))

# %%
# One network, and three thresholds for its probabilities. ``metric="log_loss"`` selects
# the weights by the quality of the probabilities. ``TunedThresholdClassifierCV`` finds
# the threshold of the lowest cost by cross-validation, without the formula.

NEEDLESS_CALL, LOST_CUSTOMER = 10, 100


def cost(y, called):
    """The cost per customer."""
    lost = np.mean(y & ~called)
    needless = np.mean(~y & called)
    return LOST_CUSTOMER * lost + NEEDLESS_CALL * needless


net = TabularMLPClassifier(preset="fast", metric="log_loss", random_state=0)
tuned = TunedThresholdClassifierCV(
    net,
    scoring=make_scorer(cost, greater_is_better=False),
    thresholds=np.linspace(0.01, 0.99, 99),
    cv=3,
).fit(X_train, y_train)
probability = net.fit(X_train, y_train).predict_proba(X_test)[:, 1]

thresholds = {
    "default": 0.5,
    "formula": NEEDLESS_CALL / (NEEDLESS_CALL + LOST_CUSTOMER),
    "tuned": tuned.best_threshold_,
}
costs = {name: cost(y_test, probability > t) for name, t in thresholds.items()}
print(f"{y_test.mean():.1%} of {len(y_test)} held-out customers leave")
for name, threshold in thresholds.items():
    called = np.mean(probability > threshold)
    print(
        f"{name:8} threshold {threshold:.2f}: "
        f"{called:4.0%} called, cost per customer {costs[name]:5.2f}"
    )
print(f"calling everyone costs {cost(y_test, np.full(len(y_test), True)):.2f}")
print(f"calling no one costs {cost(y_test, np.full(len(y_test), False)):.2f}")

# %%
# The cost is flat near its minimum, so the formula and the tuned threshold are about
# equally good. The formula needs probabilities that are calibrated; tuning does not.

grid = np.linspace(0, 0.7, 141)
figure, ax = plt.subplots(figsize=(5, 3.75), layout="constrained")
ax.plot(grid, [cost(y_test, probability > t) for t in grid], color="0.4")
for (name, threshold), marker, color in zip(
    thresholds.items(), "sov", ["C1", "C0", "k"], strict=True
):
    ax.plot(
        threshold,
        costs[name],
        marker,
        color=color,
        markersize=14 if name == "tuned" else 8,
        linestyle="none",
        fillstyle="none" if name == "tuned" else "full",
        label=f"{name}, {threshold:.2f}: {costs[name]:.2f}",
    )
ax.set(
    xlabel="threshold for a call", ylabel="cost per held-out customer", ylim=(0, None)
)
ax.legend(title="threshold and cost", loc="lower right")
plt.show()
