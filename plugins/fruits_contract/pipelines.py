"""All pipelines of the project: releases, docs and tests go through this table."""

from fruits_contract.classifier_pipeline import CLASSIFIER_PIPELINE
from fruits_contract.features_pipeline import FEATURES_PIPELINE
from fruits_contract.pipeline import Pipeline, Stage

PIPELINES: tuple[Pipeline, ...] = (FEATURES_PIPELINE, CLASSIFIER_PIPELINE)
BY_DAG_ID: dict[str, Pipeline] = {pipeline.dag_id: pipeline for pipeline in PIPELINES}
STAGES: tuple[Stage, ...] = tuple(stage for pipeline in PIPELINES for stage in pipeline.stages)
