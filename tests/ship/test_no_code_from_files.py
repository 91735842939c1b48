"""The package's own source: nothing in it runs or unpickles what lies in a file."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import satsuma

ROOT = Path(satsuma.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
PICKLERS = ("pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "runpy", "imp")
BUILTINS = ("eval", "exec", "compile", "__import__", "execfile")
CALLS = (
    *("os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "torch.jit.load", "torch.hub.load"),
    *("torch.package.PackageImporter", "torch.classes.load_library", "torch.ops.load_library", "ctypes.CDLL"),
    *("shutil.unpack_archive", "util.spec_from_file_location", "importlib.util.spec_from_file_location"),
)
METHODS = ("read_pickle", "extractall", "exec_module", "unpack_archive", "Unpickler")

# what is allowed, and why
ALLOWED = {
    ("data/processes.py", "import pickle"): "tries whether a worker's error, made here, can be sent on",
    ("data/processes.py", "pickle.loads"): "the same error, pickled on the line itself",
    ("peel/live.py", "compile"): "the source of a module that runs already, to compare and not to run",
    ("ship/parts.py", "import_module"): "the modules of the fixed table",
    ("__init__.py", "import_module"): "the public names' modules, a table in the file",
}
INSPECTS = "peel/"  # imports the modules of parts that are in memory, to read their source


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def is_given(call: ast.Call, name: str, value: bool) -> bool:
    return any(k.arg == name and isinstance(k.value, ast.Constant) and k.value.value is value for k in call.keywords)


def faults(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"import {a.name}" for a in node.names if a.name.split(".")[0] in PICKLERS)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"import {node.module}" for _ in range(node.module.split(".")[0] in PICKLERS))
        elif isinstance(node, ast.Call):
            yield from call_faults(node)


def call_faults(call: ast.Call) -> Iterator[str]:
    name = dotted(call.func)
    last = name.rpartition(".")[2]
    if name in BUILTINS or name in CALLS or last in METHODS or name.split(".")[0] in PICKLERS:
        if name != "pickle.dumps":
            yield name
    elif name == "torch.load":
        if not is_given(call, "weights_only", True):
            yield "torch.load without weights_only=True"
    elif name in ("np.load", "numpy.load", "np.genfromtxt"):
        if not is_given(call, "allow_pickle", False):
            yield f"{name} without allow_pickle=False"
    elif last == "import_module" and not isinstance(call.args[0], ast.Constant):
        yield "import_module"
    elif is_given(call, "shell", True):
        yield "shell=True"


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_no_file_can_run_code(file):
    name = file.relative_to(ROOT).as_posix()
    found = set(faults(ast.parse(file.read_text())))
    if name.startswith(INSPECTS):
        found -= {"import_module"}
    assert {fault for fault in found if (name, fault) not in ALLOWED} == set()


def test_every_exception_is_still_needed():
    for name, fault in ALLOWED:
        assert fault in set(faults(ast.parse((ROOT / name).read_text()))), (name, fault)


@pytest.mark.parametrize(
    "line",
    [
        *("pickle.load(f)", "import dill", "from pickle import loads", "torch.load(f)", "eval(text)", "exec(text)"),
        *("torch.load(f, weights_only=False)", "np.load(f)", "np.load(f, allow_pickle=True)", "yaml.load(f)"),
        *("pd.read_pickle(f)", "torch.jit.load(f)", "importlib.import_module(name)", "subprocess.run(x, shell=True)"),
        *("os.system(x)", "archive.extractall(x)", "compile(x, y, 'exec')", "__import__(x)", "joblib.load(f)"),
    ],
)
def test_the_audit_finds(line):
    assert list(faults(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(f, weights_only=True)",
        "np.load(f, allow_pickle=False)",
        "model.eval()",
        "re.compile(x)",
        "json.load(f)",
    ],
)
def test_the_audit_lets_pass(line):
    assert not list(faults(ast.parse(line)))
