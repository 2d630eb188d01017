"""How often the bound on false accusations holds: a simulation of sources like those measured."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln

from services.training.config import CalibrationConfig
from services.training.errors import TrainingError
from services.training.evaluate.calibrate import choose_thresholds

Counts = NDArray[np.int64]

# Calibrated probability that the fitted rates are taken to be of; any value serves, as thresholds
# are chosen anew in every draw.
_REFERENCE = 0.95
# Sources whose mean rate is the truth.
_POPULATION = 20_000
_RATE_FLOOR = 1e-12
# Generated photos of a draw: they only set `real_below`.
_GENERATED = 40


@dataclass(frozen=True, slots=True)
class BoundCoverage:
    """What became of `draws` choices of a threshold on simulated sources."""

    draws: int
    # Share of draws whose bound was at least the true rate at the threshold that they chose; a
    # bound at 95% confidence should hold in 0.95 of them.
    covered: float
    # Share of draws whose true rate was within the budget, and whose bound said so.
    within_budget: float
    bound_holds: float
    # Mean of the true rates, and of the bounds.
    mean_rate: float
    mean_bound: float
    # The fitted distribution of sources' rates: Beta(alpha, beta).
    alpha: float
    beta: float


def fit_beta_binomial(accused: Counts, photos: Counts) -> tuple[float, float]:
    """Return (alpha, beta) of sources' rates by maximum likelihood; counts int64 `[S]`.

    Raises TrainingError when nobody or everybody is accused, which tells nothing of rates.
    """
    if len(accused) < 2 or not 0 < accused.sum() < photos.sum():
        raise TrainingError(
            "rates of sources cannot be fitted: count accusations of at least two sources at a"
            " threshold that accuses some photos, but not all"
        )

    def loss(point: NDArray[np.float64]) -> float:
        a, b = _shape(point)
        return -float((betaln(accused + a, photos - accused + b) - betaln(a, b)).sum())

    rate = accused.sum() / photos.sum()
    start = np.array([math.log(rate / (1 - rate)), math.log(20.0)])
    # Beyond these a source's rate is the mean itself, or only 0 and 1.
    bounds = [(-12.0, 12.0), (math.log(0.05), math.log(1e5))]
    return _shape(minimize(loss, start, method="L-BFGS-B", bounds=bounds).x)


def _shape(point: NDArray[np.float64]) -> tuple[float, float]:
    mean, total = 1 / (1 + math.exp(-point[0])), math.exp(point[1])
    return float(mean * total), float((1 - mean) * total)


def bound_coverage(
    accused: Counts,
    photos: Counts,
    config: CalibrationConfig,
    draws: int = 300,
    seed: int = 17,
) -> BoundCoverage:
    """Say how often `choose_thresholds`' bound covers the truth on sources like these.

    `accused` of `photos` int64 `[S]` are out-of-fold counts of real photos by source, at any one
    threshold. Each draw has as many sources of the same sizes; a source's rate p at _REFERENCE is
    drawn from the fitted beta-binomial, and its photos' probabilities exceed t with
    (1 - t)**k, where k gives p at _REFERENCE. `choose_thresholds` then chooses; the truth is the
    mean rate at its threshold over all sources that could have been drawn.

    Raises TrainingError as `fit_beta_binomial`.
    """
    alpha, beta = fit_beta_binomial(accused, photos)
    rng = np.random.default_rng(seed)
    population = _steepness(rng.beta(alpha, beta, _POPULATION))
    names = np.repeat([f"source-{number}" for number in range(len(photos))], photos)
    families = [*names.tolist(), *["generator"] * _GENERATED]
    labels = np.repeat([0, 1], [len(names), _GENERATED]).astype(np.int64)
    rates, bounds, holds = [], [], []
    for _ in range(draws):
        steepness = np.repeat(_steepness(rng.beta(alpha, beta, len(photos))), photos)
        real = 1 - rng.uniform(size=len(steepness)) ** (1 / steepness)
        probability = np.concatenate([real, np.linspace(0.9, 1.0, _GENERATED)])
        report = choose_thresholds(labels, probability, config, 1, families)
        rates.append(float(((1 - report.thresholds.ai_above) ** population).mean()))
        bounds.append(report.false_accusation_bound)
        holds.append(report.bound_holds)
    rate, bound = np.array(rates), np.array(bounds)
    return BoundCoverage(
        draws=draws,
        covered=float((rate <= bound).mean()),
        within_budget=float((rate <= config.false_accusation_budget).mean()),
        bound_holds=float(np.mean(holds)),
        mean_rate=float(rate.mean()),
        mean_bound=float(bound.mean()),
        alpha=alpha,
        beta=beta,
    )


def _steepness(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the exponent under which a source's photos exceed _REFERENCE at its rate."""
    clipped = np.clip(rates, _RATE_FLOOR, 1 - _RATE_FLOOR)
    return np.asarray(np.log(clipped) / math.log(1 - _REFERENCE))
