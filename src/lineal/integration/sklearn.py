"""scikit-learn: what a fitted model does, as charts that the active run logs.

The tables are W&B's, with all rows. No model that is given is changed: what must be fitted again is
a clone. All functions raise UsageError if there is no run.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy
from sklearn import base, calibration, metrics, model_selection
from sklearn.linear_model import LogisticRegression

import lineal
from lineal.integration.running import active_run

TRAIN_SIZES = (0.1, 0.325, 0.55, 0.775, 1.0)
CLUSTER_COUNTS = (1, 3, 5, 7, 9)
CALIBRATION_BINS = 10


# --- all charts of one kind of model --------------------------------------------------------------


def plot_classifier(
    model: Any,
    X_train: Any,
    X_test: Any,
    y_train: Any,
    y_test: Any,
    y_pred: Any,
    y_probas: Any,
    labels: Sequence[str],
    is_binary: bool = False,
    model_name: str = "Classifier",
    feature_names: Sequence[str] | None = None,
    log_learning_curve: bool = False,
) -> None:
    """Log all charts of a classifier; labels: names of the classes 0, 1, …"""
    plot_feature_importances(model, feature_names)
    if log_learning_curve:
        plot_learning_curve(model, X_train, y_train)
    plot_confusion_matrix(y_test, y_pred, labels)
    plot_summary_metrics(model, X_train, y_train, X_test, y_test)
    plot_class_proportions(y_train, y_test, labels)
    plot_calibration_curve(model, X_train, y_train, model_name)
    plot_roc(y_test, y_probas, labels)
    plot_precision_recall(y_test, y_probas, labels)


def plot_regressor(
    model: Any,
    X_train: Any,
    X_test: Any,
    y_train: Any,
    y_test: Any,
    model_name: str = "Regressor",
) -> None:
    """Log all charts of a regressor."""
    plot_summary_metrics(model, X_train, y_train, X_test, y_test)
    plot_learning_curve(model, X_train, y_train)
    plot_outlier_candidates(model, X_train, y_train)
    plot_residuals(model, X_train, y_train)


def plot_clusterer(
    model: Any,
    X_train: Any,
    cluster_labels: Any,
    labels: Sequence[str] | None = None,
    model_name: str = "Clusterer",
) -> None:
    """Log all charts of a clusterer; cluster_labels: the cluster of each sample."""
    if hasattr(model, "n_clusters") and hasattr(model, "score"):
        plot_elbow_curve(model, X_train)
    plot_silhouette(model, X_train, cluster_labels, labels)


# --- of any model ---------------------------------------------------------------------------------


def plot_summary_metrics(model: Any, X: Any, y: Any, X_test: Any, y_test: Any) -> None:
    """Log accuracy, precision, recall and F1, or errors and R², on the test data."""
    predicted = model.predict(X_test)
    if base.is_classifier(model):
        average = {"average": "weighted", "zero_division": 0}
        found = {
            "accuracy_score": metrics.accuracy_score(y_test, predicted),
            "precision": metrics.precision_score(y_test, predicted, **average),
            "recall": metrics.recall_score(y_test, predicted, **average),
            "f1_score": metrics.f1_score(y_test, predicted, **average),
        }
    else:
        found = {
            "mae": metrics.mean_absolute_error(y_test, predicted),
            "mse": metrics.mean_squared_error(y_test, predicted),
            "r2_score": metrics.r2_score(y_test, predicted),
        }
    name = type(model).__name__
    rows = [[metric, float(value), name] for metric, value in found.items()]
    _log("summary_metrics", "metrics/v1", ["metric_name", "metric_value", "model_name"], rows)


def plot_learning_curve(
    model: Any,
    X: Any,
    y: Any,
    cv: Any = None,
    shuffle: bool = False,
    random_state: Any = None,
    train_sizes: Any = None,
    n_jobs: int = 1,
    scoring: Any = None,
) -> None:
    """Log the scores of clones fitted on more and more data, as scikit-learn's function does."""
    sizes, train, test = model_selection.learning_curve(
        model,
        X,
        y,
        cv=cv,
        shuffle=shuffle,
        random_state=random_state,
        train_sizes=TRAIN_SIZES if train_sizes is None else train_sizes,
        n_jobs=n_jobs,
        scoring=scoring,
    )[:3]
    rows = []
    for size, *scores in zip(sizes, train.mean(axis=1), test.mean(axis=1), strict=True):
        for name, score in zip(("train", "test"), scores, strict=True):
            rows.append([name, float(score), int(size)])
    _log("learning_curve", "learning_curve/v1", ["dataset", "score", "train_size"], rows)


