"""Files written to do harm: payloads, names outside the table, paths outside the folder, sizes beyond memory."""

import json
import os
import pickle
import resource
import struct
import zipfile

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tests.ship.damage import WATCH, loaded_model, tiny_model

import satsuma as sm
from satsuma.errors import ModelFileError, WeightsError
from satsuma.ship.code import to_code
from satsuma.ship.model_file import DIGEST, KEY, digest_of_text, read_header
from satsuma.train.checkpoint import CONTENTS_DIGEST, read_tensors
from satsuma.train.resume_file import read_state

RAN = []


def payload(text):
    RAN.append(text)


class Evil:
    def __reduce__(self):
        return payload, ("code of the file ran",)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tiny_model(tmp_path_factory.mktemp("good"))
    loaded_model(path)  # what loading imports is now imported
    return path


@pytest.fixture(autouse=True)
def nothing_ran():
    RAN.clear()
    yield
    assert RAN == []


READERS = {
    "load_learner": lambda path: sm.load_learner(path, device="cpu"),
    "read_header": read_header,
    "read_tensors": read_tensors,
    "read_state": read_state,
}


# --- pickles under other names -----------------------------------------------------------------------------------


def pickled(path):
    path.write_bytes(pickle.dumps(Evil()))


def torch_saved(path):
    torch.save({"weight": torch.zeros(2), "more": Evil()}, path)


def torch_saved_as_before(path):
    torch.save(Evil(), path, _use_new_zipfile_serialization=False)


def zipped(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(Evil()))
        file.writestr("archive/version", "3")


@pytest.mark.parametrize("write", [pickled, torch_saved, torch_saved_as_before, zipped])
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_a_pickle_is_no_model(write, reader, name, tmp_path):
    write(tmp_path / name)
    with pytest.raises((ModelFileError, ValueError), match=name):
        READERS[reader](tmp_path / name)


@pytest.mark.parametrize("write", [pickled, torch_saved, torch_saved_as_before, zipped])
def test_a_pickle_is_not_converted(write, tmp_path):
    write(tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"w\.pth: not a file of weights alone"):
        sm.convert_weights(tmp_path / "w.pth", tmp_path / "w.safetensors")
    assert not (tmp_path / "w.safetensors").exists()


def test_the_payload_would_run_if_unpickled(tmp_path):
    pickle.loads(pickle.dumps(Evil()))
    assert RAN.pop()
    torch_saved(tmp_path / "w.pth")
    torch.load(tmp_path / "w.pth", weights_only=False)
    assert RAN.pop()


# --- what is no file ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_regular_file_is_refused_at_once(reader, tmp_path):
    read = READERS[reader]
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("pipe", "folder", "empty"):
        with pytest.raises((ModelFileError, ValueError, FileNotFoundError), match=name):
            read(tmp_path / name)
    for name in ("loop", "none"):
        with pytest.raises(FileNotFoundError, match=name):
            read(tmp_path / name)
    for device in ("/dev/zero", "/dev/urandom", "/dev/null"):
        with pytest.raises((ModelFileError, ValueError), match="a pipe or device, not a file"):
            read(device if reader == "load_learner" else type(tmp_path)(device))


def test_a_link_to_a_file_is_the_file(good, tmp_path):
    (tmp_path / "link.safetensors").symlink_to(good)
    assert loaded_model(tmp_path / "link.safetensors") == loaded_model(good)


