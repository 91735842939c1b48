"""Model files and checkpoints under a coverage-guided fuzzer, beyond what the tests do. Linux: pip install atheris.

`python tests/ship/fuzz_files.py -runs=20000`: half of the inputs are mutations of whole files, half are headers whose
digests are made to fit, so that the schema and the building of parts are reached.
"""

import json
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["satsuma.ship", "satsuma.train.checkpoint", "satsuma.train.resume_file"]):
    from satsuma.ship.model_file import DIGEST, KEY, digest_of_text

sys.path.insert(0, str(Path(__file__).parents[2]))
from safetensors.torch import load_file, save

from tests.ship.damage import WATCH, flipped, loaded_model, loaded_state, tiny_checkpoint, tiny_model  # isort: skip
from satsuma.errors import ModelFileError  # isort: skip
from satsuma.ship.model_file import read_header  # isort: skip

FOLDER = Path(tempfile.mkdtemp())
MODEL, CHECKPOINT = tiny_model(FOLDER), tiny_checkpoint(FOLDER)
FILES = [(MODEL.read_bytes(), loaded_model, loaded_model(MODEL)), (CHECKPOINT.read_bytes(), loaded_state, None)]
HEADER, WEIGHTS = json.dumps(read_header(MODEL)), load_file(MODEL)
DAMAGED = FOLDER / "damaged.safetensors"
loaded_state(CHECKPOINT)


def case(data: bytes) -> None:
    given = atheris.FuzzedDataProvider(data)
    kind = given.ConsumeIntInRange(0, 3)
    raw, load, expected = FILES[kind % 2]
    if kind < 2:
        bits = [given.ConsumeIntInRange(0, 8 * len(raw) - 1) for _ in range(given.ConsumeIntInRange(1, 4))]
        content = flipped(raw, *bits)[: given.ConsumeIntInRange(0, len(raw))] + given.ConsumeBytes(64)
    else:
        load, expected = loaded_model, None
        start = given.ConsumeIntInRange(0, len(HEADER))
        text = given.ConsumeUnicodeNoSurrogates(40)
        text = HEADER[:start] + text + HEADER[start + given.ConsumeIntInRange(0, 40) :]
        content = save(WEIGHTS, {KEY: text, DIGEST: digest_of_text(text)})
    DAMAGED.write_bytes(content)
    try:
        found = WATCH.run(load, DAMAGED)
    except (ModelFileError, ValueError) as error:
        if type(error) not in (ModelFileError, ValueError) or str(DAMAGED) not in str(error):
            raise RuntimeError("refused with another error, or without the file's name") from error
        return
    if expected is not None:
        assert found == expected


atheris.Setup(sys.argv, case)
atheris.Fuzz()
