"""A tiny model file and a tiny checkpoint, ways to damage them, and a watch on whether loading them runs code."""

import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import satsuma as sm
from satsuma.errors import ModelFileError
from satsuma.ship.model_file import DIGEST, KEY, digest_of_text, read_header
from satsuma.train.checkpoint import CONTENTS_DIGEST, read_tensors
from satsuma.train.resume_file import read_state, write_state

N, D, K = 11, 3, 2
STATE = {"step": 7, "names": ["a", ("b", 2.5, None)], "model": {"w": torch.arange(15.0).reshape(3, 5)}, "seed": 2**40}

# what running code from a file would have to do; the import of a new module too
EVENTS = (
    *("exec", "compile", "import", "pickle.find_class", "marshal.loads", "os.system", "os.exec", "os.posix_spawn"),
    *("os.spawn", "os.fork", "subprocess.Popen", "socket.connect", "ctypes.dlopen", "code.__new__", "os.remove"),
    *("os.rename", "shutil.rmtree"),
)


class Watch:
    """Audit hooks cannot be taken out again, so one stays, and notes events only where it is asked to."""

    def __init__(self) -> None:
        self.armed, self.seen = False, []
        sys.addaudithook(self.note)

    def note(self, event: str, arguments: Any) -> None:
        if self.armed and (event in EVENTS or (event == "open" and writes(arguments))):
            self.seen.append((event, str(arguments)[:200]))

    def run(self, load: Callable[[Path], Any], path: Path) -> Any:
        """`load(path)`; fails if that ran code, wrote a file, or imported anything."""
        self.armed, self.seen = True, []
        try:
            return load(path)
        finally:
            self.armed = False
            assert self.seen == [], self.seen


def writes(arguments: Any) -> bool:
    mode = arguments[1] if len(arguments) > 1 else None
    return isinstance(mode, str) and any(letter in mode for letter in "wax+")


WATCH = Watch()


def tiny_model(folder: Path) -> Path:
    """A model file of about 2.5 kB."""
    x = torch.randn(N, D, generator=torch.Generator().manual_seed(0))
    data = sm.DataLoaders.from_arrays(x.numpy(), (x[:, 0] > 0).long().numpy(), bs=5)
    learn = sm.Learner(data, sm.mlp((D, 5, K), batch_norm=True), progress=False)
    return learn.export(folder / "model.safetensors")


def tiny_checkpoint(folder: Path) -> Path:
    return write_state(folder, 7, STATE)


def loaded_model(path: Path) -> Any:
    """All that a loaded model file is, to be compared."""
    predictor = sm.load_learner(path, device="cpu")
    weights = {name: (t.dtype, tuple(t.shape), t.numpy().tobytes()) for name, t in predictor.model.state_dict().items()}
    rest = (predictor.blocks, predictor.n_inp, predictor.item_tfms, predictor.batch_tfms, predictor.loss)
    return weights, rest, repr(predictor.model), predictor.autocast


def loaded_header(path: Path) -> Any:
    return read_header(path)


def loaded_state(path: Path) -> Any:
    state = read_state(path)
    held = state.pop("model")["w"]
    return state, held.dtype, tuple(held.shape), held.numpy().tobytes()


def loaded_tensors(path: Path) -> Any:
    return {name: (t.dtype, tuple(t.shape), t.numpy().tobytes()) for name, t in read_tensors(path)[0].items()}


def outcome(load: Callable[[Path], Any], path: Path, expected: Any) -> str:
    """ "refused" or "equal"; anything else is a failure: another error, another value, code that ran."""
    refusal: Exception | None = None
    found: Any = None
    try:
        found = WATCH.run(load, path)
    except (ModelFileError, ValueError) as error:
        refusal = error
    if refusal is None:
        assert found == expected
        return "equal"
    assert type(refusal) in (ModelFileError, ValueError), repr(refusal)  # no subclass: a UnicodeError, say
    assert str(path) in str(refusal), refusal
    return "refused"


def rewritten(good: Path, path: Path, text: str) -> Path:
    """The file with another text as its header, whose digest fits: what an attacker can write."""
    with safe_open(good, framework="pt") as file:
        metadata = file.metadata()
    del metadata[CONTENTS_DIGEST]
    save_file(load_file(good), path, {**metadata, KEY: text, DIGEST: digest_of_text(text)})
    return path


def header_end(raw: bytes) -> int:
    return 8 + struct.unpack("<Q", raw[:8])[0]


def flipped(raw: bytes, *bits: int) -> bytes:
    changed = bytearray(raw)
    for bit in bits:
        changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
