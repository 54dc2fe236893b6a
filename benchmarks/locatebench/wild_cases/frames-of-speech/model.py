"""Writes the model: float products, quantised as they come, and integer products."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(28609)
nodes, weights, given = [], [], "frames"
for layer in range(6):
    matrix = rng.normal(size=(96, 96)).astype(np.float32) / 600
    whole = rng.integers(-100, 100, size=(96, 96)).astype(np.int8)
    names = {name: f"{name}{layer}" for name in ("m", "w", "f", "q", "s", "z", "i", "c", "d", "o")}
    weights += [
        numpy_helper.from_array(matrix, names["m"]),
        numpy_helper.from_array(whole, names["w"]),
    ]
    nodes += [
        helper.make_node("MatMul", [given, names["m"]], [names["f"]]),
        helper.make_node(
            "DynamicQuantizeLinear", [names["f"]], [names["q"], names["s"], names["z"]]
        ),
        helper.make_node("MatMulInteger", [names["q"], names["w"], names["z"]], [names["i"]]),
        helper.make_node("Cast", [names["i"]], [names["c"]], to=TensorProto.FLOAT),
        helper.make_node("Mul", [names["c"], names["s"]], [names["d"]]),
        helper.make_node("Tanh", [names["d"]], [names["o"]]),
    ]
    given = names["o"]
shape = ["n", 96]
graph = helper.make_graph(
    nodes,
    "speech",
    [helper.make_tensor_value_info("frames", TensorProto.FLOAT, shape)],
    [helper.make_tensor_value_info(given, TensorProto.FLOAT, shape)],
    weights,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnx.save(model, "model.onnx")
