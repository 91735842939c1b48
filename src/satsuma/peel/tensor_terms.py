"""Source text in torch.nn's terms → the same in those of `ladder.tensors`: tensors and their gradients alone.

What has no counterpart stays as it is: `leftovers.py` names it, once it is known what a script needs.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field

from satsuma.nn.registry import NETWORKS
from satsuma.peel.edits import Text, dotted
from satsuma.peel.tensor_calls import change_call
from satsuma.peel.tensor_classes import change_class, is_layer_class
from satsuma.peel.torch_twins import twin_of

# names under which a layer is met, where nothing else tells it from a tensor
MODEL_NAMES = frozenset(
    ["model", "net", "network", "module", "body", "backbone", "encoder", "decoder", "classifier", "student", "teacher"]
)
MAKERS = frozenset(["small_cnn", "linear_model", "logistic_regression", "simple_net", "mlp", "image_model", *NETWORKS])
PART_NAMES = MODEL_NAMES | frozenset(["head", "features", "layer", "layers", "block", "blocks", "stem", "trunk"])
TYPES = {"nn.Module": "Any", "torch.nn.Module": "Any", "nn.Parameter": "Tensor", "torch.nn.Parameter": "Tensor"}
TENSOR_NAMES = ("weight", "bias", "gamma", "beta", "scale", "shift", "data")
OTHER_STATES = re.compile(r"(optim|sched|scaler|^opt$)")  # what else has a `state_dict`
WALKS = {
    "parameters": "parameters({})",
    "named_parameters": "named_parameters({}).items()",
    "modules": "modules({})",
    "named_modules": "named_modules({})",
    "children": "named_parts({}).values()",
    "named_children": "named_parts({}).items()",
    "state_dict": "state_dict({})",
    "eval": "set_training({}, False)",
    "train": "set_training({}, True)",
}
OWN_WALKS = {
    "parameters": "own_tensors({}, buffers=False).values()",
    "named_parameters": "own_tensors({}, buffers=False).items()",
}
FORMATS = {
    "cpu": 'move_model({}, "cpu")',
    "cuda": 'move_model({}, "cuda")',
    "float": "move_model({}, dtype=torch.float32)",
    "double": "move_model({}, dtype=torch.float64)",
}


def in_tensor_terms(code: str) -> str:
    """`code` without torch.nn, where `ladder.tensors` has a counterpart; the names it then uses are the ladder's.

    >>> in_tensor_terms("model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(inplace=True))")
    'model = Sequential(Linear(3, 2), ReLU())'
    >>> in_tensor_terms("for p in model.parameters(): total += F.relu(p, inplace=True).sum()")
    'for p in parameters(model): total += relu(p).sum()'
    """
    text = Text(code)
    changer = Changer(text)
    changer.visit_all()
    changer.rename_hidden()
    return in_words(text.changed())


@dataclass(slots=True)
class Changer:
    """One text being changed. `introduced`: the ladder's names that it comes to use, and the functions they are in."""

    text: Text
    parents: dict[int, ast.AST] = field(default_factory=dict)
    introduced: dict[str, list[ast.AST]] = field(default_factory=dict)
    annotated: set[int] = field(default_factory=set)
    asking: set[str] = field(default_factory=set)  # names of which it is being found out whether they are layers

    def visit_all(self) -> None:
        for node in ast.walk(self.text.tree):
            self.parents |= {id(child): node for child in ast.iter_child_nodes(node)}
        for place in annotations(self.text.tree):
            self.annotated |= {id(node) for node in ast.walk(place)}
            change_annotation(self.text, place)
        for node in ast.walk(self.text.tree):  # outermost first
            if id(node) in self.annotated:
                continue
            if isinstance(node, ast.ClassDef):
                change_class(self.text, node)
            elif isinstance(node, ast.Assign) and is_layout(node):
                self.text.remove_lines(node)
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
                change_kinds(self.text, node.value)
            elif isinstance(node, ast.Call):
                self.change_any_call(node)
            elif isinstance(node, ast.Attribute):
                self.change_reference(node)

    def change_any_call(self, node: ast.Call) -> None:
        if change_check(self.text, node) or self.is_hidden(node):
            return
        name = change_call(self.text, node)
        if name is None and isinstance(node.func, ast.Attribute):
            name = self.change_method(node, node.func)
        if name is not None:
            self.note(name, node)

    def change_reference(self, node: ast.Attribute) -> None:
        """`nn.ReLU` or `F.relu` that is not called here but handed on."""
        parent = self.parents.get(id(node))
        if isinstance(parent, ast.Call) and parent.func is node:
            return
        if (
            isinstance(parent, ast.Call)
            and dotted(parent.func).rpartition(".")[2] == "partial"
            and parent.args[0] is node
        ):
            return
        if isinstance(parent, ast.ClassDef):
            return
        if dotted(node) in TYPES:
            self.text.change_node(node, TYPES[dotted(node)])
        twin = twin_of(dotted(node))
        if twin is not None and not twin.as_function and not self.is_hidden(node, twin.name):
            self.text.change_node(node, twin.name)
            self.note(twin.name, node)

    def change_method(self, node: ast.Call, func: ast.Attribute) -> str | None:
        """A method of a layer as a function; the function's name if it was one."""
        owner = func.value
        if isinstance(owner, ast.Call) and dotted(owner.func) == "super":
            return change_super(self.text, node, func)
        form = self.form_of(node, func.attr, owner)
        if form is None:
            return None
        begin, end = self.text.outer(owner)
        opening, _, closing = form.partition("{}")
        if "{args}" in closing:
            last = self.text.end(node) - 1
            first = self.text.begin([*node.args, *node.keywords][0])
            head, _, tail = closing.partition("{args}")
            self.text.change(begin, begin, opening)
            self.text.change(end, first, head)
            self.text.change(last, last + 1, tail)
        else:
            within_next = isinstance(up := self.parents.get(id(node)), ast.Call) and dotted(up.func) == "next"
            if within_next:
                opening, closing = f"iter({opening}", f"{closing})"
            self.text.change(begin, begin, opening)
            self.text.change(end, self.text.end(node), closing)
        return opening.replace("iter(", "").partition("(")[0]

    def form_of(self, node: ast.Call, method: str, owner: ast.expr) -> str | None:
        """What a call of this method of `owner` becomes; None if it is no layer's method."""
        given = [ast.unparse(a) for a in [*node.args, *node.keywords]]
        last = dotted(owner).rpartition(".")[2]
        other = bool(OTHER_STATES.search(last.lower()))
        if method in OWN_WALKS and given in (["recurse=False"], ["False"]):
            return OWN_WALKS[method]
        if method in WALKS and not given and not (other and method == "state_dict"):
            return WALKS[method]
        if method == "train" and len(given) == 1:
            return "set_training({}, {args})" if node.args else None
        if method == "load_state_dict" and len(given) == 1 and not other:
            return "load_state_dict({}, {args})"
        if method == "forward" and last != "super" and not isinstance(owner, ast.Name):
            return "{}({args})" if given else None
        if method == "forward" and isinstance(owner, ast.Name) and (self.is_layer(owner) or owner.id == "self"):
            return "{}({args})" if given else None
        inner = method == "requires_grad_" and isinstance(owner, ast.Attribute) and owner.attr not in TENSOR_NAMES
        if not self.is_layer(owner) and not (inner and self.is_layer(owner.value)):  # type: ignore[attr-defined]
            return None
        if method == "to":
            return to_form(node)
        if method in FORMATS and not given:
            return FORMATS[method]
        if method == "requires_grad_":
            return "set_requires_grad({}, {args})" if given else "set_requires_grad({})"
        if method == "apply" and len(given) == 1:
            return "apply_to_layers({}, {args})"
        if method == "zero_grad":
            return "zero_grad({})"
        return None

    def is_layer(self, node: ast.expr) -> bool:
        """Whether an expression is a layer rather than a tensor, as far as text tells."""
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            twin = twin_of(name)
            if twin is not None:
                return isinstance(twin.value, type)
            last = name.rpartition(".")[2]
            if isinstance(node.func, ast.Attribute) and node.func.attr in ("to", "eval", "train", "requires_grad_"):
                return self.is_layer(node.func.value)
            return (last[:1].isupper() and last != "Tensor") or last in MAKERS
        if isinstance(node, ast.Subscript):
            return self.is_layer(node.value)
        if isinstance(node, ast.Attribute):
            return node.attr in PART_NAMES or self.is_assigned_layer(dotted(node))
        if isinstance(node, ast.Name):
            if node.id == "self":
                owner = self.class_around(node)
                return owner is not None and is_layer_class(owner)
            return self.is_said_layer(node) or node.id in MODEL_NAMES or self.is_assigned_layer(node.id)
        return False

    def is_said_layer(self, node: ast.Name) -> bool:
        """Whether the function around says by an annotation that this argument is a layer."""
        around = self.function_around(node)
        if around is None:
            return False
        arguments = [*around.args.posonlyargs, *around.args.args, *around.args.kwonlyargs]
        said = [ast.unparse(a.annotation) for a in arguments if a.arg == node.id and a.annotation is not None]
        return any("nn." in s and "Parameter" not in s for s in said)

    def is_assigned_layer(self, name: str) -> bool:
        """Whether a layer is assigned to this name (or to `self.name`) somewhere in the text."""
        if not name or name in self.asking:
            return False
        self.asking.add(name)
        assigned = [n for n in ast.walk(self.text.tree) if isinstance(n, ast.Assign)]
        values = [n.value for n in assigned if any(dotted(target) == name for target in n.targets)]
        found = any(isinstance(value, ast.Call) and self.is_layer(value) for value in values)
        self.asking.remove(name)
        return found

    def class_around(self, node: ast.AST) -> ast.ClassDef | None:
        up: ast.AST | None = node
        while up is not None and not isinstance(up, ast.ClassDef):
            up = self.parents.get(id(up))
        return up

    def function_around(self, node: ast.AST) -> ast.FunctionDef | None:
        up = self.parents.get(id(node))
        while up is not None and not isinstance(up, ast.FunctionDef):
            up = self.parents.get(id(up))
        return up

    def note(self, name: str, node: ast.AST) -> None:
        around = self.function_around(node)
        if around is not None:
            self.introduced.setdefault(name, []).append(around)

    def is_hidden(self, node: ast.AST, name: str | None = None) -> bool:
        """Whether an argument of the function around bears the name that would be introduced."""
        around = self.function_around(node)
        if around is None:
            return False
        if name is None and isinstance(node, ast.Call):
            of_call = called_part_of(node)
            twin = twin_of(dotted(of_call))
            name = twin.name if twin is not None else getattr(of_call, "attr", None)
        arguments = [*around.args.posonlyargs, *around.args.args, *around.args.kwonlyargs]
        return name in {a.arg for a in arguments}

    def rename_hidden(self) -> None:
        """Rename variables that bear an introduced name in a function where it is introduced."""
        for name, functions in self.introduced.items():
            for function in {id(f): f for f in functions}.values():
                inner = [n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == name]
                if any(isinstance(n.ctx, ast.Store) for n in inner):
                    for n in inner:
                        self.text.change_node(n, f"own_{name}")


