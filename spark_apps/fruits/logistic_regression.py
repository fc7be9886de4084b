"""Fits multinomial logistic regression with Spark ML, along the principal components of its inputs."""

import numpy as np
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fruits.linear_fits import LinearScores

COMPONENTS = 128  # more are no better on Fruits-360 (0018), and time grows with them
REGULARIZATION = 0.01
MAX_ITERATIONS = 50


def fit_logistic_regression(points: DataFrame, *, label: str, weight: str, axes: np.ndarray) -> LinearScores:
    """Fit the classes in column `label` and return scores of the inputs, before `axes`.

    Parameters
    ----------
    points
        Columns `point` (an array of numbers, the inputs along `axes`), `label` (0, 1, ...) and `weight`.
    axes : ndarray, shape (d, k)
    """
    estimator = LogisticRegression(
        featuresCol="vector",
        labelCol=label,
        weightCol=weight,
        family="multinomial",
        regParam=REGULARIZATION,
        standardization=False,
        maxIter=MAX_ITERATIONS,
    )
    model = estimator.fit(points.select(array_to_vector(F.col("point")).alias("vector"), label, weight))
    return LinearScores(axes @ model.coefficientMatrix.toArray().T, model.interceptVector.toArray())
