"""`vision_learner` on small pictures, with weights made for the test."""

import os
import subprocess
import sys
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import satsuma as sm
from satsuma.vision.lighting import LUMA
from satsuma.vision.normalize import IMAGENET_MEAN, IMAGENET_STD

pytestmark = pytest.mark.usefixtures("no_scripts")

SIZE = 40


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bilder")
    for i in range(24):
        pixels = np.random.default_rng(i).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
        pixels[..., i % 3] //= 4
        place = folder / ["red", "green", "blue"][i % 3] / f"{i}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(place)
    return folder


@pytest.fixture(scope="module")
def squeezed(tmp_path_factory):
    """A file of SqueezeNet weights."""
    torch.manual_seed(5)
    file = tmp_path_factory.mktemp("weights") / "squeezenet1_1-test.safetensors"
    save_file({k: v.contiguous() for k, v in sm.squeezenet1_1().state_dict().items()}, file)
    return file


@pytest.fixture
def data(pictures):
    return sm.ImageDataLoaders.from_folder(pictures, bs=6)


def make(data, weights, **settings):
    return sm.vision_learner(data, "squeezenet1_1", weights=weights, progress=False, **settings)


def test_body_has_the_weights_and_is_frozen_and_the_head_is_new(data, squeezed):
    learn = make(data, squeezed, metrics=sm.error_rate)
    torch.manual_seed(5)
    theirs = sm.squeezenet1_1().state_dict()
    for name, value in learn.model.body.state_dict().items():
        assert torch.equal(value, theirs[name])
    assert not any(p.requires_grad for p in learn.model.body.parameters())
    assert all(p.requires_grad for p in learn.model.head.parameters())
    assert learn.model(torch.zeros(2, 3, SIZE, SIZE)).shape == (2, 3)
    assert learn.frozen_to == 2
    assert learn.calls == []
    groups = learn.make_run(slice(1e-4, 1e-2)).optimizer.param_groups
    assert {group["layer_group"] for group in groups} == {2}
    learn.unfreeze()
    groups = learn.make_run(slice(1e-4, 1e-2)).optimizer.param_groups
    assert [group["base_lr"] for group in groups] == pytest.approx([1e-4, 1e-4, 1e-3, 1e-3, 1e-2, 1e-2])


def test_the_headline_says_what_was_done(data, squeezed):
    learn = make(data, squeezed, precision="float32", device="cpu")
    assert learn.headline().startswith("squeezenet1_1 pretrained (squeezenet1_1-test.safetensors), ")
    assert "; 2 of 3 layer groups frozen; " in learn.headline()
    scratch = sm.vision_learner(data, sm.squeezenet1_1, pretrained=False, progress=False)
    assert scratch.headline().startswith("squeezenet1_1 from scratch, ")
    assert "frozen" not in scratch.headline()


def test_from_scratch_everything_learns_under_the_seed(data, squeezed):
    first, second = (sm.vision_learner(data, "squeezenet1_1", pretrained=False, progress=False) for _ in range(2))
    assert all(p.requires_grad for p in first.model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True))
    assert first.dls is data  # as the loaders were
    assert first.normalize is None


def normalize_of(learn):
    return [t for t in learn.dls.block.batch_tfms if isinstance(t, sm.Normalize)]


def test_normalisation_follows_the_weights(pictures, data, squeezed):
    imagenet = sm.Normalize(mean=IMAGENET_MEAN, std=IMAGENET_STD)
    assert normalize_of(make(data, squeezed)) == [imagenet]
    assert normalize_of(make(data, squeezed, normalize=False)) == list(data.block.batch_tfms)
    plain = sm.ImageDataLoaders.from_folder(pictures, bs=6, batch_tfms=[])
    x = make(plain, squeezed).dls.valid.one_batch()[0]
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    torch.testing.assert_close(x, (plain.valid.one_batch()[0] - mean) / std, rtol=1e-4, atol=1e-5)
    own = sm.ImageDataLoaders.from_folder(pictures, bs=6, batch_tfms=sm.Normalize(mean=(0.5,) * 3, std=(0.2,) * 3))
    assert make(own, squeezed).dls is own


class Tiny(nn.Module):
    """A network as timm makes them, whose weights are on no hub."""

    num_features, pretrained_cfg = 5, MappingProxyType({"classifier": "fc"})

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)

    def forward_features(self, x):
        return self.norm(self.conv(x)).relu()


