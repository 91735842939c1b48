"""Files written to do harm: payloads, names outside the table, paths outside the folder, sizes beyond memory."""

import json
import os
import pickle
import struct
import zipfile

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tests.ship.damage import WATCH, loaded_model, tiny_model

import satsuma as sm
from satsuma.errors import ModelFileError, WeightsError
from satsuma.ship.model_file import DIGEST, KEY, digest_of_text, read_header
from satsuma.train.checkpoint import CONTENTS_DIGEST, read_tensors, save_tensors
from satsuma.train.resume_file import KEY as STATE_KEY
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


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "3", "null", "[" * 100_000, "{}", '{"format": 1}', '{"format": 2, "state": null}'),
        *('{"format": [1], "state": null}', '{"format": 1, "state": 3}', '{"format": 1, "state": {"tuple": []}}'),
        *('{"format": 1, "state": {"dict": [[{"list": []}, 1]]}}', '{"format": 1, "state": {"tensor": "x"}}'),
        *('{"format": 1, "state": {"tensor": []}}', '{"format": 1, "state": {"os.system": "x"}}'),
        '{"format": 1, "state": ' + '{"list": [' * 400 + "]}" * 400 + "}",
    ],
    ids=lambda text: text[:40],
)
def test_hostile_checkpoints_are_refused(text, tmp_path):
    path = save_tensors({"a": torch.zeros(2)}, tmp_path / "evil.safetensors", {STATE_KEY: text})
    with pytest.raises(ValueError, match=r"evil\.safetensors: ") as caught:
        WATCH.run(read_state, path)
    assert type(caught.value) is ValueError
    assert str(caught.value).isprintable()


def test_names_of_weights_that_would_move_the_cursor_are_told_plainly(good, tmp_path):
    with safe_open(good, framework="pt") as file:
        metadata = file.metadata()
    del metadata[CONTENTS_DIGEST]
    path = tmp_path / "evil.safetensors"
    save_file({**load_file(good), "\x1b[2J": torch.zeros(2)}, path, metadata)
    with pytest.raises(ModelFileError, match=r"\\x1b\[2J is not in the model") as caught:
        sm.load_learner(path)
    assert str(caught.value).isprintable()
