"""The drawn graph: what ran, in order, with its shortcuts."""

import re

import torch
from torch import Tensor, nn

import satsuma as sm
from satsuma.plots.graph import graph_layout


def test_a_chain_is_a_chain_of_boxes() -> None:
    graph = sm.model_graph(sm.small_cnn(), torch.zeros(2, 1, 28, 28))
    assert [box.label for box in graph.boxes()] == [
        "input",
        "Conv2d 5×5, stride 2 · BatchNorm2d · ReLU",
        "Conv2d 3×3, stride 2 · BatchNorm2d · ReLU",
        "Conv2d 3×3 · BatchNorm2d · ReLU",
        "MaxPool2d 2×2",
        "Conv2d 3×3 · BatchNorm2d · ReLU",
        "AdaptiveAvgPool2d · Flatten",
        "Linear 64 → 10",
    ]
    assert [box.sources for box in graph.boxes()] == [(), *((i,) for i in range(7))]
    assert graph.boxes()[-1].shape == (10,)


def test_the_shortcuts_of_a_resnet_are_seen() -> None:
    graph = sm.model_graph(sm.resnet18(3), torch.zeros(1, 3, 64, 64))
    boxes = graph.boxes()
    sums = [box for box in boxes if box.label.startswith("+")]
    assert len(sums) == 8
    shortcuts = [boxes[min(box.sources)] for box in sums]
    projected = [box.label.startswith("Conv2d 1×1") or "downsample" in box.name for box in shortcuts]
    assert sum(projected) == 3  # the others' shortcuts are the input itself
    assert all(len(box.sources) == 2 for box in sums)
    assert {box.frame for box in boxes if box.frame} == {
        f"layer{i}.{j}  BasicBlock" for i in (1, 2, 3, 4) for j in (0, 1)
    }


def test_a_large_model_is_drawn_by_its_blocks() -> None:
    graph = sm.model_graph(sm.resnet50(3), torch.zeros(1, 3, 32, 32))
    labels = [box.label for box in graph.boxes()]
    assert sum(label.endswith("Bottleneck") for label in labels) == 16
    assert len(graph.boxes(blocks=False)) > 48
    assert all(box.sources == (box.place - 1,) for box in graph.boxes()[1:])


def test_functions_branches_and_several_inputs() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(5, 4)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            first = self.a(x)
            if first.sum() > 1e9:  # a branch on values, which no symbolic tracer follows
                return first
            first = torch.relu(first)
            first += self.b(y)
            return torch.cat([first, first * 2], 1)

    graph = sm.model_graph(Odd(), (torch.zeros(2, 3), torch.zeros(2, 5)))
    boxes = [(box.label, box.sources) for box in graph.boxes()]
    assert boxes[:2] == [("input number 1", ()), ("input number 2", ())]
    assert ("+", (2, 3)) in boxes
    assert boxes[-1][0] == "concatenate"
    assert len(boxes[-1][1]) == 2
    assert graph.boxes()[-1].shape == (8,)


def test_shortcuts_that_overlap_run_beside_each_other() -> None:
    layout = graph_layout([(), (0,), (1, 0), (2, 0), (3,)])
    assert layout.rows == [0, 1, 2, 3, 4]
    assert layout.lanes == {(0, 2): 0, (0, 3): 1}
    branches = graph_layout([(), (0,), (0,), (1, 2)])  # two ways, side by side
    assert branches.rows == [0, 1, 1, 2]
    assert sorted(branches.columns[1:3]) == [0, 1]
    assert branches.lanes == {}


def test_it_shows_itself_in_the_houses_theme(tmp_path) -> None:
    data = sm.DataLoaders.from_arrays(torch.zeros(10, 7), torch.arange(10) % 2)
    graph = sm.Learner(data, sm.simple_net(7, 5, 2), progress=False).model_graph()
    html = graph._repr_html_()
    assert "Linear 7 → 5 · ReLU" in html
    assert "var(--orange" in html
    assert 'style="' not in html
    graph.save(tmp_path / "graph.svg")
    assert "prefers-color-scheme" in (tmp_path / "graph.svg").read_text(encoding="utf-8")
    assert re.search(r"2\. Linear 5 → 2 \[2\] from 1", repr(graph))


def test_the_model_is_left_as_it_was() -> None:
    model = sm.small_cnn()
    sm.model_graph(model, torch.zeros(1, 1, 28, 28))
    assert model.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
