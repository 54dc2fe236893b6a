"""A classifier that scikit-learn fits, exported to ONNX and run by ONNX Runtime."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

OUTPUTS = Path("outputs")
MODEL = OUTPUTS / "model.onnx"


def main(command: str) -> None:
    OUTPUTS.mkdir(exist_ok=True)
    {"export": export, "infer": infer}[command]()


def export() -> None:
    from skl2onnx import to_onnx

    rows, labels, unseen, answers = split()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(rows, labels)
    exported = to_onnx(model, rows[:1], options={"zipmap": False}, target_opset=18)
    MODEL.write_bytes(exported.SerializeToString())
    (OUTPUTS / "metrics.json").write_text(json.dumps({"accuracy": model.score(unseen, answers)}))


def infer() -> None:
    import onnxruntime

    _, _, unseen, _ = split()
    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    labels, probabilities = session.run(None, {given.name: unseen})
    np.savez(OUTPUTS / "predictions.npz", label=labels, probability=probabilities)


def split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows and labels for fitting, then unseen ones."""
    data = load_breast_cancer()
    rows = data.data.astype(np.float32)
    return rows[:400], data.target[:400], rows[400:], data.target[400:]


if __name__ == "__main__":
    main(sys.argv[1])