def plot_feature_importances(
    model: Any,
    feature_names: Sequence[str] | None = None,
    title: str = "Feature Importance",
    max_num_features: int = 50,
) -> None:
    """Log the importances, or coefficients, of a model that has one for each feature."""
    for name in ("feature_importances_", "feature_log_prob_", "coef_"):
        found = numpy.squeeze(numpy.asarray(getattr(model, name, None), dtype=float))
        if found.ndim == 1:
            break
    else:
        lineal.termwarn(
            f"{type(model).__name__} has no importance for each feature; none are logged",
            repeat=False,
        )
        return
    largest = numpy.argsort(found)[::-1][:max_num_features]
    names = range(len(found)) if feature_names is None else list(feature_names)
    rows = [[str(names[at]), float(found[at])] for at in largest]
    _log(
        "feature_importances",
        "feature_importances/v1",
        ["feature_names", "importances"],
        rows,
    )


# --- of classifiers -------------------------------------------------------------------------------


def plot_roc(
    y_true: Any,
    y_probas: Any,
    labels: Sequence[str] | None = None,
    plot_micro: bool = True,
    plot_macro: bool = True,
    classes_to_plot: Sequence[Any] | None = None,
) -> None:
    """Log `lineal.plot.roc_curve`."""
    chart = lineal.plot.roc_curve(y_true, y_probas, labels, classes_to_plot)
    active_run("plot_roc").log({"roc": chart})


def plot_precision_recall(
    y_true: Any,
    y_probas: Any,
    labels: Sequence[str] | None = None,
    plot_micro: bool = True,
    classes_to_plot: Sequence[Any] | None = None,
) -> None:
    """Log `lineal.plot.pr_curve`."""
    chart = lineal.plot.pr_curve(y_true, y_probas, labels, classes_to_plot)
    active_run("plot_precision_recall").log({"precision_recall": chart})


def plot_confusion_matrix(y_true: Any, y_pred: Any, labels: Sequence[str] | None = None) -> None:
    """Log `lineal.plot.confusion_matrix`."""
    chart = lineal.plot.confusion_matrix(y_true=y_true, preds=y_pred, class_names=labels)
    active_run("plot_confusion_matrix").log({"confusion_matrix": chart})


def plot_class_proportions(y_train: Any, y_test: Any, labels: Sequence[str] | None = None) -> None:
    """Log how often each class is in either set."""
    train, test = numpy.asarray(y_train), numpy.asarray(y_test)
    rows = []
    for each in numpy.unique(numpy.concatenate([train, test])).tolist():
        name = str(labels[each]) if labels is not None and isinstance(each, int) else str(each)
        for dataset, classes in (("train", train), ("test", test)):
            rows.append([name, dataset, int((classes == each).sum())])
    _log("class_proportions", "class_proportions/v1", ["class", "dataset", "count"], rows)


def plot_calibration_curve(clf: Any, X: Any, y: Any, clf_name: str = "Classifier") -> None:
    """Log how well probabilities are calibrated: of clones, and of a logistic regression.

    Only of the classes 0 and 1; of others nothing is logged, and that is said.
    """
    classes = numpy.asarray(y)
    if not numpy.isin(classes, (0, 1)).all():
        lineal.termwarn(
            "a calibration curve is of the classes 0 and 1; none is logged of others", repeat=False
        )
        return
    x_train, x_test, y_train, y_test = model_selection.train_test_split(
        X, classes, test_size=0.9, random_state=42
    )
    models = {"Logistic": LogisticRegression()}
    for method in ("isotonic", "sigmoid"):
        models[f"{clf_name} {method.title()}"] = calibration.CalibratedClassifierCV(
            base.clone(clf), cv=2, method=method
        )
    rows: list[list[Any]] = [["Perfectly calibrated", 0.0, 0.0, 0, 0.0]]
    rows.append(["Perfectly calibrated", 1.0, 1.0, 0, 0.0])
    for name, model in models.items():
        chances = model.fit(x_train, y_train).predict_proba(x_test)[:, 1]
        counts, edges = numpy.histogram(chances, bins=CALIBRATION_BINS)
        positive, mean = calibration.calibration_curve(y_test, chances, n_bins=CALIBRATION_BINS)
        found = zip(positive, mean, counts, edges, strict=False)  # bins that are empty are left out
        rows += [[name, float(p), float(m), int(c), float(e)] for p, m, c, e in found]
    columns = ["model", "fraction_of_positives", "mean_predicted_value", "hist_dict", "edge_dict"]
    _log("calibration_curve", "calibration/v1", columns, rows)


