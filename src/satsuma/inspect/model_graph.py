"""A model as a graph of what it computes, recorded from one forward pass.

Nothing is traced symbolically, so that a model may branch on shapes or values: what is drawn is what ran.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from satsuma.errors import spelled
from satsuma.inspect.graph_boxes import GraphBox, boxes_of, layer_detail
from satsuma.inspect.model_table import tensors_in, times_text
from satsuma.inspect.watched import as_written, in_precision_of, is_innermost, refuse_scripted
from satsuma.train.evaluate import evaluation_mode

if TYPE_CHECKING:
    from satsuma.plots.figure import ShownFigure

STACKS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)  # only hold others, and are no block of their own
MOST_BOXES = 48  # above which the blocks of a model are drawn as one box each
FUNCTIONS = {"iadd": "+", "add": "+", "radd": "+", "mul": "×", "rmul": "×", "imul": "×", "sub": "-", "isub": "-",
             "truediv": "÷", "matmul": "matrix product", "cat": "concatenate", "getitem": "index"}  # fmt: skip
NO_NODES = ("size", "dim", "numel", "stride", "is_floating_point", "clone", "detach", "contiguous", "to", "float")


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphNode:
    """One call of a layer or function: what it is, the shape it gives, and the nodes that its inputs come from."""

    kind: str
    name: str = ""  # the layer's, as in `model.named_modules()`
    detail: str = ""
    shape: tuple[int, ...] = ()  # of the output, without the batch
    sources: tuple[int, ...] = ()
    block: str = ""  # the name of the block that it is in
    block_kind: str = ""


class GraphRecorder(TorchFunctionMode):
    """While it is active, notes the calls of layers (told by hooks) and of functions between them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.nodes: list[GraphNode] = []
        self.made_by: dict[int, int] = {}  # the node of each tensor, by identity
        self.held: list[Tensor] = []  # so that no identity is used twice
        self.inside = 0  # how many innermost layers are being called
        self.around: list[tuple[str, str]] = [("", "")]  # the blocks that the call is in: name and kind
        classes = Counter(type(m) for m in model.modules() if not is_innermost(m) and not isinstance(m, STACKS))
        self.count = {kind.__name__: n for kind, n in classes.items()}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = [*tensors_in(list(args)), *tensors_in(kwargs or {})]
        output = func(*args, **(kwargs or {}))
        if not self.inside:
            self.note_function(getattr(func, "__name__", ""), given, output)
        return output

    def note_function(self, called: str, given: list[Tensor], output: Any) -> None:
        name = called.strip("_")
        found = tensors_in(output)
        sources = self.sources(given)
        if not found or not sources or name in NO_NODES or name == "get":
            return
        in_place = called.endswith("_") and called not in ("__get__", "__getitem__")
        if any(found[0] is part for part in given) and not in_place:
            return  # it gave back what it was given
        self.add(FUNCTIONS.get(name, name), given, found)

    def sources(self, given: Sequence[Tensor]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(self.made_by[id(part)] for part in given if id(part) in self.made_by))

    def add(self, kind: str, given: Sequence[Tensor], made: Sequence[Tensor], name: str = "", detail: str = "") -> None:
        """A node of this kind, from the nodes of `given`, or from the last where those are unknown."""
        last = (len(self.nodes) - 1,) if self.nodes and kind != "input" else ()
        block, block_kind = self.around[-1]
        shape = tuple(made[0].shape[1:]) if made else ()
        self.nodes.append(
            GraphNode(
                kind=kind,
                name=name,
                detail=detail,
                shape=shape,
                sources=self.sources(given) or last,
                block=block,
                block_kind=block_kind,
            )
        )
        self.held += made
        for part in made:
            self.made_by[id(part)] = len(self.nodes) - 1


@dataclass(slots=True)
class GraphWatch:
    """The two hooks of one module that tell a recorder where the forward pass is."""

    recorder: GraphRecorder
    name: str
    given: list[list[Tensor]] = field(default_factory=list)

    def before(self, module: nn.Module, inputs: Any) -> None:
        recorder = self.recorder
        if is_innermost(module):
            recorder.inside += 1
            self.given.append(tensors_in(inputs))
            return
        outer = recorder.around[-1]
        kind = type(module).__name__
        counts = recorder.count
        is_block = self.name and not isinstance(module, STACKS) and counts[kind] > max(1, counts.get(outer[1], 0))
        recorder.around.append((self.name, kind) if is_block else outer)

    def after(self, module: nn.Module, inputs: Any, output: Any) -> None:
        recorder = self.recorder
        if not is_innermost(module):
            recorder.around.pop()
            return
        recorder.inside -= 1
        given, made = self.given.pop(), tensors_in(output)
        if recorder.inside or isinstance(module, nn.Identity) or not made:
            return
        with torch._C.DisableTorchFunction():
            recorder.add(type(module).__name__, given, made, self.name, layer_detail(module))


