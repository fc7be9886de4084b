"""Fits multinomial logistic regression with Spark ML, along the principal components of its inputs."""

import numpy as np
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import VectorAssembler  # not pyspark.ml.functions: it needs pandas
from pyspark.sql import DataFrame

from fruits.linear_fits import LinearScores

COMPONENTS = 128  # more are no better on Fruits-360 (0018), and time grows with them
REGULARIZATION = 0.01
MAX_ITERATIONS = 50


def fit_logistic_regression(points: DataFrame, *, label: str, weight: str, axes: np.ndarray) -> LinearScores:
    """Fit the classes in column `label` and return scores of the inputs, before `axes`.

    Parameters
    ----------
    points
        Columns "0", "1" and so on (the inputs along `axes`), `label` (0, 1, ...) and `weight`.
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
    assembler = VectorAssembler(inputCols=[str(number) for number in range(axes.shape[1])], outputCol="vector")
    model = estimator.fit(assembler.transform(points).select("vector", label, weight))
    return LinearScores(axes @ model.coefficientMatrix.toArray().T, model.interceptVector.toArray())