# --- of regressors --------------------------------------------------------------------------------


def plot_outlier_candidates(regressor: Any, X: Any, y: Any) -> None:
    """Log Cook's distance of each sample from a linear model: its influence."""
    features, wanted = numpy.asarray(X, dtype=float), numpy.asarray(y, dtype=float)
    count, width = features.shape
    residuals = wanted - base.clone(regressor).fit(features, wanted).predict(features)
    leverage = (features * numpy.linalg.pinv(features).T).sum(axis=1)
    error = residuals @ residuals / (count - numpy.linalg.matrix_rank(features))
    distances = residuals**2 / error / (1 - leverage) ** 2 * leverage / width
    threshold = 4 / count
    percentage = float((distances >= threshold).mean() * 100)
    rows = [[float(each), at, percentage, threshold] for at, each in enumerate(distances)]
    columns = ["distance", "instance_indicies", "outlier_percentage", "influence_threshold"]
    _log("outlier_candidates", "outliers/v1", columns, rows)


def plot_residuals(regressor: Any, X: Any, y: Any) -> None:
    """Log what a clone predicts, and how far off it is, on a fifth of the data and the rest."""
    x_train, x_test, y_train, y_test = model_selection.train_test_split(
        X, numpy.asarray(y), test_size=0.2
    )
    fitted = base.clone(regressor).fit(x_train, y_train)
    scores = [float(fitted.score(x_train, y_train)), float(fitted.score(x_test, y_test))]
    rows = []
    for name, features, wanted in (("train", x_train, y_train), ("test", x_test, y_test)):
        for predicted, actual in zip(fitted.predict(features), wanted, strict=True):
            rows.append([name, float(predicted), float(predicted - actual), *scores])
    columns = ["dataset", "y_pred", "residuals", "train_score", "test_score"]
    _log("residuals", "residuals_plot/v1", columns, rows)


# --- of clusterers --------------------------------------------------------------------------------


def plot_elbow_curve(clusterer: Any, X: Any, cluster_ranges: Iterable[int] | None = None) -> None:
    """Log the errors of clones with more and more clusters."""
    rows = []
    for count in sorted(CLUSTER_COUNTS if cluster_ranges is None else cluster_ranges):
        began = time.perf_counter()
        clone = base.clone(clusterer).set_params(n_clusters=count)
        error = abs(float(clone.fit(X).score(X)))
        rows.append([count, error, time.perf_counter() - began])
    _log("elbow_curve", "elbow/v1", ["cluster_ranges", "errors", "clustering_time"], rows)


def plot_silhouette(
    clusterer: Any,
    X: Any,
    cluster_labels: Any,
    labels: Sequence[str] | None = None,
    metric: str = "euclidean",
    kmeans: bool = True,
) -> None:
    """Log how near each sample is to its own cluster, from -1 to 1."""
    features, clusters = numpy.asarray(X), numpy.asarray(cluster_labels)
    values = metrics.silhouette_samples(features, clusters, metric=metric)
    order = numpy.lexsort((values, clusters))
    rows = [[str(clusters[at]), int(at), float(values[at]), float(values.mean())] for at in order]
    columns = ["cluster", "sample", "silhouette", "silhouette_avg"]
    _log("silhouette_plot", "silhouette_/v1", columns, rows)


def _log(key: str, kind: str, columns: Sequence[str], rows: list[list[Any]]) -> None:
    """Log a table as a chart that W&B draws."""
    table = lineal.Table(columns, rows)
    chart = lineal.plot_table(f"wandb/{kind}", table, {name: name for name in columns})
    active_run(f"plot_{key}").log({key: chart})