def in_words(code: str) -> str:
    """`code` with comments that call a layer as the code does: `nn.Linear` is `Linear`."""
    lines = code.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT and "nn." in token.string:
            (row, column), line = token.start, lines[token.start[0] - 1]
            said = re.sub(r"\b(torch\.)?nn\.([A-Z]\w*)", r"\2", line[column:])
            lines[row - 1] = line[:column] + said
    return "".join(lines)


def called_part_of(node: ast.Call) -> ast.expr:
    """What a call calls, or will call if it is a partial."""
    if dotted(node.func).rpartition(".")[2] == "partial" and node.args:
        return node.args[0]
    return node.func


def is_layout(node: ast.Assign) -> bool:
    """Whether a statement does no more than choose a model's layout in memory."""
    value, names = node.value, [dotted(target) for target in node.targets]
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute) or value.args:
        return False
    return names == [dotted(value.func.value)] and to_form(value) == "{}" and value.func.attr == "to"


def to_form(node: ast.Call) -> str | None:
    """`model.to(...)`: to a device or number format; a layout of memory is left out."""
    given = {k.arg: k.value for k in node.keywords}
    if set(given) == {"memory_format"} and not node.args:
        return "{}"
    if not {*given} <= {"device", "dtype"} or not (node.args or given):
        return None
    if len(node.args) == 1 and re.search(r"(dtype|float|double|half)", ast.unparse(node.args[0])):
        return "move_model({}, dtype={args})"
    return "move_model({}, {args})"


