"""A linear head on class tokens: logistic regression, sources weighing alike."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from services.training.evaluate.calibrate import group_weights

# Regularisation of thousands of standardised features by a few thousand photos, chosen on folds.
C = 3e-4


@dataclass(frozen=True, slots=True)
class Head:
    """logit = ((features - center) / spread) @ weight + bias; arrays float32 `[F]`."""

    center: NDArray[np.float32]
    spread: NDArray[np.float32]
    weight: NDArray[np.float32]
    bias: float

    def logits(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return float64 `[N]` of features `[N, F]`."""
        standard = (np.asarray(features, np.float32) - self.center) / self.spread
        return np.asarray(standard @ self.weight + self.bias, np.float64)

    def folded(self) -> tuple[NDArray[np.float32], float]:
        """Return weight `[F]` and bias for features as they are, without standardisation."""
        weight = self.weight / self.spread
        return weight.astype(np.float32), float(self.bias - (weight * self.center).sum())


def fit_head(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    sources: NDArray[np.str_],
    c: float = C,
) -> Head:
    """Fit a head to features `[N, F]`; a source of n photos counts n**0.5 times, classes alike."""
    values = np.asarray(features, np.float32)
    center, spread = values.mean(0), values.std(0) + 1e-4
    weights = group_weights(labels, list(sources)) * len(labels)
    model = LogisticRegression(C=c, max_iter=300)
    model.fit((values - center) / spread, labels, sample_weight=weights)
    return Head(center, spread, model.coef_[0].astype(np.float32), float(model.intercept_[0]))
