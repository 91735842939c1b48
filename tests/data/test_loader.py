import string
import threading

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from satsuma.data.arrays import ArrayDataset
from satsuma.data.in_memory import InMemory
from satsuma.data.loader import DataLoader, Streamed
from satsuma.data.transforms import BatchSteps, Steps, make_steps
from satsuma.vision.geometry import Flip


class Squares:
    """A data set that only knows its length and how to index."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return torch.tensor([i, i * i]), i


class Noisy(Squares):
    """One whose samples draw from the generator they are given."""

    random = True

    def sample(self, i, rng):
        return i, -1.0 if rng is None else rng.random()


class NeverAsked(TensorDataset):
    """Fails if it is read item by item."""

    def __getitem__(self, i):
        raise AssertionError("read item by item")


class Faulty(Squares):
    def __getitem__(self, i):
        if i == 5:
            raise OSError("pets/rex_5.jpg is torn")
        return i


def plain(batches):
    """Batches as lists, to compare."""
    return [[p.tolist() if isinstance(p, torch.Tensor) else p for p in b] if isinstance(b, tuple) else b.tolist()
            for b in batches]  # fmt: skip


# the lesson's numbers


def test_fifteen_numbers_in_threes():
    batches = list(DataLoader(range(15), batch_size=5, shuffle=True))
    assert [b.shape for b in batches] == [(5,)] * 3
    assert sorted(torch.cat(batches).tolist()) == list(range(15))


def test_the_alphabet_in_batches_of_six():
    batches = list(DataLoader(list(enumerate(string.ascii_lowercase)), batch_size=6, shuffle=True))
    assert [len(x) for x, _ in batches] == [6, 6, 6, 6, 2]
    for x, y in batches:
        assert x.dtype == torch.int64
        assert y == tuple(string.ascii_lowercase[i] for i in x)


def test_digits_as_vectors():
    dset = list(zip(torch.rand(300, 784), torch.ones(300, 1), strict=True))
    assert [t.shape for t in dset[0]] == [(784,), (1,)]
    x, y = DataLoader(dset, batch_size=256).one_batch()
    assert x.shape == (256, 784)
    assert y.shape == (256, 1)


# order: a function of seed and epoch


@pytest.mark.parametrize("dataset", [Squares(23), TensorDataset(torch.arange(23), torch.arange(23) ** 2)])
def test_an_epoch_repeats_and_the_next_differs(dataset):
    loader = DataLoader(dataset, 5, shuffle=True, seed=3)
    assert plain(loader.epoch(2)) == plain(loader.epoch(2)) == plain(DataLoader(dataset, 5, True, seed=3).epoch(2))
    assert plain(loader.epoch(2)) != plain(loader.epoch(1))
    assert plain(loader.epoch(2)) != plain(DataLoader(dataset, 5, True, seed=2).epoch(2))


def test_memory_and_stream_give_the_same_batches():
    i = torch.arange(23)
    memory = TensorDataset(torch.stack((i, i * i), 1), i)
    streamed, indexed = DataLoader(Squares(23), 5, True), DataLoader(memory, 5, True)
    assert isinstance(streamed.batches, Streamed)
    assert isinstance(indexed.batches, InMemory)
    assert plain(streamed.epoch(3)) == plain(indexed.epoch(3))


@pytest.mark.parametrize("workers", [1, 3, 7])
def test_the_number_of_workers_changes_nothing(workers):
    none, some = (DataLoader(Noisy(23), 5, True, workers=w) for w in (0, workers))
    assert plain(none.epoch(1)) == plain(some.epoch(1))
    assert plain(none.epoch(1, start=2)) == plain(some.epoch(1, start=2))


@pytest.mark.parametrize("dataset", [Noisy(23), torch.arange(23)])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
def test_an_epoch_resumes_in_the_middle(dataset, shuffle, drop_last):
    loader = DataLoader(dataset, 5, shuffle, drop_last=drop_last)
    whole = plain(loader.epoch(2))
    assert len(whole) == len(loader) == (4 if drop_last else 5)
    for start in range(len(whole) + 1):
        assert plain(loader.epoch(2, start=start)) == whole[start:]


def test_plain_iteration_goes_through_the_epochs():
    loader = DataLoader(range(23), 5, shuffle=True)
    assert plain(loader) == plain(loader.epoch(0))
    loader.one_batch()  # counts for nothing
    assert plain(loader) == plain(loader.epoch(1))
    assert loader.passes == 2


def test_without_shuffling_the_order_is_the_data_sets():
    assert torch.cat(list(DataLoader(range(7), 3))).tolist() == list(range(7))


def test_indices_tell_which_samples_a_batch_holds():
    loader = DataLoader(range(23), 5, shuffle=True)
    assert loader.indices(2, 4) == list(loader.epoch(2))[4].tolist()
    assert loader.names([3]) == ["sample 3"]


# randomness: a function of seed, epoch and index


def test_a_samples_draw_depends_on_seed_epoch_and_index_alone():
    draws = {}
    for size, workers in ((5, 0), (7, 3)):
        for x, y in DataLoader(Noisy(23), size, True, workers=workers).epoch(2):
            for i, draw in zip(x.tolist(), y.tolist(), strict=True):
                assert draws.setdefault(i, draw) == draw
    assert len(set(draws.values())) == 23
    other = dict(zip(*plain(DataLoader(Noisy(23), 23, True).epoch(3))[0], strict=True))
    assert all(other[i] != draws[i] for i in draws)


def test_validation_draws_nothing():
    assert plain(DataLoader(Noisy(2), 2)) == [[[0, 1], [-1, -1]]]
    assert plain(DataLoader(Noisy(2), 2, augment=True)) != plain(DataLoader(Noisy(2), 2))


def test_batch_transforms_repeat_and_resume():
    steps = BatchSteps((make_steps(Flip()), Steps((), ())))
    loader = DataLoader((torch.rand(23, 1, 2, 3), torch.arange(23)), 5, True, batch_steps=steps)
    whole = plain(loader.epoch(1))
    assert plain(loader.epoch(1, start=3)) == whole[3:]
    plain_loader = DataLoader(loader.dataset, 5, True)
    assert [y for _, y in whole] == [y for _, y in plain(plain_loader.epoch(1))]
    assert whole != plain(plain_loader.epoch(1))
    calm = loader.new(augment=False)
    assert plain(calm.epoch(1)) == plain(plain_loader.epoch(1))


# data in memory


@pytest.mark.parametrize("shuffle", [False, True])
def test_arrays_are_never_read_item_by_item(shuffle):
    loader = DataLoader(NeverAsked(torch.arange(7), torch.zeros(7, 2)), 3, shuffle)
    assert [len(x) for x, _ in loader] == [3, 3, 1]


@pytest.mark.parametrize(
    "dataset",
    [
        ArrayDataset((torch.arange(5), torch.zeros(5, 2))),
        (np.arange(5), np.zeros((5, 2))),
        [(i, torch.zeros(2)) for i in range(5)],
        [(np.int64(i), np.zeros(2)) for i in range(5)],
    ],
)
def test_what_counts_as_memory(dataset):
    loader = DataLoader(dataset, 3)
    assert isinstance(loader.batches, InMemory)
    x, y = loader.one_batch()
    assert x.tolist() == [0, 1, 2]
    assert (y.shape, y.dtype) == ((3, 2), torch.float32)
    assert len(loader.dataset) == 5


def test_bare_arrays_give_bare_batches():
    assert [b.tolist() for b in DataLoader(np.arange(5), 3)] == [[0, 1, 2], [3, 4]]
    assert [b.tolist() for b in DataLoader(torch.arange(5), 3).to("cpu")] == [[0, 1, 2], [3, 4]]


def test_images_of_different_sizes_are_streamed_and_refused_when_stacked():
    loader = DataLoader([(torch.zeros(3, 2, 5), 0), (torch.zeros(3, 5, 2), 1)], 2)
    assert isinstance(loader.batches, Streamed)
    with pytest.raises(ValueError, match=r"image 0 is \[3 2 5\], image 1 is \[3 5 2\]"):
        next(iter(loader))


def test_a_loader_moves_to_a_device():
    loader = DataLoader((torch.zeros(5, 2), torch.arange(5)), 3, True, seed=7).to("meta")
    x, y = loader.one_batch()
    assert x.device.type == y.device.type == "meta"
    assert loader.seed == 7


# refusals


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"the data set is empty \(0 samples\)"):
        DataLoader([])
    with pytest.raises(ValueError, match="batch_size is a whole number, 1 or more, got 0"):
        DataLoader([1], 0)
    with pytest.raises(TypeError, match=r"got 2.5"):
        DataLoader([1], 2.5)
    with pytest.raises(ValueError, match="workers is a whole number, 0 or more"):
        DataLoader([1], workers=-1)
    with pytest.raises(TypeError, match=r"__len__ and __getitem__, got generator. Use list"):
        DataLoader(i for i in range(3))


def test_a_batch_larger_than_the_data_set():
    assert [len(b) for b in DataLoader(range(5), 64)] == [5]
    with pytest.raises(
        ValueError, match=r"batch_size=64 is larger than the data set \(5 samples\).*batch_size=5 or less"
    ):
        DataLoader(range(5), 64, drop_last=True)


@pytest.mark.parametrize(
    "dataset",
    [
        np.array([1.0, np.nan]),
        (np.zeros(2), np.array([1.0, np.nan])),
        TensorDataset(torch.tensor([1.0, float("nan")])),
        [(1.0, 2), (float("nan"), 3)],
    ],
)
def test_nan_in_arrays_is_refused(dataset):
    with pytest.raises(ValueError, match="has NaN or infinite values in 1 of 2 rows: 1"):
        DataLoader(dataset)


def test_pairs_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="sample 0 has 2 parts, sample 1 has 3 parts"):
        list(DataLoader([(1, 2), (1, 2, 3)]))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_failing_sample_surfaces_with_its_message_and_number(workers):
    loader = DataLoader(Faulty(40), 2, workers=workers)
    batches = loader.epoch(0)
    assert next(batches).tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"sample 5 cannot .*epoch 0.* OSError: .*rex_5.jpg is torn") as caught:
        list(batches)
    assert isinstance(caught.value.__cause__, OSError)
    assert loader_threads() == []


def test_leaving_an_epoch_early_stops_its_threads():
    batches = DataLoader(Squares(1000), 2, workers=3).epoch(0)
    next(batches)
    batches.close()
    assert loader_threads() == []


def loader_threads():
    return [t.name for t in threading.enumerate() if t.name.startswith("satsuma-loader")]


def test_misspelt_arguments_are_refused():
    with pytest.raises(TypeError, match=r"DataLoader\(\) has no argument 'batchsize': did you mean 'batch_size'"):
        DataLoader(range(5), batchsize=2)
    with pytest.raises(TypeError, match=r"DataLoader.epoch\(\) has no argument 'begin': known: epoch, start"):
        DataLoader(range(5)).epoch(0, begin=1)
    with pytest.raises(TypeError, match="did you mean 'shuffle'"):
        DataLoader(range(5)).new(shufle=True)


def test_a_loader_says_what_it_is():
    assert repr(DataLoader(range(7), 2)) == "DataLoader(7 samples, batch size 2, Streamed)"


class Failing:
    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index == 2:
            raise self.error
        return torch.zeros(2)


@pytest.mark.parametrize("error", [KeyError("age"), StopIteration(), FileNotFoundError("gone")])
@pytest.mark.parametrize("workers", [0, 2])
def test_any_failure_of_a_sample_names_it(error, workers):
    with pytest.raises(ValueError, match=f"sample 2 cannot be loaded .epoch 0.: {type(error).__name__}"):
        list(DataLoader(Failing(error), 2, workers=workers))


def test_samples_without_a_label_among_others_are_named():
    with pytest.raises(ValueError, match=r"position 1 of some samples is None .of sample 1"):
        list(DataLoader([(torch.zeros(2), 0), (torch.zeros(2), None)], 2))


@pytest.mark.parametrize(
    ("dataset", "match"), [("abc", "one text"), ({0: 1}, "a dict"), (torch.tensor(3.0), "a single number")]
)
def test_what_is_no_data_set(dataset, match):
    with pytest.raises((TypeError, ValueError), match=match):
        DataLoader(dataset)


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": "4"},
        {"batch_size": True},
        {"batch_size": 1.5},
        {"workers": "4"},
        {"workers": 1.5},
        {"shuffle": "no"},
        {"drop_last": 1},
        {"seed": 1.5},
    ],
)
def test_arguments_of_another_type_are_refused(wrong):
    with pytest.raises(TypeError, match=next(iter(wrong))):
        DataLoader([1, 2], **wrong)


def test_one_batch_makes_that_batch_alone_and_starts_no_workers() -> None:
    asked: list[int] = []

    class Counted:
        def __len__(self) -> int:
            return 23

        def __getitem__(self, index: int) -> int:
            asked.append(index)
            return index

    loader = DataLoader(Counted(), 5, True, workers=4)
    batch = loader.one_batch(2, 3)
    assert batch.tolist() == asked == loader.indices(2, 3)
    assert batch.tolist() == list(loader.epoch(2))[3].tolist()
