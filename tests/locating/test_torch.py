"""Programs that train with PyTorch: where their runs part, and proofs by exchanged values.

They run where PyTorch is installed beside the tests: its wheels for amd64 are gigabytes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inside.recorded import watch
from tests.locating.parted import LOT, SIDES, part, part_at

pytest.importorskip("torch", reason="PyTorch is not installed beside the tests")

PROGRAM = """
import json, os
import torch
from torch import nn

torch.set_num_threads(1)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.1))
        self.norm = nn.LayerNorm(width)

    def forward(self, x):
        return self.norm(x + self.inner(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, 16)
        self.blocks = nn.ModuleList(Block(16) for _ in range(2))
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def rows():
    made = torch.Generator().manual_seed(1)
    x = torch.randn(64, 8, generator=made)
    return x, (x.sum(1) > 0).long()


def main():
    torch.manual_seed(0)  # seed
    model = Net()
    nn.init.normal_(model.head.weight, std=0.02)  # init
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(*rows()), batch_size=16, shuffle=True
    )
    opt = torch.optim.Adam(model.parameters(), lr=0.01)  # rate
    loss_fn = nn.CrossEntropyLoss()
    for _ in range(2):
        for xb, yb in loader:
            out = model(xb)
            loss = loss_fn(out, yb)
            opt.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
    model.eval()
    x, y = rows()
    right = model(x).argmax(1).eq(y).float().mean().item()
    print(json.dumps({"loss": loss.item(), "right": right}))


main()
"""
FAULTS = {
    "the seed": ("manual_seed(0)  # seed", f"manual_seed({LOT})"),
    "how weights begin": ("std=0.02)", f"std=0.02 * {LOT})"),
    "the learning rate": ("lr=0.01)", f"lr=0.01 * {LOT})"),
    "gradients": ("loss.backward()", f"loss.backward(torch.tensor(1.0 + {LOT} * 1e-4))"),
    "gradients that are clipped": ("(), 1.0)", f"(), 0.5 * {LOT})"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_line_is_found_and_proved(tmp_path: Path, fault: str) -> None:
    """Through modules below modules, gradients, and what an optimizer does to weights."""
    parted, line = part_at(tmp_path, PROGRAM, *FAULTS[fault])
    assert parted.lines == [line]
    assert parted.exchanged == parted.expected.stdout


def test_what_a_loss_rounds_away_is_still_found(tmp_path: Path) -> None:
    """The same loss, other gradients: the line is the one that made other activations."""
    changed = "self.norm(x + self.inner(x) * (1 + 1e-6 * int(os.environ['LOT'])))"
    program = PROGRAM.replace("self.norm(x + self.inner(x))", changed)
    # The last loss may round to the same number, too: of the weights some never do.
    program = program.replace('"right": right', '"head": model.head.weight.tolist()')

    origins = part(tmp_path, program).found.location.origins

    assert [each.text for each in origins] == [f"return {changed}"]


def test_of_a_librarys_model_the_layer_is_named(tmp_path: Path) -> None:
    program = """
import os
import torch
from torch import nn

torch.manual_seed(0)
layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
model = nn.TransformerEncoder(layer, 2)
plain = nn.LayerNorm.forward
source = '''def forward(self, x):
    if self is model.layers[1].norm1 and os.environ["LOT"] == "2":
        x = x * 1.00001
    return plain(self, x)'''
exec(source)
nn.LayerNorm.forward = forward
out = model(torch.ones(1, 5, 16).cumsum(1))
print(out.norm(dim=2).tolist(), out.sum().item())
"""
    location = part(tmp_path, program).found.location

    assert [each.text for each in location.origins] == [
        "out = model(torch.ones(1, 5, 16).cumsum(1))"
    ]
    assert location.kind.startswith("computed by model, by its layer layers.1.norm1, a LayerNorm;")


def test_watching_changes_nothing(tmp_path: Path) -> None:
    plain = watch(tmp_path, PROGRAM, env={**SIDES[0], "MLCONTAINER_RECORDING": ""})
    assert plain.streams == ()
    assert watch(tmp_path, PROGRAM, env=SIDES[0]).stdout == plain.stdout