def change_super(text: Text, node: ast.Call, func: ast.Attribute) -> str | None:
    """A base class's method, called by `super()`."""
    if func.attr == "forward":
        text.change(text.end(func) - len("forward"), text.end(func), "__call__")
    if func.attr == "train" and len(node.args) == 1:
        text.change(text.begin(node), text.begin(node.args[0]), "set_training_of_parts(self, ")
        return "set_training_of_parts"
    return None


def change_check(text: Text, node: ast.Call) -> bool:
    """`isinstance(x, nn.Module)` and the like; whether it was one of a layer's classes."""
    if dotted(node.func) not in ("isinstance", "issubclass") or len(node.args) != 2:
        return False
    kinds = list(one_by_one(node.args[1]))
    names = [dotted(kind) for kind in kinds]
    if not any(re.match(r"(torch\.)?(nn|optim)\.", name) for name in names):
        return False
    if any(name in ("nn.Module", "torch.nn.Module") for name in names):
        if len(names) == 1:
            text.change_node(node.func, "hasattr")
            text.change_node(node.args[1], '"training"')
        return True
    kept = []
    for kind, name in zip(kinds, names, strict=True):
        twin = twin_of(name)
        if name in ("nn.Parameter", "torch.nn.Parameter"):
            kept.append("Tensor")
        elif twin is not None and not twin.as_function:
            kept.append(twin.name)
        elif not re.match(r"(torch\.)?nn\.", name):
            kept.append(text.source(kind))
    if kept:
        text.change_node(node.args[1], " | ".join(dict.fromkeys(kept)))
    else:
        text.change_node(node, "False")  # nothing in a script of tensors is of such a class
    return True


