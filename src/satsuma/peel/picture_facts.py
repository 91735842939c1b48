"""What is constant in a run on plain pictures: said before lifting, so that it is not even copied."""

import ast
from collections.abc import Mapping
from typing import Any

from satsuma.data.samples import get_value
from satsuma.peel.edits import Text, dotted
from satsuma.peel.picture_code import last_colours
from satsuma.vision.geometry import CropPad, Dihedral, Flip, RandomResizedCrop, Resize, Rotate, Shear, Shift, Zoom
from satsuma.vision.image import get_image_files
from satsuma.vision.jpeg import COLOURSPACES
from satsuma.vision.lighting import Brightness, Contrast, Hue, RandomGrey, Saturation
from satsuma.vision.normalize import Normalize
from satsuma.vision.path import ImagePath, acts_by
from satsuma.vision.perspective import Warp

REFLECTING = {
    'border if border is not None and frame.border == "reflection" else frame.border': '"reflection"',
    'border == "reflection" and max': "max",
    "CV2_BORDERS[border]": "cv2.BORDER_REFLECT",
}
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
OWN_PLACES = {Resize, RandomResizedCrop, CropPad, Flip, Dihedral, Rotate, Zoom, Shift, Shear, Warp, Normalize}
OWN_PLACES |= {Brightness, Contrast, Saturation, Hue, RandomGrey}


def facts_of_pictures(dls: Any) -> dict[str, str]:
    """What holds of every picture of the run: its channels, and how its windows can lie."""
    path = dls.train.dataset.paths[0]
    kinds = {type(transform) for transform in path.stages[0].fused}
    facts = {"pixels.ndim == 2 or pixels.shape[2] == 1": str(path.channels == 1)}
    facts |= {"part.ndim == 3 and part.shape[2] == 3": str(path.channels == 3), "not pixels.flags.writeable": "False"}
    if path.channels > 1:  # OpenCV drops a single one
        facts |= {"part.ndim < pixels.ndim": "False", "shown.ndim < pixels.ndim": "False"}
    for table, name in (('{1: "L", 3: "RGB", 4: "RGBA"}', MODES), ("COLOURSPACES", COLOURSPACES)):
        facts[f"{table}[channels]"] = f'"{name[path.channels]}"'
    if kinds <= OWN_PLACES - {Warp}:
        facts |= {"is_affine(matrix)": "True", "is_affine(composed)": "True"}
    if kinds <= OWN_PLACES - {Dihedral}:
        facts |= {"a == 0 and e == 0 and b != 0 and d != 0": "False", "f if e > 0 else f + e * size[0]": "f"}
        facts |= {"a < 0 or e < 0": "a < 0", "-1 if a < 0 and e < 0 else 1 if a < 0 else 0": "1", "abs(e)": "e"}
    getter, items = dls.train.dataset.getters[0], [loader.dataset.items for loader in (dls.train, dls.valid) if loader]
    if not any(str(get_value(getter, item)).lower().endswith((".tif", ".tiff")) for each in items for item in each):
        facts["isinstance(image, TiffImageFile)"] = "False"
    if getattr(dls.block, "get_items", None) is get_image_files:
        facts |= {"IMAGE_EXTENSIONS is not None": "True", "as_names(IMAGE_EXTENSIONS)": "IMAGE_EXTENSIONS"}
        facts["as_names(())"] = "()"
    return facts


def picture_texts(path: ImagePath) -> tuple[dict[str, str], dict[str, tuple[str, ...]], dict[str, str]]:
    """What stands in the place of expressions, the methods that no one calls, and settled fields of `ColourMap`."""
    texts = REFLECTING if keeps_reflecting(path) else {}
    methods = ("apply", "as_uint8", "table_and_matrix")
    last = last_colours(path)
    if last is None:
        return texts, {"ColourMap": methods}, {}
    return texts, {"ColourMap": (*methods, "normalised")}, {"mean": str(last[0]), "std": str(last[1])}


def keeps_reflecting(path: ImagePath) -> bool:
    """Whether nothing but mirror images ever lies outside a photo."""
    transforms = [t for t in path.stages[0].fused if acts_by(t, "place")]
    fits = [isinstance(t, RandomResizedCrop | Flip | Dihedral) or unlike_padding(t) for t in transforms]
    return all(fits)


def unlike_padding(transform: Any) -> bool:
    if isinstance(transform, Resize):
        return transform.method != "pad"
    return type(transform) in OWN_PLACES and getattr(transform, "pad_mode", "") == "reflection"


def without_fields(text: str, settled: Mapping[str, str]) -> str:
    """A data class whose fields of these names are constants: the fields go, what reads them is spelled out."""
    source = Text(text)
    node = source.tree.body[0]
    assert isinstance(node, ast.ClassDef)
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and getattr(statement.target, "id", "") in settled:
            source.remove_lines(statement)
    for call in [n for n in ast.walk(node) if isinstance(n, ast.Call) and dotted(n.func) == node.name]:
        kept = [source.source(a) for a in call.args if dotted(a).removeprefix("self.") not in settled]
        source.change_node(call, f"{node.name}({', '.join(kept)})")
    for read in ast.walk(node):
        if isinstance(read, ast.Attribute) and dotted(read).startswith("self.") and read.attr in settled:
            source.change_node(read, settled[read.attr])
    return source.changed()
