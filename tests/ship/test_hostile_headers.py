"""Headers of model files written to do harm; their digests fit, as an attacker can make them."""

import json
import resource

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.ids import plain
from tests.ship.damage import WATCH, loaded_model, rewritten, tiny_model

import satsuma as sm
from satsuma.errors import ModelFileError
from satsuma.ship.code import to_code
from satsuma.ship.model_file import read_header
from satsuma.ship.parts import known_parts


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tiny_model(tmp_path_factory.mktemp("good"))
    loaded_model(path)  # what loading imports is now imported
    return path


def load(path):
    return sm.load_learner(path, device="cpu")


def linear(n_in, n_out):
    return {"module": "torch.nn.Linear", "kwargs": {"in_features": n_in, "out_features": n_out}}


def transform(size):
    return {"new": "satsuma.vision.geometry.Resize", "kwargs": {"size": size}}


def nested(inner, depth):
    for _ in range(depth):
        inner = [inner]
    return inner


NAMES = ("os.system", "builtins.eval", "__class__", "satsuma.ship.model_file.load_learner", "torch.load", "")
HOSTILE = [
    *(("model", {"name": name}) for name in NAMES),
    *(("model", {"module": name, "kwargs": {}}) for name in (*NAMES, "torch.nn.Module", "torch.nn.LSTM")),
    *(("loss", {"name": name}) for name in (*NAMES, "satsuma.vision.image.get_image_files")),
    *(("item_tfms", [{"new": name, "kwargs": {}}]) for name in NAMES),
    *(("item_tfms", [{"partial": {"name": name}, "args": ["id"], "kwargs": {}}]) for name in NAMES),
    # layers whose weights the file could not give, and which are not built without memory
    *(("item_tfms", [linear(10**5, 10**5)]), ("loss", linear(10**5, 10**5)), ("batch_tfms", [linear(3, 3)])),
    ("batch_tfms", [{"partial": {"name": "torch.nn.Linear"}, "args": [10**5, 10**5], "kwargs": {}}]),
    ("blocks", [{"name": "satsuma.data.getters.get_files"}, {"name": "satsuma.data.blocks.CategoryBlock"}]),
    ("blocks", [{"new": "satsuma.data.getters.ColReader", "kwargs": {"cols": "a", "pref": "/etc/"}}]),
    # paths
    *(
        ("item_tfms", [transform({"path": p})])
        for p in ("/etc/passwd", "../up", "a/../../b", "C:\\x", "\\\\h\\s", "a\0b")
    ),
    *(("item_tfms", [transform({"path": p})]) for p in (3, None, ["a"])),
    # sizes
    *(("model", linear(10**12, 1)), ("model", linear(1, 10**12)), ("model", linear(10**12, 10**12))),
    *(("model", linear(20_000, 20_000)), ("model", linear(2**63, 1)), ("model", linear(10**30, 1))),
    *(("model", linear(-3, 2)), ("model", linear(0, 2)), ("model", linear(2.5, 2)), ("model", linear("3", 2))),
    *(("model", linear(None, 2)), ("model", linear([3], 2)), ("model", linear({"float": "nan"}, 2))),
    ("model", {"module": "satsuma.nn.resnet.ResNet", "kwargs": {"block": "basic", "layers": [10**9, 1, 1, 1]}}),
    ("model", {"module": "satsuma.nn.resnet.ResNet", "kwargs": {"block": "basic", "layers": [900, 900, 1, 1]}}),
    ("model", {"module": "satsuma.nn.resnet.ResNet", "kwargs": {"block": "basic", "layers": [-1, 1, 1, 1]}}),
    ("model", {"module": "satsuma.nn.resnet.ResNet", "kwargs": {"block": "basic", "layers": "1111"}}),
    (
        "model",
        {
            "module": "torch.nn.Sequential",
            "children": [[str(i), {"module": "satsuma.nn.squeezenet.SqueezeNet", "kwargs": {}}] for i in range(17)],
        },
    ),
    (
        "model",
        {"module": "torch.nn.Sequential", "children": [[str(i), linear(3, 3)] for i in range(10_001)]},
    ),
    ("model", {"module": "satsuma.nn.transfer.TransferModel", "kwargs": {"arch": "../x", "outputs": 2}}),
    (
        "loss",
        {"module": "torch.nn.CrossEntropyLoss", "kwargs": {"weight": {"tensor": [0.5] * 30_000, "dtype": "float32"}}},
    ),
    ("loss", {"module": "torch.nn.CrossEntropyLoss", "kwargs": {"weight": {"tensor": ["x"], "dtype": "float32"}}}),
    ("loss", {"module": "torch.nn.CrossEntropyLoss", "kwargs": {"weight": {"tensor": [1], "dtype": "object"}}}),
    *(("blocks", ["x" * 10_001]), ("blocks", nested("x", 41)), ("blocks", nested({"opaque": "x"}, 450))),
    # kinds
    *(("model", {"module": "torch.nn.Linear"}), ("model", {"module": "torch.nn.Linear", "children": []})),
    *(
        ("model", {"module": "torch.nn.Sequential", "kwargs": {}}),
        ("model", {"module": "torch.nn.Sequential", "children": [1]}),
    ),
    *(
        ("model", {"module": "torch.nn.Sequential", "children": [[n, linear(3, 2)]]})
        for n in ("", "a.b", 3, "forward", "x" * 99)
    ),
    ("model", {"module": "torch.nn.Sequential", "children": [["0", linear(3, 2)], ["0", linear(3, 2)]]}),
    *(("model", {"name": ["os.system"]}), ("model", {"name": {"name": "os.system"}}), ("model", {})),
    *(("model", {**linear(3, 2), "name": "os.system"}), ("model", {**linear(3, 2), "__reduce__": "x"})),
    *(
        ("model", {"module": "torch.nn.Linear", "kwargs": k})
        for k in ([], "x", None, {"a b": 1}, {"__class__": 1}, {"x=1,y": 1})
    ),
    *(
        ("model", {"module": "torch.nn.Linear", "kwargs": {"in_features": 3, "out_features": 2, k: "cuda"}})
        for k in ("device", "dtype")
    ),
    *(("loss", {"float": "x"}), ("loss", {"dtype": "float32"}), ("loss", {"slice": [1]}), ("loss", {"mapping": [1]})),
    *(("loss", {"opaque": 3}), ("loss", {"opaque": "\x1b[2J"}), ("loss", {"opaque": "x" * 1001})),
    *(
        ("n_inp", True),
        ("n_inp", 10**30),
        ("n_inp", -1),
        ("n_inp", 1.5),
        ("n_inp", [1]),
        ("format", True),
        ("format", 1.0),
    ),
    *(("precision", 3), ("precision", ["bf16"]), ("precision", {"a": "bf16"}), ("precision", "auto")),
    *(("satsuma", 3), ("torch", "x" * 1000), ("facts", []), ("facts", None), ("facts", {"a": nested(1, 60)})),
    *(("facts", {"a": 10**40}), ("facts", {"a": "x" * 10_001}), ("code", "import os"), ("__class__", "x")),
]


