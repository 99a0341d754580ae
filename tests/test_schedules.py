"""Schedules: factors of the learning rate against formulas, and rules that react to training."""

import math

import numpy as np
import pytest

from sknn_iitb.schedules import (
    SCHEDULES,
    Adaptive,
    Constant,
    Cosine,
    CosineRestarts,
    Coslog,
    Exponential,
    InverseTime,
    InvScaling,
    Linear,
    OneCycle,
    Plateau,
    Polynomial,
    StepDecay,
    WarmUp,
)

# (n_steps, steps_per_epoch): 30 epochs of 4 updates, and a single update
PLANS = [(120, 4), (1, 1)]
DEFAULTS = [cls() for cls in SCHEDULES]


def one(t, epoch, n_epochs):
    return 1.0


def progress_in_doubling_cycles(t):
    """Progress within the current of three cycles, which take 1/7, 2/7 and 4/7 of the training."""
    if t < 1 / 7:
        return 7 * t
    return (7 * t - 1) / 2 if t < 3 / 7 else (7 * t - 3) / 4


# the factor at progress t, from 0 to 1, in an epoch counted from 0; default hyperparameters
FORMULAS = {
    "constant": one,
    "invscaling": one,
    "adaptive": one,
    "plateau": one,
    "step": lambda t, epoch, n: 0.1 ** (epoch // math.ceil(n / 3)),
    "exponential": lambda t, epoch, n: 0.01 ** (epoch / n),
    "inverse_time": lambda t, epoch, n: 1 / (1 + 9 * epoch / n),
    "polynomial": lambda t, epoch, n: (1 - t) ** 2,
    "linear": lambda t, epoch, n: 1 - t,
    "cosine": lambda t, epoch, n: (1 + math.cos(math.pi * t)) / 2,
    "cosine_restarts": lambda t, epoch, n: (1 + math.cos(math.pi * (4 * t % 1))) / 2,
    "one_cycle": lambda t, epoch, n: (
        0.04 + 0.96 * (1 - math.cos(math.pi * t / 0.3)) / 2
        if t < 0.3
        else 1e-4 + (1 - 1e-4) * (1 + math.cos(math.pi * (t - 0.3) / 0.7)) / 2
    ),
    "coslog": lambda t, epoch, n: (1 - math.cos(2 * math.pi * math.log2(1 + 15 * t))) / 2,
}
OTHERS = [
    (StepDecay(factor=0.5, every=7), lambda t, epoch, n: 0.5 ** (epoch // 7)),
    (Exponential(factor=0.9), lambda t, epoch, n: 0.9**epoch),
    (InverseTime(decay=0.2), lambda t, epoch, n: 1 / (1 + 0.2 * epoch)),
    (Polynomial(power=3, end=0.1), lambda t, epoch, n: 0.1 + 0.9 * (1 - t) ** 3),
    (Linear(end=0.25), lambda t, epoch, n: 0.25 + 0.75 * (1 - t)),
    (Cosine(end=0.1), lambda t, epoch, n: 0.1 + 0.9 * (1 + math.cos(math.pi * t)) / 2),
    (CosineRestarts(cycles=1), lambda t, epoch, n: (1 + math.cos(math.pi * t)) / 2),
    (
        CosineRestarts(cycles=3, growth=2),
        lambda t, epoch, n: (1 + math.cos(math.pi * progress_in_doubling_cycles(t))) / 2,
    ),
    (
        OneCycle(rise=0.5, start=0.0, end=0.0),
        lambda t, epoch, n: (1 - math.cos(2 * math.pi * t)) / 2,
    ),
    (Coslog(cycles=2), lambda t, epoch, n: (1 - math.cos(2 * math.pi * math.log2(1 + 3 * t))) / 2),
]
CASES = [(schedule, FORMULAS[schedule.names[0]]) for schedule in DEFAULTS] + OTHERS


def all_factors(schedule, plan):
    n_steps, steps_per_epoch = plan
    return schedule.factors(np.arange(n_steps, dtype=np.int64), n_steps, steps_per_epoch)


@pytest.mark.parametrize("plan", PLANS, ids=["120-updates", "1-update"])
@pytest.mark.parametrize(("schedule", "formula"), CASES, ids=[repr(schedule) for schedule, _ in CASES])
def test_factors_match_the_formula(schedule, formula, plan):
    n_steps, steps_per_epoch = plan
    n_epochs = n_steps // steps_per_epoch
    expected = [formula(step / n_steps, step // steps_per_epoch, n_epochs) for step in range(n_steps)]
    factors = all_factors(schedule, plan)
    assert factors.dtype == np.float64
    np.testing.assert_allclose(factors, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("schedule", DEFAULTS, ids=repr)
def test_factors_of_some_steps_equal_those_of_all_steps(schedule):
    # it does not matter how many factors are computed at a time
    whole = all_factors(schedule, PLANS[0])
    chunks = [schedule.factors(steps, *PLANS[0]) for steps in np.split(np.arange(120), [1, 50, 51, 100])]
    np.testing.assert_array_equal(np.concatenate(chunks), whole)


@pytest.mark.parametrize("schedule", DEFAULTS, ids=repr)
def test_factors_are_between_zero_and_one(schedule):
    factors = all_factors(schedule, PLANS[0])
    assert np.all((factors >= 0) & (factors <= 1))


@pytest.mark.parametrize(
    ("name", "last"),
    [
        # in the last of 900 epochs of one update each
        ("step", 0.1**2),
        ("exponential", 0.01),
        ("inverse_time", 0.1),
        ("polynomial", 0),
        ("linear", 0),
        ("cosine", 0),
        ("cosine_restarts", 0),
        ("one_cycle", 1e-4),
        ("coslog", 0),
    ],
)
def test_schedule_by_name_decays_over_the_whole_training(name, last):
    schedule = SCHEDULES.resolve(name)
    short, long = (all_factors(schedule, (n, 1)) for n in (90, 900))
    assert long[-1] == pytest.approx(last, abs=0.01)
    # the same curve, ten times slower
    np.testing.assert_allclose(long[::10], short, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("schedule", [InvScaling(), Adaptive(), Plateau(), Constant()], ids=repr)
def test_schedule_without_a_rule_keeps_the_learning_rate(schedule):
    if not isinstance(schedule, (InvScaling, Plateau)):
        assert schedule.after_epoch(0.25, n_samples=1000, stalled=4) == 0.25
    if not isinstance(schedule, Adaptive):
        assert schedule.instead_of_stopping(0.25, learning_rate=0.01) is None


@pytest.mark.parametrize("power_t", [0.0, 0.5, 2.0])
def test_invscaling_divides_by_a_power_of_the_samples_seen(power_t):
    schedule, divisor = InvScaling(power_t), 1.0
    for n_samples in (150, 300, 450):
        divisor = schedule.after_epoch(divisor, n_samples, stalled=0)
        assert divisor == pytest.approx((n_samples + 1) ** power_t, rel=1e-15)


def test_adaptive_divides_by_five_down_to_a_millionth():
    schedule, divisor, learning_rates = Adaptive(), 1.0, []
    while divisor is not None:
        learning_rates.append(0.001 / divisor)
        divisor = schedule.instead_of_stopping(divisor, learning_rates[-1])
    # the last division happens at the last learning rate above 1e-6
    np.testing.assert_allclose(learning_rates, 0.001 / 5.0 ** np.arange(6), rtol=1e-12)


def test_plateau_reduces_after_every_patience_stalled_epochs():
    schedule, divisor, scales = Plateau(factor=0.5, patience=3), 1.0, []
    for stalled in (0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 0, 1, 2, 3):
        divisor = schedule.after_epoch(divisor, 100, stalled)
        scales.append(1 / divisor)
    assert scales == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.125]


@pytest.mark.parametrize("duration", [1, 12, 0.05, 0.5, 1e-9])
@pytest.mark.parametrize(
    "inner",
    [*DEFAULTS, "cosine", lambda step, n_steps: 1 - step / n_steps],
    ids=lambda inner: "custom" if callable(inner) else repr(inner),
)
def test_warm_up_raises_the_learning_rate_linearly(inner, duration):
    plan = n_steps, _ = PLANS[0]
    n_warm = duration if isinstance(duration, int) else max(1, round(duration * n_steps))
    ramp = [min(1, (step + 1) / n_warm) for step in range(n_steps)]
    expected = ramp * all_factors(SCHEDULES.resolve(inner), plan)
    np.testing.assert_allclose(all_factors(WarmUp(inner, duration), plan), expected, rtol=1e-15)


def test_warm_up_keeps_the_rules_of_its_schedule():
    assert WarmUp("invscaling").after_epoch(1.0, 99, 0) == InvScaling().after_epoch(1.0, 99, 0) == 10
    assert WarmUp(Plateau(0.25, 2)).after_epoch(1.0, 99, 2) == 4
    assert WarmUp("adaptive").instead_of_stopping(1.0, 0.1) == 5
    assert WarmUp().instead_of_stopping(1.0, 0.1) is None


@pytest.mark.parametrize("duration", [0, 0.0, 1.0, -1, 1.5, "long"])
def test_warm_up_with_an_invalid_duration_raises(duration):
    with pytest.raises(ValueError, match="The 'duration' parameter of WarmUp"):
        SCHEDULES.resolve(WarmUp(duration=duration))


@pytest.mark.parametrize("schedule", ["no_such_schedule", Plateau(factor=2.0), 3], ids=repr)
def test_warm_up_of_an_invalid_schedule_raises(schedule):
    with pytest.raises(ValueError, match=r"The '(schedule|factor)' parameter of"):
        SCHEDULES.resolve(WarmUp(schedule))


def test_custom_function_gets_all_steps_at_once():
    calls = []

    def halving(step, n_steps):
        calls.append((step, n_steps))
        return 0.5 ** (step // 40)

    factors = all_factors(SCHEDULES.resolve(halving), PLANS[0])
    np.testing.assert_array_equal(factors, np.repeat([1, 0.5, 0.25], 40))
    ((step, n_steps),) = calls
    assert step.dtype == np.int64
    np.testing.assert_array_equal(step, np.arange(120))
    assert n_steps == 120


@pytest.mark.parametrize("plan", PLANS, ids=["120-updates", "1-update"])
@pytest.mark.parametrize(
    "function",
    [
        lambda step, n_steps: 1.0 if step < 60 else 0.5,  # truth value of an array: ValueError
        lambda step, n_steps: math.exp(-step / n_steps),  # array as a number: TypeError
        lambda step, n_steps: max(0.25, 1 - step / n_steps),
        lambda step, n_steps: [1.0, 0.5][step % 2],  # array as an index: TypeError
    ],
    ids=["if", "math", "max", "index"],
)
@pytest.mark.filterwarnings("ignore:Conversion of an array with ndim > 0 to a scalar:DeprecationWarning")
def test_custom_function_of_a_single_step_works(function, plan):
    n_steps, _ = plan
    factors = all_factors(SCHEDULES.resolve(function), plan)
    np.testing.assert_array_equal(factors, [function(step, n_steps) for step in range(n_steps)])


def test_custom_function_may_return_one_number_for_all_steps():
    np.testing.assert_array_equal(
        all_factors(SCHEDULES.resolve(lambda step, n_steps: 0.5), PLANS[0]), np.full(120, 0.5)
    )


@pytest.mark.parametrize(
    "factors",
    [
        lambda step: -0.1,
        lambda step: np.where(step == 7, np.nan, 1),
        lambda step: np.where(step == 7, np.inf, 1),
        lambda step: step - 1,
        lambda step: np.ones(3),
        lambda step: np.ones((len(step), 1)),
        lambda step: None,
        lambda step: "fast",
        lambda step: [[1], [1, 2]],
    ],
    ids=["negative", "nan", "inf", "one-negative", "too-few", "two-dimensional", "none", "string", "ragged"],
)
def test_invalid_factors_raise(factors):
    def mistaken(step, n_steps):
        return factors(step)

    with pytest.raises(ValueError, match="learning_rate=mistaken: a schedule must return finite factors >= 0"):
        all_factors(SCHEDULES.resolve(mistaken), PLANS[0])


@pytest.mark.parametrize(
    "function", [lambda step: 1.0, lambda a, b, c: 1.0, np.cos, "abc".join], ids=["one", "three", "ufunc", "method"]
)
def test_custom_function_with_a_wrong_signature_raises(function):
    with pytest.raises(ValueError, match=r"plain Python function f\(step, n_steps\)"):
        SCHEDULES.resolve(function)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("step", {"factor": 1.0}),
        ("step", {"every": 0}),
        ("exponential", {"factor": 0.0}),
        ("inverse_time", {"decay": -1.0}),
        ("polynomial", {"power": 0.0}),
        ("linear", {"end": 1.5}),
        ("cosine", {"end": -0.1}),
        ("cosine_restarts", {"cycles": 0}),
        ("cosine_restarts", {"growth": 0.5}),
        ("one_cycle", {"rise": 1.0}),
        ("coslog", {"cycles": 0}),
        ("plateau", {"patience": 0}),
        ("invscaling", {"power_t": -1.0}),
    ],
)
def test_out_of_range_hyperparameter_raises(name, parameters):
    (parameter,) = parameters
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of"):
        SCHEDULES.resolve(SCHEDULES[name](**parameters))


def test_flat_parameters_apply_to_names_but_not_to_instances():
    assert SCHEDULES.resolve("invscaling", {"power_t": 0.3}).power_t == 0.3
    assert SCHEDULES.resolve(InvScaling(0.7), {"power_t": 0.3}).power_t == 0.7