@dataclass(frozen=True, slots=True)
class ModelGraph:
    """The graph of a model's computation: `nodes` in the order of the forward pass. Shows itself; `figure`, `save`."""

    model: str
    nodes: tuple[GraphNode, ...]

    def boxes(self, *, blocks: bool | None = None) -> list[GraphBox]:
        """The nodes with chains such as convolution, normalisation, ReLU as one box.

        `blocks`: draw each repeated block of the model as one box, as is done unless told where there are too many.
        """
        found = boxes_of(list(self.nodes), blocks=bool(blocks))
        return boxes_of(list(self.nodes), blocks=True) if blocks is None and len(found) > MOST_BOXES else found

    def figure(self, *, blocks: bool | None = None) -> "ShownFigure":
        """The graph from top to bottom; shortcuts run at its side."""
        from satsuma.plots.graph import plot_graph

        boxes = self.boxes(blocks=blocks)
        drawn = [
            {"label": b.label, "kind": b.kind, "size": times_text(b.shape), "name": b.name, "sources": b.sources,
             "frame": b.frame}
            for b in boxes
        ]  # fmt: skip
        return plot_graph(drawn, title=f"the computation of {self.model}, from top to bottom: {len(boxes)} steps")

    def save(self, file: Any) -> None:
        """Write the picture: `.svg` or `.png`."""
        self.figure().savefig(file)

    def _repr_html_(self) -> str:
        return self.figure()._repr_html_()

    def __repr__(self) -> str:
        lines = [f"{self.model}:"]
        for box in self.boxes():
            sources = ", ".join(str(i) for i in box.sources)
            lines.append(
                f"  {box.place}. {box.label} [{times_text(box.shape)}]" + (f" from {sources}" if sources else "")
            )
        return "\n".join(lines)


@spelled
@torch.no_grad()
def model_graph(model: nn.Module, x: Tensor | Sequence[Tensor]) -> ModelGraph:
    """What `model` computes of `x`, a batch of inputs [B ...] (or a tuple of them): layers, functions and shortcuts.

    Only the first sample is used; the model is left as it was.

    >>> graph = model_graph(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), torch.ones(1, 3))
    >>> [(node.kind, node.shape, node.sources) for node in graph.nodes]
    [('input', (3,), ()), ('Linear', (2,), (0,)), ('ReLU', (2,), (1,))]
    """
    refuse_scripted(model)
    inputs = in_precision_of(model, [part[:1] for part in ((x,) if isinstance(x, Tensor) else x)])
    recorder = GraphRecorder(model)
    for i, part in enumerate(inputs):
        recorder.add("input", (), [part], detail=f"number {i + 1}" if len(inputs) > 1 else "")
    with ExitStack() as at_end, evaluation_mode(model), as_written(model):
        for name, module in model.named_modules():
            watch = GraphWatch(recorder, name)
            at_end.callback(module.register_forward_pre_hook(watch.before).remove)
            at_end.callback(module.register_forward_hook(watch.after).remove)
        with recorder:
            output = model(*inputs)
    ends = recorder.sources(tensors_in(output)) or (len(recorder.nodes) - 1,)
    return ModelGraph(type(model).__name__, leading_to(recorder.nodes, ends))


def leading_to(nodes: Sequence[GraphNode], ends: Sequence[int]) -> tuple[GraphNode, ...]:
    """The nodes that the nodes `ends` depend on, and the inputs; what was computed and not used is left out."""
    needed, open_ends = set(ends), list(ends)
    while open_ends:
        new = [source for source in nodes[open_ends.pop()].sources if source not in needed]
        needed.update(new)
        open_ends += new
    kept = [i for i, node in enumerate(nodes) if i in needed or node.kind == "input"]
    place = {old: new for new, old in enumerate(kept)}
    return tuple(replace(nodes[i], sources=tuple(place[source] for source in nodes[i].sources)) for i in kept)
