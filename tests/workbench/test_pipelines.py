"""The transforms as *Augment* shows them: the pictures are training's own, the settings bounded, the code true."""

import base64
import dataclasses
import io
import json
import re
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("fastapi", reason="the workbench needs satsuma[workbench]")

import satsuma as sm
from satsuma.data.show import one_sample_many_ways, undone
from satsuma.workbench.pipelines import (
    KINDS,
    SETTINGS,
    Step,
    built,
    code_of,
    many_ways,
    setting_of,
    shown,
    steps_of,
    transforms_of,
    usual_values,
)
from satsuma.workbench.texts import texts_of

SIDE = 17


def darken(x: torch.Tensor) -> torch.Tensor:
    """A batch transform of another library."""
    return x * 0.5


@pytest.fixture(scope="module")
def dls() -> sm.DataLoaders:
    """12 pictures of 23 by 31 pixels, with each kind of transform that there may be."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (23, 31, 3), np.uint8) for _ in range(12)]
    tfms = [*sm.aug_transforms(size=SIDE, max_rotate=200.0), sm.RandomErasing(fill=7), sm.Normalize(), darken]
    return sm.ImageDataLoaders.from_lists(
        pictures, list("ab") * 6, item_tfms=sm.Resize((29, 37)), batch_tfms=tfms, bs=4, workers=0
    )


def test_the_pictures_are_those_that_training_sees(dls: sm.DataLoaders) -> None:
    """Draw by draw, of the sample that comes first in epoch 0, with normalising undone."""
    assert dls.block is not None
    place = dls.train.indices(0, 0)[0]
    seen = one_sample_many_ways(dls.train, 5, 0)[0]
    found = many_ways(dls, dls.block.item_tfms, dls.block.batch_tfms, place, range(5))
    assert len(found) == 6
    for k in range(5):
        np.testing.assert_array_equal(found[1 + k], shown(undone(dls, seen[k])))
    assert len({picture.tobytes() for picture in found}) == 6


def test_the_first_picture_is_validations(dls: sm.DataLoaders) -> None:
    assert dls.block is not None
    plain = many_ways(dls, dls.block.item_tfms, dls.block.batch_tfms, 3, range(1))[0]
    held = dls.train.new(augment=False, shuffle=False).one_batch()[0][3]
    np.testing.assert_array_equal(plain, shown(undone(dls, held)))


def test_what_is_set_changes_the_pictures_and_nothing_else(dls: sm.DataLoaders) -> None:
    steps = steps_of(dls)
    pictures = {}
    for size in (11, 13):
        changed = [
            dataclasses.replace(s, values={**s.values, "size": size}) if s.kind == "Resize" else s for s in steps
        ]
        pictures[size] = many_ways(dls, *transforms_of(changed, dls), 0, range(2))
        assert {picture.shape for picture in pictures[size]} == {(size, size, 3)}
    off = [dataclasses.replace(s, on=not s.kind) for s in steps]
    same = many_ways(dls, *transforms_of(off, dls), 0, range(3))
    np.testing.assert_array_equal(same[0], same[2])


def test_the_steps_are_the_datas_own(dls: sm.DataLoaders) -> None:
    assert dls.block is not None
    item_tfms, batch_tfms = transforms_of(steps_of(dls), dls)
    assert item_tfms == dls.block.item_tfms
    assert batch_tfms == dls.block.batch_tfms
    asked = json.loads(json.dumps([dataclasses.asdict(step) for step in steps_of(dls)]))  # as they come back
    assert transforms_of([Step(**step) for step in asked], dls) == (item_tfms, batch_tfms)


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_of_every_transform_can_be_shown_and_built(dls: sm.DataLoaders, kind: str) -> None:
    usual = usual_values(kind)
    assert set(usual) == {field.name for field in dataclasses.fields(KINDS[kind])}
    lows, highs = dict(usual), dict(usual)
    for name, value in usual.items():
        setting = setting_of(kind, name, value)
        if setting.form in ("number", "whole") and not isinstance(value, list):
            lows[name], highs[name] = setting.low, setting.high
            assert setting.low <= value <= setting.high
        assert setting.form != "choice" or value in setting.choices
    for values in (usual, lows, highs):
        step = Step(where="batch", kind=kind, values=values)
        tfms = (built(step, dls, []),)
        assert many_ways(dls, (sm.Resize(16),), tfms, 0, range(2))[1].ndim == 3


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        *(("Resize", {"size": 100_000}), ("Resize", {"size": 0}), ("Resize", {"size": [16, 10**6]})),
        *(
            ("Resize", {"size": 16.5}),
            ("Resize", {"method": "x"}),
            ("Resize", {"size": "16"}),
            ("Resize", {"size": None}),
        ),
        *(("Rotate", {"p": 2}), ("Rotate", {"p": True}), ("Rotate", {"max_deg": -1}), ("Rotate", {"max_deg": [1, 2]})),
        *(("Rotate", {"pad_mode": 3}), ("Warp", {"symmetric": 1}), ("CoarseDropout", {"max_holes": 10**9})),
        *(("RandomBlur", {"max_sigma": 99.0}), ("Zoom", {"min_zoom": 3.0}), ("Rotate", {"more": 1}), ("Nothing", {})),
        *(("RandomErasing", {"fill": 300}), ("RandomResizedCrop", {"ratio": [2, 1]}), ("", {})),
    ],
)
def test_what_is_out_of_bounds_is_refused(dls: sm.DataLoaders, kind: str, changed: dict[str, Any]) -> None:
    values = {**(usual_values(kind) if kind in KINDS else {}), **changed}
    with pytest.raises(ValueError, match=r"\w"):
        built(Step(where="batch", kind=kind, values=values, own=99), dls, steps_of(dls))


def test_values_that_the_data_set_are_in_bounds(dls: sm.DataLoaders) -> None:
    """The data turn by up to 200 degrees, where the page goes to 180."""
    rotate = next(step for step in steps_of(dls) if step.kind == "Rotate")
    assert built(rotate, dls, steps_of(dls)) == sm.Rotate(max_deg=200.0, p=0.75)
    assert setting_of("Rotate", "max_deg", 200.0).high == 200
    assert setting_of("RandomErasing", "fill", 7).form == "whole"


def test_the_code_builds_the_same_transforms(dls: sm.DataLoaders) -> None:
    """Read back by its own words: each line is a call of a public name with plain values."""
    assert dls.block is not None
    code = code_of(dls.block.item_tfms, dls.block.batch_tfms)
    scope: dict[str, Any] = {}
    exec(compile(code, "pipeline", "exec"), scope)
    assert tuple(scope["item_tfms"]) == dls.block.item_tfms
    found = tuple(scope["batch_tfms"])
    assert found[:-1] == dls.block.batch_tfms[: len(found) - 1]
    assert found[-1] == sm.Normalize()  # to be fitted anew
    assert "# and your own: darken" in code
    assert code_of((), ()).count("= []") == 2


def test_every_transform_and_setting_has_words() -> None:
    words = texts_of("en")
    assert [kind for kind in KINDS if f"tfm_{kind}" not in words] == []
    pairs = {"size", "ratio"}
    names = {name.split(".")[-1] for name in SETTINGS}
    assert [n for n in names if f"set_{n}" not in words and n not in pairs] == []
    assert [n for n in pairs if f"set_{n}_0" not in words or f"set_{n}_1" not in words] == []
    choices = {choice for setting in SETTINGS.values() for choice in setting.choices}
    assert [choice for choice in choices if f"set_choice_{choice}" not in words] == []


def test_data_that_are_no_images_have_no_steps() -> None:
    arrays = sm.DataLoaders.from_arrays(np.zeros((8, 3), np.float32), [0, 1] * 4)
    with pytest.raises(ValueError, match="these samples are none"):
        steps_of(arrays)


# --- the page ---------------------------------------------------------------------------------------------------------

HERE = "/open/shapes-1/augment"


def test_the_page_holds_the_datas_steps_and_answers_with_pictures(browser: Any) -> None:
    text = browser.page(HERE)
    held = json.loads(re.search(r'id="texts">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    assert [step["label"].partition("(")[0] for step in held["steps"] if step["fixed"]] == ["Normalize"]
    steps = [{key: step[key] for key in ("where", "kind", "on", "own", "values")} for step in held["steps"]]
    answer = browser.sent(HERE, {"place": 2, "first": 5, "steps": steps})
    found = answer.json()
    assert len(found["pictures"]) == 12
    assert all(Image.open(io.BytesIO(base64.b64decode(p))).format == "JPEG" for p in found["pictures"])
    assert found["code"].startswith("import satsuma as sm\n")
    assert found["label"] == browser.bench.runs()[0].items(0).labels[2]
    rotate = {"where": "batch", "kind": "Rotate", "on": True, "own": None, "values": usual_values("Rotate")}
    turned = browser.sent(HERE, {"place": 2, "first": 5, "steps": [*steps, rotate]}).json()
    assert "sm.Rotate()," in turned["code"]
    assert turned["pictures"][0] == found["pictures"][0]
    assert turned["pictures"][1:] != found["pictures"][1:]


def test_settings_that_do_not_work_are_said_in_words(browser: Any) -> None:
    browser.page(HERE)
    bad = {"where": "batch", "kind": "Zoom", "values": {**usual_values("Zoom"), "min_zoom": 3}}
    answer = browser.send(HERE, {"place": 0, "steps": [bad]})
    assert answer.status_code == 422
    assert "min_zoom" in answer.json()["error"]
    assert browser.send(HERE, {"place": 45, "steps": []}).status_code == 404
