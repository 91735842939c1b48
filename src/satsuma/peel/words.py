"""What the writers of `main` share: names to lift, lines to import, arrays to lay beside the script."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from satsuma.errors import PeelError
from satsuma.peel.spell import refuse_one_name, spelled_value

SHOWN_ITEMS = 20  # items that are spelled out in the script; more go into the file beside it


@dataclass(slots=True)
class Words:
    """Collects, while `main` is written, what its text needs."""

    names: dict[str, Any] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    helpers: dict[str, str] = field(default_factory=dict)  # functions that stand above `main`, by name
    at_loop: bool = False  # the script has the library's functions to call
    functions: dict[str, str] = field(default_factory=dict)  # the spelled object → the function that stands for it
    pictures: Any = None  # the one pair of loaders, where they give plain pictures
    written: dict[str, str] = field(default_factory=dict)  # definitions that are made for the run, by name
    hidden: frozenset[str] = frozenset()  # names of the user's that the script binds to something else somewhere

    def value(self, value: Any) -> str:
        """The Python for a live value."""
        return spelled_value(value, self.names, self.imports, self.hidden)

    def name(self, part: Any) -> str:
        """The name of a function or class of the library."""
        return self.named(part.__name__, part)

    def named(self, name: str, part: Any) -> str:
        """`name`, for a part of the library. Raises `PeelError` where a part of the user's has it already."""
        refuse_one_name(name, self.names.setdefault(name, part), part)
        return name

    def array(self, name: str, value: Any) -> str:
        """The Python for a tensor or array that lies in the file beside the script."""
        tensor = value.detach().cpu() if isinstance(value, Tensor) else torch.as_tensor(value)
        self.arrays[name] = tensor.contiguous().numpy()
        return f'torch.from_numpy(arrays["{name}"])'

    def items(self, items: Sequence[Any]) -> str:
        """The Python for a list of items: paths, texts, numbers, arrays, or tuples and dictionaries of them."""
        if all(isinstance(item, tuple) for item in items) and len({len(item) for item in items}) == 1:
            if any(isinstance(part, np.ndarray | Tensor) for part in items[0]):
                columns = [self.column(f"items_{i}", column) for i, column in enumerate(zip(*items, strict=True))]
                return f"list(zip({', '.join(columns)}, strict=True))"
        elif any(isinstance(item, np.ndarray | Tensor) for item in items):
            return f"list({self.column('items', items)})"
        if len(items) <= SHOWN_ITEMS and all(isinstance(item, str | Path | int | float) for item in items):
            return self.value(list(items))
        return self.stored(items)

    def column(self, name: str, values: Sequence[Any]) -> str:
        """One position of items that are tuples."""
        if all(isinstance(value, Tensor) for value in values) and len({value.shape for value in values}) == 1:
            return self.array(name, torch.stack(list(values)))
        if all(isinstance(value, np.ndarray) for value in values) and len({value.shape for value in values}) == 1:
            self.arrays[name] = np.stack(values)
            return f'arrays["{name}"]'
        if all(isinstance(value, str | bool | int | float) for value in values):
            self.arrays[name] = np.array(values)
            return f'arrays["{name}"].tolist()'
        if all(isinstance(value, list | tuple) for value in values):
            self.arrays[name] = np.array([json.dumps(value, default=plain_number) for value in values])
            self.imports.add("import json")
            return f'[json.loads(line) for line in arrays["{name}"].tolist()]'
        kinds = sorted({type(value).__name__ for value in values})
        raise PeelError(
            f"the items of the data hold {' and '.join(kinds)} that a file of arrays cannot: give paths, text, "
            f"numbers or arrays of one shape"
        )

    def stored(self, items: Sequence[Any]) -> str:
        """Items as lines of JSON in the file beside the script; paths come back as paths."""
        paths = all(isinstance(item, Path) for item in items)
        rows = [item.to_dict() if hasattr(item, "to_dict") else item for item in items]
        try:
            lines = [json.dumps(row, default=str if paths else plain_number) for row in rows]
        except TypeError as error:
            raise PeelError(f"the items of the data cannot be written to a file: {error}") from error
        self.arrays["items"] = np.array(lines)
        if paths:
            self.imports.add("from pathlib import Path")
        self.imports.add("import json")
        read = "Path(json.loads(line))" if paths else "json.loads(line)"
        if any(isinstance(row, tuple) for row in rows):
            read = "tuple(json.loads(line))"
        return f'[{read} for line in arrays["items"].tolist()]'


def plain_number(value: Any) -> Any:
    """NumPy's scalars as JSON has them; a path within a row as text."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
