"""Other loaders for a learner of pictures: of other channels, or normalised otherwise than the model has learnt."""

import numpy as np
import pytest
from PIL import Image

import satsuma as sm
from satsuma.vision.normalize import IMAGENET_MEAN, IMAGENET_STD


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bilder")
    for i in range(12):
        place = folder / "ab"[i % 2] / f"{i}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (40, 40, 3), np.uint8)).save(place)
    return folder


@pytest.fixture
def load(pictures):
    def loaders(**options):
        return sm.ImageDataLoaders.from_folder(pictures, bs=4, **options)

    return loaders


def learner_of(data):
    learn = sm.vision_learner(data, "squeezenet1_1", pretrained=False, progress=False)
    learn.normalize = sm.Normalize(mean=IMAGENET_MEAN, std=IMAGENET_STD)  # as with trained weights
    return learn


def test_pictures_of_other_channels_are_refused(load):
    learn = learner_of(load(batch_tfms=()))
    with pytest.raises(ValueError, match="the new images have channels=1, the model has learnt from channels=3"):
        learn.dls = load(channels=1)


def test_another_given_normalize_is_refused_and_the_same_is_not(load):
    learn = learner_of(load(batch_tfms=sm.Normalize(mean=IMAGENET_MEAN, std=IMAGENET_STD)))
    halves = sm.Normalize(mean=(0.5,) * 3, std=(0.5,) * 3)
    for other in ({"batch_tfms": halves}, {"item_tfms": halves, "batch_tfms": ()}):
        with pytest.raises(ValueError, match=r"would be normalised by .*0\.5.*the model has learnt from .*0\.485"):
            learn.dls = load(**other)
    for same in (load(batch_tfms=sm.Normalize(mean=IMAGENET_MEAN, std=IMAGENET_STD)), load(size=32)):
        learn.dls = same