# --- safetensors that lie ----------------------------------------------------------------------------------------


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(*offsets, dtype="F32", shape=(2,)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


LIES = {
    "no header": struct.pack("<Q", 0),
    "header of no object": safetensors([1]),
    "header longer than the file": struct.pack("<Q", 2**40) + b"{}",
    "header of 2**64 - 1 bytes": b"\xff" * 8 + b"{}",
    "deep nesting": safetensors(b'{"a":' + b"[" * 100_000),
    "not UTF-8": safetensors(b'{"\xff\xfe": 1}'),
    "tensors over one another": safetensors({"a": tensor(0, 8), "b": tensor(4, 12)}, bytes(12)),
    "a hole": safetensors({"a": tensor(0, 8), "b": tensor(12, 20)}, bytes(20)),
    "bytes left over": safetensors({"a": tensor(0, 8)}, bytes(9)),
    "bytes missing": safetensors({"a": tensor(0, 8)}, bytes(7)),
    "offsets backwards": safetensors({"a": tensor(8, 0)}, bytes(8)),
    "negative offsets": safetensors({"a": tensor(-8, 0)}, bytes(8)),
    "negative size": safetensors({"a": tensor(0, 8, shape=(-2,))}, bytes(8)),
    "another size": safetensors({"a": tensor(0, 8, shape=(3,))}, bytes(8)),
    "sizes that overflow": safetensors({"a": tensor(0, 8, shape=(2**62, 2**62, 4))}, bytes(8)),
    "huge size": safetensors({"a": tensor(0, 2**50, shape=(2**48,))}, bytes(8)),
    "unknown format": safetensors({"a": tensor(0, 8, dtype="O64")}, bytes(8)),
    "NaN as a size": safetensors(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}', bytes(8)),
    "a format that moves the cursor": safetensors(
        b'{"a":{"dtype":"\\u001b[2J","shape":[2],"data_offsets":[0,8]}}', bytes(8)
    ),
    "metadata of numbers": safetensors({"__metadata__": {KEY: 3}}),
    "metadata of no object": safetensors({"__metadata__": [KEY]}),
    "metadata twice": safetensors(b'{"__metadata__":{"a":"1"},"__metadata__":{"a":"2"}}'),
    "no metadata": safetensors({"a": tensor(0, 8)}, bytes(8)),
    "empty metadata": safetensors({"__metadata__": {}, "a": tensor(0, 8)}, bytes(8)),
    "empty header text": safetensors({"__metadata__": {KEY: "", DIGEST: digest_of_text("")}}),
    "too many tensors": safetensors({f"a{i}": tensor(0, 0, shape=(0,)) for i in range(100_001)}),
}


@pytest.mark.parametrize("lie", LIES)
def test_safetensors_that_lie_are_refused(lie, tmp_path):
    path = tmp_path / "lie.safetensors"
    path.write_bytes(LIES[lie])
    for reader in ("load_learner", "read_state"):
        with pytest.raises((ModelFileError, ValueError), match=r"lie\.safetensors") as caught:
            WATCH.run(READERS[reader], path)
        assert str(caught.value).isprintable()


def test_a_name_given_twice_is_refused_or_one_of_both(tmp_path):
    path = tmp_path / "twice.safetensors"
    same, other = json.dumps(tensor(0, 8)), json.dumps(tensor(8, 16))
    path.write_bytes(safetensors(f'{{"a":{same},"a":{other}}}'.encode(), bytes(16)))
    with pytest.raises(ValueError, match="twice"):
        read_tensors(path)


# --- headers that lie: their digests fit, as an attacker can make them ---------------------------------------------


def rewritten(good, path, text):
    with safe_open(good, framework="pt") as file:
        metadata = file.metadata()
    del metadata[CONTENTS_DIGEST]
    save_file(load_file(good), path, {**metadata, KEY: text, DIGEST: digest_of_text(text)})
    return path


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
        WATCH.run(READERS["load_learner"], path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert field in text or "do not fit this model" in text  # a model that can be built, but is not of these weights
    assert text.isprintable()
    assert len(text) < 1000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


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
        WATCH.run(READERS["load_learner"], path)


def test_a_file_from_before_there_were_digests_of_weights_loads(good, tmp_path):
    path = rewritten(good, tmp_path / "old.safetensors", json.dumps(read_header(good)))
    assert loaded_model(path) == loaded_model(good)


def test_a_network_of_timm_is_never_fetched(good, tmp_path):
    """Whether timm is installed or not; if it is, it is imported, as the user's own installation."""
    arch = {"module": "satsuma.nn.transfer.TransferModel", "kwargs": {"arch": "timm:hf-hub:a/b", "outputs": 2}}
    path = rewritten(good, tmp_path / "evil.safetensors", json.dumps({**read_header(good), "model": arch}))
    with pytest.raises(ModelFileError, match=r"need timm|timm has no model 'hf-hub:a/b'"):
        sm.load_learner(path)


def test_names_of_weights_that_would_move_the_cursor_are_told_plainly(good, tmp_path):
    with safe_open(good, framework="pt") as file:
        metadata = file.metadata()
    del metadata[CONTENTS_DIGEST]
    path = tmp_path / "evil.safetensors"
    save_file({**load_file(good), "\x1b[2J": torch.zeros(2)}, path, metadata)
    with pytest.raises(ModelFileError, match=r"\\x1b\[2J is not in the model") as caught:
        sm.load_learner(path)
    assert str(caught.value).isprintable()


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
    ids=str,
)
def test_no_recipe_puts_code_into_a_script(recipe):
    with pytest.raises(ValueError, match=r"is not in the table|is no argument's name|is no dtype"):
        to_code(recipe, set())