def test_weights_from_a_file_for_a_network_of_timm_that_has_none_on_the_hub(data, tmp_path, monkeypatch):
    config = SimpleNamespace(hf_hub_id=None, hf_hub_filename=None, mean=(0.4, 0.5, 0.6), std=(0.3, 0.2, 0.1))
    timm = SimpleNamespace(
        is_model=["tiny", "bare"].__contains__,
        create_model=lambda name, **settings: Tiny(),
        get_pretrained_cfg={"tiny": config}.get,
    )
    monkeypatch.setitem(sys.modules, "timm", timm)
    network, file = Tiny(), tmp_path / "tiny.safetensors"
    save_file(network.state_dict(), file)
    learn = sm.vision_learner(data, "timm:tiny", weights=file, progress=False)
    assert torch.equal(learn.model.body.net.conv.weight.cpu(), network.conv.weight)
    assert normalize_of(learn) == [sm.Normalize(mean=(0.4, 0.5, 0.6), std=(0.3, 0.2, 0.1))]
    bare = sm.vision_learner(data, "timm:bare", weights=file, progress=False)
    assert normalize_of(bare) == [sm.Normalize(mean=IMAGENET_MEAN, std=IMAGENET_STD)]
    with pytest.raises(sm.WeightsError, match="timm:tiny: no safetensors file of its weights is known on the hub"):
        sm.vision_learner(data, "timm:tiny", progress=False)


def test_grey_pictures(pictures, squeezed):
    learn = make(sm.ImageDataLoaders.from_folder(pictures, bs=6, channels=1), squeezed)
    (normalize,) = normalize_of(learn)
    assert normalize.mean == pytest.approx((sum(a * b for a, b in zip(LUMA, IMAGENET_MEAN, strict=True)),))
    assert learn.model(torch.zeros(2, 1, SIZE, SIZE)).shape == (2, 3)
    learn.fine_tune(1)


def test_new_loaders_are_normalised_alike(pictures, data, squeezed):
    learn = make(data, squeezed)
    learn.fine_tune(1)
    learn.dls = sm.ImageDataLoaders.from_folder(pictures, bs=6, size=56)
    assert normalize_of(learn) == [sm.Normalize(mean=IMAGENET_MEAN, std=IMAGENET_STD)]
    assert len(learn.fit(1)) == 1


def test_a_frozen_body_stays_as_it_is_and_fine_tuning_moves_it(data, squeezed):
    learn = make(data, squeezed)
    before = {k: v.clone() for k, v in learn.model.body.state_dict().items()}
    learn.fit(1)
    assert all(torch.equal(v, before[k]) for k, v in learn.model.body.state_dict().items())
    learn.fine_tune(1)
    assert not all(torch.equal(v, before[k]) for k, v in learn.model.body.state_dict().items())