@pytest.mark.parametrize(("field", "value"), HOSTILE, ids=lambda v: str(v)[:50].replace("\0", "0"))
def test_hostile_headers_are_refused_by_file_and_field(field, value, good, tmp_path):
    path = rewritten(good, tmp_path / "evil.safetensors", json.dumps({**read_header(good), field: value}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelFileError) as caught:
        WATCH.run(load, path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert field in text or "do not fit this model" in text  # a model that can be built, but is not of these weights
    assert text.isprintable()
    assert len(text) < 1000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


PART_NAMES = st.sampled_from(sorted(known_parts()))
KWARG_NAMES = "size n_in in_features out_features layers block weight p mean std vocab dim kernel_size arch outputs"


KEYS = "name new module partial args kwargs children mapping path slice float dtype tensor"
MORE_KEYS = "opaque size layers block classes in_features out_features bias vocab p mean std"


def kwargs_of(inner):
    return st.dictionaries(st.sampled_from(KWARG_NAMES.split()), inner, max_size=3)


def partial_of(name, args):
    return {"partial": {"name": name}, "args": args, "kwargs": {}}


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 5)
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.sampled_from(sorted(known_parts()))
    | st.sampled_from(["float32", "nan", "os.system", "__class__", "../x", "/etc", "resnet18", "reflect"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYS.split(), *MORE_KEYS.split()]), inner, max_size=3)
        | st.builds(lambda name, kwargs: {"module": name, "kwargs": kwargs}, PART_NAMES, kwargs_of(inner))
        | st.builds(lambda name, kwargs: {"new": name, "kwargs": kwargs}, PART_NAMES, kwargs_of(inner))
        | st.builds(partial_of, PART_NAMES, st.lists(inner))
    ),
    max_leaves=8,
)


