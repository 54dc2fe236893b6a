"""Makes the PyTorch files beside it: `python make_torch.py`, with PyTorch 2.13 and NumPy.

They are small and stay in the repository, so that the tests need no PyTorch.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).parent


def save(name: str, value: object, **options: Any) -> None:
    path = HERE / f"{name}.pt"
    # Through a stream the archive's folder is always called "archive".
    with path.open("wb") as stream:
        torch.save(value, stream, **options)
    print(path.name, path.stat().st_size)


def ramp(*shape: int) -> torch.Tensor:
    count = int(np.prod(shape))
    return (torch.arange(count, dtype=torch.float32) / 8 + 0.5).reshape(shape)


def state_dict(moved: float = 0.0) -> OrderedDict[str, torch.Tensor]:
    net = torch.nn.Sequential(
        OrderedDict(layer1=torch.nn.Linear(3, 2), norm=torch.nn.BatchNorm1d(2))
    )
    with torch.no_grad():
        for value in net.parameters():
            value.copy_(ramp(*value.shape))
        net.layer1.weight[1, 2] += moved
    values: OrderedDict[str, torch.Tensor] = net.state_dict()
    return values


def checkpoint() -> dict[str, object]:
    net = torch.nn.Linear(2, 2)
    with torch.no_grad():
        for value in net.parameters():
            value.copy_(ramp(*value.shape))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    net(ramp(1, 2)).sum().backward()
    optimizer.step()
    return {
        "epoch": 3,
        "loss": 0.25,
        "best": np.float64(0.5),
        "history": [0.5, 0.375, 0.25],
        "name": "run",
        "done": True,
        "none": None,
        "size": net.weight.shape,
        "dtype": torch.bfloat16,
        "device": torch.device("cpu"),
        "model": net.state_dict(),
        "optimizer": optimizer.state_dict(),
    }


def kinds() -> dict[str, object]:
    """What tensors come as."""
    base = ramp(4, 3)
    return {
        "parameter": torch.nn.Parameter(ramp(2)),
        "bfloat16": ramp(3).bfloat16(),
        "float16": ramp(3).half(),
        "float64": ramp(3).double(),
        "float8": ramp(3).to(torch.float8_e4m3fn),
        "complex": torch.complex(ramp(2), ramp(2)),
        "bool": torch.tensor([True, False]),
        "int64": torch.tensor([[1, 2], [3, 4]]),
        "uint16": torch.tensor([1, 65535], dtype=torch.uint16),
        "scalar": torch.tensor(1.5),
        "empty": torch.empty(0, 3),
        "base": base,
        "shared": base[1:3],
        "column": base[:, 1],
        "transposed": base.t(),
        "channels_last": ramp(1, 2, 2, 3).to(memory_format=torch.channels_last),
        "every_other": base[::2, ::2],
        "expanded": torch.tensor([1.0]).expand(2, 3),
        "sparse": torch.tensor([[0.0, 2.0], [3.0, 0.0]]).to_sparse(),
        "array": np.arange(4.0).reshape(2, 2),
        "big_endian": np.arange(3, dtype=">i4"),
        "bytes": b"\x00\xff",
        "set": {3, 1, 2},
    }


def main() -> None:
    save("state", state_dict())
    save("state-moved-legacy", state_dict(0.5), _use_new_zipfile_serialization=False)
    save("checkpoint", checkpoint())
    save("kinds", kinds())
    five = {"w": ramp(2), "array": np.arange(3.0), "text": "é", "set": {1}, "bytes": b"\xff"}
    save("protocol5", five, pickle_protocol=5)
    save("module", torch.nn.Linear(1, 1))


if __name__ == "__main__":
    main()