@pytest.mark.parametrize("policy", ["train", "frozen"])
def test_batch_normalisation_while_frozen(data, tmp_path, policy):
    save_file({k: v.contiguous() for k, v in sm.resnet18().state_dict().items()}, tmp_path / "w.safetensors")
    learn = sm.vision_learner(data, sm.resnet18, weights=tmp_path / "w.safetensors", batch_norm=policy, progress=False)
    body = learn.model.body
    norms = {k for k, m in body.named_modules() if isinstance(m, nn.BatchNorm2d)}
    before = {k: v.clone() for k, v in body.state_dict().items()}
    learn.fit(1)
    changed = {k.rpartition(".")[0] for k, v in body.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == (norms if policy == "train" else set())


def test_regression_within_a_range(pictures, squeezed):
    files = sorted(pictures.rglob("*.png"))
    data = sm.ImageDataLoaders.from_lists(files, [float(i) for i in range(24)], y_block=sm.RegressionBlock(), bs=6)
    learn = make(data, squeezed, y_range=(-1, 25), metrics=sm.rmse)
    learn.fine_tune(1)
    assert learn.loss_func is sm.mse
    preds, _ = learn.get_preds()
    assert preds.shape[1] == 1
    assert -1 < float(preds.min()) <= float(preds.max()) < 25


def test_points(pictures, squeezed):
    block = sm.DataBlock(
        blocks=(sm.ImageBlock, sm.PointBlock(n=2)),
        get_items=sm.get_image_files,
        get_y=corners,
        item_tfms=sm.Resize(32),
    )
    learn = make(block.dataloaders(pictures, bs=6), squeezed, y_range=(-1, 1))
    learn.fine_tune(1)
    assert learn.loss_func is sm.mse
    assert learn.get_preds()[0].shape[1] == 4


def corners(file):
    return [[10.0, 5.0], [30.0, 20.0]]


def tags(file):
    """What is bright, and nothing for every eighth."""
    name = file.parent.name
    return [] if int(file.stem) % 8 == 0 else [c for c in ("blue", "green", "red") if c != name]


def test_many_labels_from_pictures_to_the_report(pictures, squeezed, tmp_path):
    block = sm.DataBlock(
        blocks=(sm.ImageBlock, sm.MultiCategoryBlock(threshold=0.4)),
        get_items=sm.get_image_files,
        get_y=tags,
        batch_tfms=sm.Normalize(),
    )
    metrics = [sm.accuracy_multi, sm.f1_multi, sm.mean_average_precision]
    learn = make(block.dataloaders(pictures, bs=6), squeezed, metrics=metrics)
    learn.fine_tune(2)
    assert learn.loss_func is sm.binary_cross_entropy
    assert learn.dls.vocab == ("blue", "green", "red")
    preds, targets, decided, losses = learn.get_preds(with_decoded=True, with_loss=True)
    assert preds.shape == targets.shape == (5, 3)
    assert torch.equal(decided, preds >= 0.4)
    assert losses.mean().item() == pytest.approx(learn.validate().loss, rel=1e-4)
    report = learn.label_report()
    assert [row.label for row in report.rows] == ["blue", "green", "red"]
    assert [row.items for row in report.rows] == targets.sum(0).tolist()
    assert [row.said for row in report.rows] == decided.sum(0).tolist()

    files = learn.dls.valid.dataset.items
    answer = learn.predict(files[0])
    assert answer.label == [name for name, said in zip(learn.dls.vocab, decided[0].tolist(), strict=True) if said]
    titles = [axes.get_title() for axes in learn.show_results(nrows=1, ncols=5).axes]
    for file, title in zip(files, titles, strict=True):
        assert title.startswith(f"is {', '.join(tags(file)) or '(none)'}\nsaid ")
    assert learn.report(tmp_path / "report.html").exists()
    again = sm.load_learner(learn.export(tmp_path / "m.safetensors"))
    assert again.blocks[1].threshold == 0.4
    assert again.predict(files[0]).label == answer.label
    assert torch.allclose(again.predict(files[0]).probabilities, answer.probabilities, atol=1e-2)


def test_a_report_of_labels_needs_labels(data, squeezed):
    with pytest.raises(ValueError, match="the data has one CategoryBlock as its target; expected a MultiCategoryBlock"):
        make(data, squeezed).label_report()


def test_too_few_outputs_for_the_labels_are_refused(pictures):
    block = sm.DataBlock(blocks=(sm.ImageBlock, sm.MultiCategoryBlock), get_items=sm.get_image_files, get_y=tags)
    learn = sm.Learner(block.dataloaders(pictures, bs=6), sm.small_cnn(3, 2), progress=False)
    with pytest.raises(ValueError, match=r"the model gives \[6 2\] but the data has 3 classes"):
        learn.fit(1)


def test_recipe_py_makes_the_same_learner(data, squeezed, tmp_path):
    learn = make(
        data, squeezed, dropout=0.3, hidden=64, metrics=sm.accuracy, precision="float32", run_dir=tmp_path / "run"
    )
    learn.fine_tune(1, 0.01)
    code = (tmp_path / "run" / "recipe.py").read_text()
    assert "learn = sm.vision_learner(\n    data,\n    'squeezenet1_1',\n" in code.replace('"', "'")
    assert "hidden=64" in code
    code += "\nimport json; print('VALUES', json.dumps(learn.recorder.values))\n"
    code = code.replace("run_dir=", "path=")
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("VALUES")[1].strip() == str(learn.recorder.values)


@pytest.mark.parametrize("use", [lambda learn: learn.fine_tune(1), lambda learn: learn.precompute()])
def test_pictures_too_small_for_the_network_are_named_with_the_least_size(pictures, squeezed, use):
    learn = make(sm.ImageDataLoaders.from_folder(pictures, bs=6, size=16), squeezed)
    with pytest.raises(ValueError, match=r"squeezenet1_1 needs pictures of at least 17×17 pixels, got 16×16: .*Resize"):
        use(learn)


def test_what_does_not_fit_is_refused(data, squeezed, tmp_path):
    with pytest.raises(ValueError, match=r"got Linear.*for a model of yours use Learner"):
        sm.vision_learner(data, nn.Linear)
    with pytest.raises(sm.WeightsError, match="did you mean 'squeezenet1_1'"):
        sm.vision_learner(data, "squeezenet")
    with pytest.raises(sm.WeightsError, match="small_cnn has no trained weights"):
        sm.vision_learner(data, "small_cnn")
    with pytest.raises(ValueError, match="these weights do not fit the body of resnet18"):
        sm.vision_learner(data, "resnet18", weights=squeezed, progress=False)
    numbers = sm.DataLoaders.from_arrays(torch.zeros(9, 5), torch.zeros(9))
    with pytest.raises(ValueError, match="the loaders' samples are no images"):
        sm.vision_learner(numbers, "resnet18")
    with pytest.raises(TypeError, match="dls must be DataLoaders, got str"):
        sm.vision_learner("pets", "resnet18")
    with pytest.raises(TypeError, match="did you mean 'pretrained'"):
        sm.vision_learner(data, "resnet18", pretraind=False)


def test_arrays_of_pixels_are_normalised_too(squeezed):
    x = torch.randint(0, 256, (20, 3, SIZE, SIZE), dtype=torch.uint8)
    plain = sm.DataLoaders.from_arrays(x, [i % 2 for i in range(20)], bs=4)
    learn = make(plain, squeezed)
    assert len(learn.fine_tune(1)) == 2
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    for loader in (learn.dls.valid, learn.dls.valid.new(batch_size=3)):
        torch.testing.assert_close(loader.one_batch()[0][:3], (plain.valid.one_batch()[0][:3] - mean) / std)
    answer = learn.predict(plain.valid.dataset.tensors[0][0])
    torch.testing.assert_close(answer.probabilities, learn.get_preds()[0][0], rtol=1e-2, atol=1e-2)
    floats = sm.DataLoaders.from_arrays(x / 255, [i % 2 for i in range(20)], bs=4)  # may be normalised already
    assert make(floats, squeezed).dls is floats


def two_groups(model):
    return [model.body, model.head]


def test_ones_own_splitter_is_not_lost(data, squeezed, tmp_path):
    learn = make(data, squeezed, splitter=two_groups, run_dir=tmp_path)
    assert learn.frozen_to == 1
    learn.fit(1)
    code = (tmp_path / "recipe.py").read_text()
    assert "    splitter=..." in code
    assert "two_groups" in code


def test_head_epochs_on_features_then_everything(data, squeezed):
    learn = make(data, squeezed, metrics=sm.error_rate, precision="float32")
    pre = learn.precompute()
    rows = pre.fit_one_cycle(3, 5e-3)
    assert rows[-1].valid_loss == pytest.approx(learn.validate().loss, rel=1e-4)
    assert pre.dls.train.one_batch()[0].shape == (6, 1024)
    assert len(learn.fine_tune(1, freeze_epochs=0)) == 1
    learn.predict(data.valid.dataset.items[0])


def test_weights_and_no_weights_exclude_each_other(data, squeezed):
    with pytest.raises(ValueError, match="and pretrained=False exclude each other"):
        make(data, squeezed, pretrained=False)
    with pytest.raises(TypeError, match="weights is a file or a URL, or None; got 3"):
        make(data, 3)


def test_a_normalize_among_the_item_transforms_is_the_only_one(pictures, squeezed):
    halves = sm.Normalize(mean=(0.5,) * 3, std=(0.5,) * 3)
    data = sm.ImageDataLoaders.from_folder(pictures, bs=6, item_tfms=halves, batch_tfms=())
    learn = make(data, squeezed)
    assert torch.equal(learn.dls.valid.one_batch()[0], data.valid.one_batch()[0])


def test_views_that_move_are_not_averaged_for_masks(pictures, squeezed):
    def learner(item_tfms):
        block = sm.DataBlock(
            blocks=(sm.ImageBlock, sm.PointBlock),
            get_items=sm.get_image_files,
            get_y=lambda path: [(1, 2)],
            item_tfms=item_tfms,
        )
        return make(block.dataloaders(pictures, bs=6), squeezed)

    for moving in (sm.Flip(), sm.Resize(32)):
        with pytest.raises(ValueError, match="answers for a PointBlock are about places in it"):
            learner(moving).tta()
    still = learner([sm.Resize(32, method="squish"), sm.Brightness()])
    assert still.tta(n=1).views.shape[0] == 2


def test_views_need_transforms_that_draw(pictures, squeezed):
    data = sm.ImageDataLoaders.from_folder(pictures, bs=6, item_tfms=sm.Resize(32, method="squish"))
    learn = make(data, squeezed)
    for attempt in (learn.tta, lambda: learn.precompute(views=2)):
        with pytest.raises(ValueError, match="have no random transforms"):
            attempt()