def places_in(value, place=()):
    """Where in a JSON value there are values."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for key, part in inner for found in places_in(part, (*place, key)))]


def with_changed(value, place, new):
    if not place:
        return new
    changed = value.copy()
    changed[place[0]] = with_changed(value[place[0]], place[1:], new)
    return changed


@settings(max_examples=500, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_headers_with_anything_anywhere_are_refused_or_load(good, tmp_path_factory, data):
    header = read_header(good)
    place = data.draw(
        st.sampled_from([p for p in places_in(header) if p and p[0] not in ("facts", "satsuma", "torch")])
    )
    text = json.dumps(with_changed(header, place, data.draw(JSON_VALUES)))
    path = rewritten(good, tmp_path_factory.getbasetemp() / "anything.safetensors", text)
    try:
        WATCH.run(load, path)
    except ModelFileError as error:
        refusal = str(error)
        event(f"refused: {refusal.removeprefix(f'{path}: ')[:20]}")
    else:
        refusal = f"{path}: "
        event("loaded")
    assert refusal.startswith(f"{path}: ")
    assert refusal.isprintable()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"n_inp": 1', '"n_inp": 1, "n_inp": 1'),
        lambda text: text.replace('"n_inp": 1', '"n_inp": NaN'),
        lambda text: text.replace('"n_inp": 1', '"n_inp": Infinity'),
        lambda text: text.replace('"facts": {', '"facts": {"a": 1e999, '),
        lambda text: text.replace('"facts": {', '"facts": {"a": ' + "9" * 5000 + ", "),
        lambda text: text.replace('"facts": {', '"facts": {"a": ' + "[" * 50_000 + ", "),
        lambda text: text.replace('"facts": {', '"facts": {"a": "' + "x" * 10_000_001 + '", '),
        lambda text: text.replace('"kwargs": {', '"kwargs": {"bias": true, "bias": false, '),
        lambda text: text[:-1],
        lambda text: text + "x",
        lambda text: "\ufeff" + text,
    ],
)
def test_headers_that_are_not_plain_json_are_refused(change, good, tmp_path):
    text = json.dumps(read_header(good))
    assert change(text) != text
    path = rewritten(good, tmp_path / "evil.safetensors", change(text))
    with pytest.raises(ModelFileError, match=r"evil\.safetensors: "):
        WATCH.run(load, path)


def test_a_file_from_before_there_were_digests_of_weights_loads(good, tmp_path):
    path = rewritten(good, tmp_path / "old.safetensors", json.dumps(read_header(good)))
    assert loaded_model(path) == loaded_model(good)


def test_a_network_of_timm_is_never_fetched(good, tmp_path):
    """Whether timm is installed or not; if it is, it is imported, as the user's own installation."""
    arch = {"module": "satsuma.nn.transfer.TransferModel", "kwargs": {"arch": "timm:hf-hub:a/b", "outputs": 2}}
    path = rewritten(good, tmp_path / "evil.safetensors", json.dumps({**read_header(good), "model": arch}))
    with pytest.raises(ModelFileError, match=r"need timm|timm has no model 'hf-hub:a/b'"):
        sm.load_learner(path)


@pytest.mark.parametrize(
    "recipe",
    [
        {"name": "os.system"},
        {"new": "x; import os", "kwargs": {}},
        {"module": "os.system", "kwargs": {}},
        {"new": "satsuma.vision.geometry.Resize", "kwargs": {"size=1, y=__import__('os')": 1}},
        {"partial": {"name": "satsuma.functional.losses.mse"}, "args": [], "kwargs": {"a=1)\nimport os\n(": 1}},
        {"dtype": "float32\nimport os"},
        {"tensor": [1], "dtype": "float32)\nimport os"},
    ],
    ids=plain,
)
def test_no_recipe_puts_code_into_a_script(recipe):
    with pytest.raises(ValueError, match=r"is not in the table|is no argument's name|is no dtype"):
        to_code(recipe, set())
