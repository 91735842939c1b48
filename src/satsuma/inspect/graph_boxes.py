"""The nodes of a model's graph as the boxes that are drawn: chains in one box, and blocks in one if asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from satsuma.inspect.model_table import CONVOLUTIONS, TRANSPOSED

if TYPE_CHECKING:
    from satsuma.inspect.model_graph import GraphNode

# what may stand in the box of what came before it
FOLLOWERS = ("Norm", "ReLU", "GELU", "SiLU", "Sigmoid", "Tanh", "Softmax", "Hardswish", "Hardsigmoid", "Dropout",
             "Flatten", "flatten", "relu", "gelu", "sigmoid", "tanh", "softmax", "dropout", "view", "reshape",
             "permute", "transpose", "squeeze", "unsqueeze", "Noise", "SigmoidRange")  # fmt: skip


@dataclass(slots=True)
class GraphBox:
    """One box: its place in the order of the forward pass, what it says, and the places of those before it."""

    place: int
    kind: str  # of its first node
    name: str
    labels: list[str]
    shape: tuple[int, ...]
    sources: tuple[int, ...]
    frame: str  # the block that it is drawn in: name and kind

    @property
    def label(self) -> str:
        return " · ".join(self.labels)


def layer_detail(module: nn.Module) -> str:
    """What to know of a layer, in few words."""
    if isinstance(module, nn.Linear):
        return f"{module.in_features} → {module.out_features}"
    if isinstance(module, CONVOLUTIONS + TRANSPOSED):
        parts = ["×".join(map(str, module.kernel_size))]
        if set(module.stride) != {1}:
            parts.append(f"stride {module.stride[0]}")
        if module.groups > 1:
            parts.append("depthwise" if module.groups == module.in_channels else f"{module.groups} groups")
        return ", ".join(parts)
    size: Any = getattr(module, "kernel_size", None)
    if size is not None:
        return "×".join(map(str, size)) if isinstance(size, tuple) else f"{size}×{size}"
    return ""


def boxes_of(nodes: Sequence["GraphNode"], *, blocks: bool) -> list[GraphBox]:
    """Chains of nodes as one box; with `blocks`, all nodes of a block as one."""
    users = [0] * len(nodes)
    for node in nodes:
        for source in node.sources:
            users[source] += 1
    boxes: list[GraphBox] = []
    box_of: list[int] = []  # of each node
    last_of: list[int] = []  # the last node of each box
    for i, node in enumerate(nodes):
        sources = tuple(dict.fromkeys(box_of[source] for source in node.sources))
        before = box_of[i - 1] if i else -1
        same_block = bool(node.block) and i > 0 and nodes[i - 1].block == node.block
        if blocks and same_block:
            outer = tuple(s for s in sources if s != before and s not in boxes[before].sources)
            boxes[before].sources += outer
            boxes[before].shape, last_of[before] = node.shape, i
            box_of.append(before)
            continue
        only = node.sources[0] if len(node.sources) == 1 else None
        alone = blocks and only is not None and bool(nodes[only].block)  # a whole block's box takes nothing more
        if only is not None and not alone and joins(node, nodes[only], users[only]) and last_of[box_of[only]] == only:
            box = boxes[box_of[only]]
            box.labels.append(word_of(node))
            box.shape, last_of[box.place] = node.shape, i
            box_of.append(box.place)
            continue
        whole = blocks and bool(node.block)
        boxes.append(
            GraphBox(
                place=len(boxes),
                kind="block" if whole else node.kind,
                name=node.block if whole else node.name,
                labels=[f"{node.block} {node.block_kind}" if whole else word_of(node)],
                shape=node.shape,
                sources=sources,
                frame="" if whole or not node.block else f"{node.block}  {node.block_kind}",
            )
        )
        box_of.append(boxes[-1].place)
        last_of.append(i)
    return boxes


def joins(node: "GraphNode", before: "GraphNode", users: int) -> bool:
    """Whether a node stands in the box of the only one before it, which only it uses."""
    return users == 1 and node.block == before.block and before.kind != "input" and is_follower(node.kind)


def is_follower(kind: str) -> bool:
    return any(part in kind for part in FOLLOWERS)


def word_of(node: "GraphNode") -> str:
    return f"{node.kind} {node.detail}".strip()
