"""Which iris is it? A model behind HTTP."""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel, Field
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

data = load_iris()
model = LogisticRegression(max_iter=500).fit(data.data, data.target)
app = FastAPI()


class Flower(BaseModel):
    """Lengths and widths in cm."""

    sepal_length: float = Field(gt=0)
    sepal_width: float = Field(gt=0)
    petal_length: float = Field(gt=0)
    petal_width: float = Field(gt=0)


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/predict")
def predict(flower: Flower) -> dict[str, object]:
    row = [[flower.sepal_length, flower.sepal_width, flower.petal_length, flower.petal_width]]
    (probabilities,) = model.predict_proba(row)
    return {
        "species": str(data.target_names[probabilities.argmax()]),
        "probability": [float(each) for each in probabilities],
    }
