"""Charts of models of scikit-learn."""

from lineal.integration.sklearn import plot_calibration_curve as plot_calibration_curve
from lineal.integration.sklearn import plot_class_proportions as plot_class_proportions
from lineal.integration.sklearn import plot_classifier as plot_classifier
from lineal.integration.sklearn import plot_clusterer as plot_clusterer
from lineal.integration.sklearn import plot_confusion_matrix as plot_confusion_matrix
from lineal.integration.sklearn import plot_elbow_curve as plot_elbow_curve
from lineal.integration.sklearn import plot_feature_importances as plot_feature_importances
from lineal.integration.sklearn import plot_learning_curve as plot_learning_curve
from lineal.integration.sklearn import plot_outlier_candidates as plot_outlier_candidates
from lineal.integration.sklearn import plot_precision_recall as plot_precision_recall
from lineal.integration.sklearn import plot_regressor as plot_regressor
from lineal.integration.sklearn import plot_residuals as plot_residuals
from lineal.integration.sklearn import plot_roc as plot_roc
from lineal.integration.sklearn import plot_silhouette as plot_silhouette
from lineal.integration.sklearn import plot_summary_metrics as plot_summary_metrics
