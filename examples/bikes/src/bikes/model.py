"""The two models: a forest for the count, a logistic regression for the busy hours."""

from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    mean_absolute_error,
    roc_auc_score,
    root_mean_squared_error,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from bikes.data import Hours
from bikes.features import linear_features, tree_features

SEED = 7
HOLDOUT_DAYS = 56
BUSY_CHANCE = 0.5
BUSY_QUANTILE = 0.75

Metrics = dict[str, float | int | bool]


@dataclass(frozen=True)
class BikesModel:
    """A trained pair of models; ``busy_count`` is the count from which an hour is busy."""

    demand: RandomForestRegressor
    busy: Pipeline
    busy_count: float


@dataclass(frozen=True)
class Predictions:
    """What the models say of each hour: bikes per hour, and the chance of a busy hour."""

    count: NDArray[np.float32]
    busy_probability: NDArray[np.float32]

    @property
    def busy(self) -> NDArray[np.bool_]:
        """Whether each hour is called busy: a chance of BUSY_CHANCE or more."""
        return self.busy_probability >= BUSY_CHANCE


def fit(hours: Hours) -> BikesModel:
    """Train both models on hours with counts."""
    count = counts_of(hours)
    busy_count = float(np.quantile(count, BUSY_QUANTILE, method="higher"))
    demand = RandomForestRegressor(
        n_estimators=20, max_depth=12, min_samples_leaf=4, max_features=0.6, random_state=SEED
    )
    # Solver, tolerance and max_iter are scikit-learn's own: lbfgs stops after 100 steps.
    busy = Pipeline(
        [
            ("interactions", PolynomialFeatures(degree=2, include_bias=False)),
            ("scale", StandardScaler()),
            ("classify", LogisticRegression(random_state=SEED)),
        ]
    )
    demand.fit(tree_features(hours), count)
    busy.fit(linear_features(hours), count >= busy_count)
    return BikesModel(demand=demand, busy=busy, busy_count=busy_count)


def predict(model: BikesModel, hours: Hours) -> Predictions:
    """Predict hours, with or without counts."""
    return Predictions(
        count=model.demand.predict(tree_features(hours)).astype(np.float32),
        busy_probability=model.busy.predict_proba(linear_features(hours))[:, 1].astype(np.float32),
    )


def evaluate(model: BikesModel, hours: Hours, predictions: Predictions) -> Metrics:
    """Score predictions against the counts of the same hours (errors in bikes per hour)."""
    count = counts_of(hours)
    busy = count >= model.busy_count
    classifier = model.busy["classify"]
    steps = int(classifier.n_iter_[0])
    return {
        "mae": float(mean_absolute_error(count, predictions.count)),
        "rmse": float(root_mean_squared_error(count, predictions.count)),
        "accuracy": float(accuracy_score(busy, predictions.busy)),
        "auc": float(roc_auc_score(busy, predictions.busy_probability)),
        "log_loss": float(log_loss(busy, predictions.busy_probability)),
        "busy_count": model.busy_count,
        "holdout_hours": len(hours),
        "solver_steps": steps,
        "solver_converged": steps < classifier.max_iter,
    }


def weights(model: BikesModel) -> dict[str, NDArray[np.generic]]:
    """Return what was learnt, as plain arrays that any tool can read."""
    classifier, scale = model.busy["classify"], model.busy["scale"]
    return {
        "busy_coef": classifier.coef_[0],
        "busy_intercept": classifier.intercept_,
        "scale_mean": scale.mean_,
        "scale_std": scale.scale_,
        "demand_importance": model.demand.feature_importances_,
    }


def save(model: BikesModel, path: Path) -> None:
    """Write a model; what reads it must trust where it came from (it is a pickle)."""
    joblib.dump(model, path)


def load(path: Path) -> BikesModel:
    """Read a model written by `save`; raise TypeError if the file holds something else."""
    model = joblib.load(path)
    if not isinstance(model, BikesModel):
        raise TypeError(f"{path} holds {type(model).__name__}, not a bikes model")
    return model


def counts_of(hours: Hours) -> NDArray[np.float32]:
    """Return the counts; raise ValueError where there are none."""
    if hours.count is None:
        raise ValueError("these hours have no counts: only hours of the past can be learnt from")
    return hours.count
