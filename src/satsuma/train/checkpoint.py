"""Weights on disk: safetensors files with a digest of all that they hold, written whole or not at all."""

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn, uint8

from satsuma.functional.losses import shape_text

MAX_TENSORS = 100_000  # of a file; opening more would only keep the machine busy
SHOWN = 5  # how many layer names an error lists
CONTENTS_DIGEST = "satsuma_contents_sha256"  # in a file's metadata: of everything else in the file
NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.ENOSYS)  # not every file system has it
WRITE_ADVICE: Mapping[int | None, str] = {
    errno.ENOSPC: "the disk is full: free some space, or write to another disk",
    errno.EDQUOT: "your quota is used up: free some space, or write to another disk",
    errno.EROFS: "the file system is read-only: write to another folder",
    errno.EACCES: "you may not write there: change the folder's permissions, or write to another folder",
    errno.EPERM: "you may not write there: change the folder's permissions, or write to another folder",
    errno.ENAMETOOLONG: "the name is too long: give a shorter one",
    errno.ENOTDIR: "a part of this path is a file, not a folder: give another path",
    errno.EEXIST: "a part of this path is a file, not a folder: give another path",
}


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a crash or a power cut at any moment leaves the old one or the new one, never a part.

    The folder is made if need be. One writer at a time: two of the same file would use one temporary name.
    Raises the `OSError` of what went wrong, with the path, what to do, and that the old file still stands.
    """
    if os.path.isdir(path):  # Path.is_dir raises for a name that is too long
        raise IsADirectoryError(f"{path} is a folder; give the name of a file in it")
    if os.path.exists(path) and not os.path.isfile(path):  # a file would take its place
        raise OSError(f"{path} is a device or a pipe; give the name of a file")
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_synced(part, content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise explained_write_error(path, error) from error
    sync_folder(path.parent)


def write_synced(part: Path, content: bytes) -> None:
    """A new file that is on the disk, not only in its cache; what stood under the name, a link too, is gone first."""
    part.unlink(missing_ok=True)
    with part.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have a rename in the folder survive a power cut, where the system can (Windows opens no folders)."""
    if os.name == "nt":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise OSError(error.errno, f"{folder}: may not have reached the disk ({error.strerror})") from error


def explained_write_error(path: Path, error: OSError) -> OSError:
    """The same kind of error, saying which file could not be written, why, and what to do."""
    reason = error.strerror or str(error) or type(error).__name__
    advice = WRITE_ADVICE.get(error.errno, "look at the disk, or write to another folder")
    left = "; the file from before is unchanged" if os.path.isfile(path) else ""
    text = f"{path}: could not be written ({reason}): {advice}{left}"
    return type(error)(error.errno, text) if error.errno is not None else type(error)(text)


def save_weights(model: nn.Module, path: Path, metadata: Mapping[str, str] | None = None) -> Path:
    """The model's parameters and buffers as a safetensors file, by their names."""
    weights = {  # cloned, since a file cannot hold layers that share their weights
        name: t.detach().cpu().contiguous().clone() for name, t in model.state_dict().items()
    }
    return save_tensors(weights, path, metadata)


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> Path:
    """Tensors on the CPU, each in memory of its own, as a safetensors file; `metadata`: text by name, for its header.

    A digest of both goes into the metadata, which `read_tensors` checks.
    """
    whole = {name: t.contiguous() for name, t in tensors.items()}
    noted = {name: text for name, text in (metadata or {}).items() if name != CONTENTS_DIGEST}
    write_whole(path, save(whole, {**noted, CONTENTS_DIGEST: contents_digest(whole, noted)}))
    return path


