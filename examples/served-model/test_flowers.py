"""What the container answers, on each platform."""

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

SETOSA = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}


def ask(url, flower):
    request = Request(
        url + "/predict", json.dumps(flower).encode(), {"Content-Type": "application/json"}
    )
    with urlopen(request) as answer:
        return json.load(answer)


def test_the_flower_is_recognised(inference_server):
    answer = ask(inference_server.url, SETOSA)

    assert answer["species"] == "setosa"
    assert answer["probability"][0] > 0.95


def test_a_length_below_zero_is_refused(inference_server):
    with pytest.raises(HTTPError, match="422"):
        ask(inference_server.url, SETOSA | {"petal_width": -1})
