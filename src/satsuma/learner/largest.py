"""The largest batch that a learner has memory for."""

from typing import TYPE_CHECKING

from torch import Tensor

from satsuma.data.loader import whole_number
from satsuma.data.streamed import Streamed
from satsuma.learner.checks import check_batch
from satsuma.learner.memory import explained_or_same
from satsuma.train.largest_batch import LargestBatch, largest_batch_size
from satsuma.train.lr_find import copied_run

if TYPE_CHECKING:
    from satsuma.learner.learner import Learner


def largest_batch_of(learn: "Learner", most: int) -> LargestBatch:
    """`Learner.largest_batch`."""
    most = whole_number("most", most, 1)
    loader = learn.dls.train
    batch: tuple[Tensor, ...] = loader.one_batch()
    check_batch(batch, learn.dls.n_inp)
    run = copied_run(learn.make_run())
    ready = loader.workers + 3 if isinstance(loader.batches, Streamed) and loader.workers else 0
    try:
        if learn.device.type != "cpu":
            learn.model.to("cpu")  # or there would be two of it
        return largest_batch_size(run, batch, samples=len(loader.dataset), most=most, ready=ready)
    except (MemoryError, RuntimeError) as error:
        raise explained_or_same(error, learn, run) from error
    finally:
        learn.model.to(learn.device)