def change_kinds(text: Text, kinds: ast.Tuple) -> None:
    """A tuple of layers' classes, to ask of layers what they are, without those that no layer of a script is of."""
    twins = [twin_of(dotted(kind)) for kind in kinds.elts]
    if any(twins) and not all(twins) and all(dotted(kind).startswith("nn.") for kind in kinds.elts):
        names = [twin.name for twin in twins if twin is not None]
        text.change_node(kinds, f"({', '.join(names)}{',' if len(names) == 1 else ''})")


def one_by_one(kinds: ast.expr) -> Iterator[ast.expr]:
    """The classes of `A`, `(A, B)` and `A | B`."""
    if isinstance(kinds, ast.Tuple):
        for kind in kinds.elts:
            yield from one_by_one(kind)
    elif isinstance(kinds, ast.BinOp) and isinstance(kinds.op, ast.BitOr):
        yield from one_by_one(kinds.left)
        yield from one_by_one(kinds.right)
    else:
        yield kinds


def annotations(tree: ast.AST) -> Iterator[ast.expr]:
    """Where types are said: of arguments, results and variables."""
    for node in ast.walk(tree):
        found = [getattr(node, "annotation", None)]
        found += [getattr(node, "returns", None)]
        yield from (place for place in found if isinstance(place, ast.expr))


def change_annotation(text: Text, place: ast.expr) -> None:
    """Types of torch.nn in the ladder's terms: any layer is `Any`, as it has no class of its own."""
    inner: set[int] = set()
    for node in ast.walk(place):
        if id(node) in inner:
            continue
        name = dotted(node)
        if name in ("nn.Parameter", "torch.nn.Parameter", "nn.parameter.Parameter"):
            text.change_node(node, "Tensor")
        elif re.match(r"((torch\.)?(nn|optim)\.|(Optimizer|GradScaler|LRScheduler|TimmBody)$)", name):
            text.change_node(node, "Any")
        if isinstance(node, ast.Attribute):
            inner |= {id(n) for n in ast.walk(node)}
