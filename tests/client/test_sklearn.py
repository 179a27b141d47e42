"""Charts of models of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import SVC

import lineal
from lineal.errors import UsageError

NAMES = ["setosa", "versicolor", "virginica"]
X, Y = load_iris(return_X_y=True)
TRAIN, TEST = slice(0, None, 2), slice(1, None, 2)


def tables(run: lineal.Run) -> dict[str, Any]:
    """Return the logged charts' tables by key."""
    read = lineal.Api().run(run.path)
    logged = {each.digest: each for each in read.logged_artifacts()}
    found = {}
    for key, value in read.summary.items():
        if key.startswith("_"):
            continue
        assert value["_type"] == "custom-chart"
        place = value["table"]["artifact_path"]
        digest = next(each for each in logged if each in place)
        found[key] = logged[digest].get(place.rpartition("/")[2])
    return found


def test_all_charts_of_a_classifier() -> None:
    model = RandomForestClassifier(10, random_state=0).fit(X[TRAIN], Y[TRAIN])
    with lineal.init() as run:
        lineal.sklearn.plot_classifier(
            model,
            X[TRAIN],
            X[TEST],
            Y[TRAIN],
            Y[TEST],
            model.predict(X[TEST]),
            model.predict_proba(X[TEST]),
            NAMES,
            feature_names=["a", "b", "c", "d"],
            log_learning_curve=True,
        )
    found = tables(run)
    assert set(found) == {
        *("feature_importances", "learning_curve", "confusion_matrix", "summary_metrics"),
        *("class_proportions", "roc", "precision_recall"),  # more than two classes: no calibration
    }
    importances = found["feature_importances"].get_column("importances")
    assert importances == sorted(model.feature_importances_.tolist(), reverse=True)
    assert set(found["feature_importances"].get_column("feature_names")) == set("abcd")
    scores = dict(row[:2] for row in found["summary_metrics"].data)
    assert scores["accuracy_score"] == model.score(X[TEST], Y[TEST])
    assert set(scores) == {"accuracy_score", "precision", "recall", "f1_score"}
    assert found["class_proportions"].data == [
        [name, dataset, 25] for name in NAMES for dataset in ("train", "test")
    ]
    assert found["learning_curve"].get_column("dataset") == ["train", "test"] * 5


def test_a_calibration_curve_is_of_two_classes() -> None:
    binary = Y < 2
    x, y = X[binary] + np.random.default_rng(0).normal(0, 2, (100, 4)), Y[binary]
    model = SVC().fit(x, y)
    with lineal.init() as run:
        lineal.sklearn.plot_calibration_curve(model, x, y, "SVC")
    [table] = tables(run).values()
    assert set(table.get_column("model")) == {
        *("Perfectly calibrated", "Logistic", "SVC Isotonic", "SVC Sigmoid"),
    }
    shares = table.get_column("fraction_of_positives")
    assert min(shares) >= 0
    assert max(shares) <= 1


def test_what_a_model_does_not_have_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with lineal.init() as run:
        lineal.sklearn.plot_feature_importances(SVC().fit(X, Y))
        lineal.sklearn.plot_feature_importances(LogisticRegression(max_iter=500).fit(X, Y))
        lineal.sklearn.plot_calibration_curve(SVC(), X, Y)
    assert tables(run) == {}
    told = capsys.readouterr().err
    assert "SVC has no importance for each feature" in told
    assert "LogisticRegression has no importance for each feature" in told
    assert "a calibration curve is of the classes 0 and 1" in told


def test_all_charts_of_a_regressor_leave_it_as_it_is() -> None:
    x, y = load_diabetes(return_X_y=True)
    model = Ridge().fit(x[TRAIN], y[TRAIN])
    before = model.coef_.copy()
    with lineal.init() as run:
        lineal.sklearn.plot_regressor(model, x[TRAIN], x[TEST], y[TRAIN], y[TEST])
    assert (model.coef_ == before).all()
    found = tables(run)
    assert set(found) == {"summary_metrics", "learning_curve", "outlier_candidates", "residuals"}
    scores = dict(row[:2] for row in found["summary_metrics"].data)
    assert scores["r2_score"] == pytest.approx(model.score(x[TEST], y[TEST]))
    assert set(scores) == {"mae", "mse", "r2_score"}
    count = len(y[TRAIN])
    assert len(found["residuals"]) == len(found["outlier_candidates"]) == count
    assert found["residuals"].get_column("dataset").count("test") == -(-count // 5)
    threshold = found["outlier_candidates"].data[0][3]
    distances = found["outlier_candidates"].get_column("distance")
    share = sum(each >= threshold for each in distances) / count
    assert found["outlier_candidates"].data[0][2] == pytest.approx(100 * share)


def test_the_most_influential_sample_is_the_one_that_lies_apart() -> None:
    x = np.arange(20.0).reshape(-1, 1)
    y = 2 * x[:, 0]
    y[19] = 0
    with lineal.init() as run:
        lineal.sklearn.plot_outlier_candidates(Ridge(alpha=0).fit(x, y), x, y)
    [table] = tables(run).values()
    distances = table.get_column("distance")
    assert distances.index(max(distances)) == 19


def test_all_charts_of_a_clusterer() -> None:
    model = KMeans(3, n_init=2, random_state=0).fit(X)
    with lineal.init() as run:
        lineal.sklearn.plot_clusterer(model, X, model.labels_, NAMES)
    found = tables(run)
    elbow = found["elbow_curve"]
    assert elbow.get_column("cluster_ranges") == [1, 3, 5, 7, 9]
    assert elbow.get_column("errors")[1] == pytest.approx(model.inertia_)
    assert model.n_clusters == 3
    silhouette = found["silhouette_plot"]
    assert len(silhouette) == 150
    assert silhouette.get_column("cluster") == sorted(map(str, model.labels_.tolist()))


def test_charts_need_a_run() -> None:
    with pytest.raises(UsageError, match="plot_class_proportions needs a run"):
        lineal.sklearn.plot_class_proportions([0, 1], [1, 1])
