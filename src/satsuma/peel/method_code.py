"""A method of one live object as a function of its own: what the object holds stands in the text."""

import ast
import inspect
import re
import sys
import textwrap
from typing import Any

from satsuma.peel.edits import Text
from satsuma.peel.names import free_names, names_within, without_tool_notes
from satsuma.peel.words import Words


def method_code(instance: Any, method: str, name: str, words: Words) -> bool:
    """Write `instance.method(...)` among the definitions of the run as a function `name`, in its source's own words.

    What it reads of the object is spelled out, and the object's other methods that it calls become functions too.
    False, and nothing is written, where the method uses the object in another way.
    """
    written: dict[str, str] = {}
    names: dict[str, Any] = {}
    if not add_method(instance, method, name, words, written, names):
        return False
    written[name] = with_description(written[name], paragraph_of(instance))
    words.written |= written
    words.names |= {used: value for used, value in names.items() if used not in written}
    return True


def add_method(
    instance: Any, method: str, name: str, words: Words, written: dict[str, str], names: dict[str, Any]
) -> bool:
    function = inspect.unwrap(getattr(type(instance), method))
    text = Text(without_tool_notes(textwrap.dedent(inspect.getsource(function))))
    node = text.tree.body[0]
    if not isinstance(node, ast.FunctionDef) or not node.args.args:
        return False
    own = node.args.args[0].arg
    reads = [n for n in ast.walk(node) if isinstance(n, ast.Attribute) and is_name(n.value, own)]
    if sum(is_name(n, own) for n in ast.walk(node)) > len(reads):
        return False
    told = {id(n): s for s in ast.walk(node) if isinstance(s, ast.JoinedStr) for n in ast.walk(s)}
    wording = {id(n) for r in ast.walk(node) if isinstance(r, ast.Raise) for n in ast.walk(r)}
    for read in reads:
        value = getattr(instance, read.attr)
        if id(read) in told:  # whose parts have no place of their own before Python 3.12
            if id(read) not in wording:
                return False
            text.change_node(told[id(read)], '""')  # no run that a script repeats raises it
            continue
        if inspect.ismethod(value):
            helper = f"{name}_{read.attr}" if is_taken(read.attr, text.code, words) else read.attr
            if helper not in written and not add_method(instance, read.attr, helper, words, written, names):
                return False
            text.change_node(read, helper)
        else:
            spelled = words.value(value)
            text.change_node(read, f"({spelled})" if spelled.startswith("-") else spelled)
    for decorator in node.decorator_list:
        text.remove_lines(decorator)
    following = node.args.args[1:2]
    end = text.begin(following[0]) if following else text.end(node.args.args[0])
    text.change(text.begin(node.args.args[0]), end, "")
    code = re.sub(rf"\bdef {method}\b", f"def {name}", text.changed(), count=1)
    written[name] = code
    names |= {used: function.__globals__[used] for used in free_names(code) if used in function.__globals__}
    return True


def is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def is_taken(name: str, text: str, words: Words) -> bool:
    """Whether a function cannot have this name, as it means something else in `text`, the script or the library."""
    homes = [vars(module) for key, module in sys.modules.items() if key.partition(".")[0] == "satsuma"]
    return name in names_within(text) or name in words.written or any(name in home for home in homes)


def paragraph_of(instance: Any) -> str:
    """The first paragraph of an object's description, with its values in it."""
    first = (inspect.getdoc(type(instance)) or "").partition("\n\n")[0]
    settings = {f"`{name}`": value for name in re.findall(r"`(\w+)`", first) if (value := field_of(instance, name))}
    return re.sub(r"`\w+`", lambda found: settings.get(found[0], found[0]), first)


def field_of(instance: Any, name: str) -> str:
    """A number or text that an object holds, as a reader has it; nothing for what else it may hold."""
    value = getattr(instance, name, None)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if isinstance(value, int | str | tuple) else ""


def with_description(code: str, text: str) -> str:
    """A function's text with `text` as its docstring; as it is where it has one."""
    node = ast.parse(code).body[0]
    assert isinstance(node, ast.FunctionDef)
    if not text or ast.get_docstring(node):
        return code
    lines = code.split("\n")
    indent = " " * node.body[0].col_offset
    head = lines[: node.body[0].lineno - 1]
    while head and head[-1].strip().startswith("#"):
        head.pop()
    return "\n".join([*head, textwrap.indent(f'"""{text}"""', indent), *lines[len(head) :]])


def snake_case(name: str) -> str:
    """`RandomResizedCrop` as `random_resized_crop`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
