"""The project's container, tested with the fixtures of pytest-mlcontainer."""

import json

import numpy as np


def test_model_is_good_enough(training_run):
    metrics = json.loads(training_run.output("outputs/metrics.json").read_text())

    assert metrics["accuracy"] > 0.9


def test_predictions_are_probabilities(inference_run):
    predictions = np.load(inference_run.output("outputs/predictions.npz"))

    assert ((predictions["busy_probability"] >= 0) & (predictions["busy_probability"] <= 1)).all()


def test_inference_agrees_on_all_platforms(platform_matrix, compare_outputs):
    compare_outputs(platform_matrix.run("infer"))


def test_image_runs_without_root(project_image):
    assert project_image.user not in ("", "root", "0")