def contents_digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 in hexadecimal of names, number formats, shapes and bytes, and of the metadata but the digest itself.

    tensors: on the CPU. The order in which they or the metadata are given does not matter.
    """
    noted = sorted((name, text) for name, text in metadata.items() if name != CONTENTS_DIGEST)
    digest = hashlib.sha256(json.dumps(noted).encode())
    for name in sorted(tensors):
        held = tensors[name].detach()
        digest.update(json.dumps([name, str(held.dtype), list(held.shape)]).encode())
        digest.update(held.contiguous().reshape(-1).view(uint8).numpy().data)
    return digest.hexdigest()


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of the names, formats and values of all weights and statistics."""
    found = hashlib.sha256()
    for name, value in model.state_dict().items():
        if isinstance(value, Tensor):
            found.update(f"{name} {value.dtype} {list(value.shape)}".encode())
            found.update(value.detach().cpu().contiguous().reshape(-1).view(uint8).numpy().data)
    return found.hexdigest()


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill the model from a safetensors file of weights.

    Raises `FileNotFoundError`; `ValueError` for a damaged file, or naming the layers that do not fit.
    """
    assign_weights(model, read_weights(path), str(path))


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of `read_tensors`."""
    return read_tensors(path)[0]


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file alone, unchecked. Raises as `read_tensors`."""
    refuse_irregular(path)
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, RuntimeError, TypeError) as error:
        raise ValueError(f"{path}: not a whole safetensors file ({plain_text(error)})") from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file, checked against the digest they were written with.

    Files of other programs have no digest and are taken as they are. The tensors are the mapped file: clone what is
    to outlive it. Raises `FileNotFoundError`; `ValueError` for a damaged file, or what is not a regular file.
    """
    refuse_irregular(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata, names = dict(file.metadata() or {}), list(file.keys())
            if len(names) > MAX_TENSORS:
                raise ValueError(f"{path}: holds {len(names):,} tensors, more than {MAX_TENSORS:,}")
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, RuntimeError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: not a whole safetensors file ({plain_text(error)})") from error
    noted = metadata.get(CONTENTS_DIGEST)
    if noted is not None and noted != contents_digest(tensors, metadata):
        raise ValueError(
            f"{path}: damaged, or changed since it was written: its contents do not have the SHA-256 in its header. "
            f"Take an earlier copy, or write it again"
        )
    return tensors, metadata


def plain_text(value: object, most: int = 200) -> str:
    """Text from a file on one line, cut, and with nothing in it that a terminal would obey.

    >>> plain_text(chr(27) + "[2Jcat")
    '\\\\x1b[2Jcat'
    """
    text = str(value)
    plain = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text[:most])
    return plain + ("..." if len(text) > most else "")


def refuse_irregular(path: Path) -> None:
    """`FileNotFoundError` where nothing is; `ValueError` for a folder, and for a pipe or device, which could hang."""
    if path.is_dir():
        raise ValueError(f"{path}: a folder; give the safetensors file in it")
    if not path.is_file():
        if path.exists():
            raise ValueError(f"{path}: a pipe or device, not a file")
        raise FileNotFoundError(f"{path}: there is no such file")


def assign_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str, *, assign: bool = False) -> None:
    """`load_state_dict`, with an error that names the layers that do not fit, their shapes and number formats."""
    own = model.state_dict()
    faults = [f"{name} is missing" for name in own if name not in weights]
    faults += [f"{plain_text(name)} is not in the model" for name in weights if name not in own]
    for name in own.keys() & weights.keys():
        mine, new = own[name], weights[name]
        if mine.shape != new.shape:
            faults.append(f"{name} is {shape_text(new)}, the model's is {shape_text(mine)}")
        elif mine.dtype != new.dtype and (assign or mine.is_floating_point() != new.is_floating_point()):
            faults.append(f"{name} is of {new.dtype}, the model's is of {mine.dtype}")
    if faults:
        more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise ValueError(f"{source}: its weights do not fit this model: {'; '.join(sorted(faults)[:SHOWN])}{more}")
    # cloned, so that the model's weights are aligned memory of its own and not the mapped file
    model.load_state_dict({name: t.clone() for name, t in weights.items()} if assign else weights, assign=assign)
