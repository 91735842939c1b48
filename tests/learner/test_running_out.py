"""Memory that runs out: told, gone around with `micro="auto"`, and found out beforehand by `largest_batch`."""

import math
import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

import satsuma as sm
from satsuma.errors import PeelError
from satsuma.train import largest_batch
from satsuma.train.free_memory import free_cpu_memory
from satsuma.train.lr_find import copied_run
from satsuma.train.memory import asked_bytes, is_out_of_memory

N, D, K, BS = 53, 7, 3, 16
X = torch.randn(N, D, generator=torch.Generator().manual_seed(0))
Y = X[:, :K].argmax(1)
CPU = "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
CUDA = (
    "CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.21 GiB is free"
)


class Greedy(nn.Module):
    """A layer for which memory runs out beyond `most` samples at once, from its `first` training call on."""

    def __init__(self, most: int, error: Exception, first: int = 0) -> None:
        super().__init__()
        self.most, self.error, self.first, self.calls = most, error, first, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled():
            self.calls += 1
        if torch.is_grad_enabled() and self.calls > self.first and len(x) > self.most:
            raise self.error
        return x


def cpu_error(n: int = 4000) -> RuntimeError:
    return RuntimeError(f"{CPU}{n} bytes. Error code 12 (Cannot allocate memory)")


def network(greedy: nn.Module | None = None, *, norm: bool = False) -> nn.Sequential:
    torch.manual_seed(1)
    layers = [nn.Linear(D, 11), *([nn.BatchNorm1d(11)] if norm else []), nn.Dropout(0.3), nn.Tanh()]
    return nn.Sequential(*layers, greedy or nn.Identity(), nn.Linear(11, K))


def learner(model: nn.Module, **settings) -> sm.Learner:
    dls = sm.DataLoaders.from_arrays(X, Y, valid_pct=0.2, bs=BS, seed=3)
    return sm.Learner(dls, model, device="cpu", precision="float32", **{"progress": False, **settings})


def weights(learn: sm.Learner) -> list[torch.Tensor]:
    return list(learn.model.state_dict().values())


def same(a: sm.Learner, b: sm.Learner) -> bool:
    return all(torch.equal(p, q) for p, q in zip(weights(a), weights(b), strict=True))


# --- told ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (cpu_error(), "3.91 KiB more"),
        (torch.OutOfMemoryError(CUDA), "1.50 GiB more"),
        (MemoryError(), "more was asked"),
    ],
    ids=["cpu", "cuda", "python"],
)
@pytest.mark.parametrize("caught", [RuntimeError, MemoryError, sm.OutOfMemoryError])
def test_it_says_what_was_asked_for_and_what_to_do(error, asked, caught):
    learn = learner(network(Greedy(8, error, first=4)))
    with pytest.raises(caught) as found:
        learn.fit(3)
    text = str(found.value)
    assert "out of memory on cpu in the forward and backward pass, step 3, epoch 0" not in text
    assert "out of memory on cpu in the forward and backward pass, step 5, epoch 1" in text
    assert asked in text
    assert "batch size is 16; the batch of [16 7] float32, [16] int64, precision float32" in text
    assert 'micro=8 (the same update in slices of 8, or micro="auto", which finds it)' in text
    assert 'precision="bf16"' in text
    assert "learn.largest_batch()" in text
    assert found.value.__cause__ is error


def test_other_errors_are_not_taken_for_it():
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))
    assert is_out_of_memory(RuntimeError("CUDA error: out of memory"))
    assert is_out_of_memory(
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB). Tried to allocate 256 bytes")
    )
    assert asked_bytes(MemoryError("Unable to allocate 7.45 GiB for an array with shape (1000, 1000, 1000)")) == round(
        7.45 * 2**30
    )
    assert asked_bytes(RuntimeError("CUDA error: out of memory")) is None


def test_bytes_of_weights_gradients_and_the_optimisers_state():
    learn = learner(network(Greedy(8, cpu_error(), first=4)), opt_func=sm.Adam)
    numbers = sum(p.numel() for p in learn.model.parameters())  # weight, gradient, and Adam's two
    with pytest.raises(MemoryError, match="state take"):
        learn.fit(3)
    assert numbers == 7 * 11 + 11 + 11 * 3 + 3
    text = f"{(4 * numbers * 4 + 4 * 4) / 1024:.2f} KiB"  # and a count of steps for each of four tensors
    with pytest.raises(MemoryError, match=text):
        learner(network(Greedy(8, cpu_error(), first=4)), opt_func=sm.Adam).fit(3)


def test_a_first_batch_that_is_too_large_is_told_before_any_step():
    class Eager(Greedy):
        def forward(self, x):
            if len(x) > self.most:
                raise self.error
            return x

    learn = learner(network(Eager(8, cpu_error())))
    with pytest.raises(sm.OutOfMemoryError, match=r"tried on a first batch.*micro=8"):
        learn.fit(1)
    small = learner(network(Eager(BS, cpu_error())))  # validation is of one batch, 11 samples
    small.dls = sm.DataLoaders(small.dls.train, small.dls.train.new(shuffle=False, batch_size=N))
    with pytest.raises(sm.OutOfMemoryError, match=r"in the first validation batch.*less validation data"):
        small.fit(1)
    fitting = learner(network(Eager(8, cpu_error())), micro=8)
    fitting.dls = sm.DataLoaders(fitting.dls.train)
    assert len(fitting.fit(1)) == 1


def test_evaluation_that_runs_out_names_itself_and_keeps_the_epoch():
    class Evaluated(nn.Module):
        calls = 0

        def forward(self, x):
            if not self.training:
                self.calls += 1
                if self.calls > 2:  # those of the first look are over
                    raise cpu_error()
            return x

    learn = learner(network(Evaluated()))
    with pytest.raises(sm.OutOfMemoryError, match="in evaluation"):
        learn.fit(2)
    assert len(learn.recorder.epochs) == 1
    for evaluate in (learn.validate, learn.get_preds):
        with pytest.raises(sm.OutOfMemoryError, match=r"in evaluation: .*less validation data"):
            evaluate()


# --- gone around --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "batch norm"])
def test_auto_is_bit_equal_to_that_micro_if_the_first_step_ran_out(norm):
    auto = learner(network(Greedy(4, cpu_error()), norm=norm), micro="auto", max_norm=1.0)
    with pytest.warns(
        UserWarning, match=r"out of memory at step 1 \(epoch 0\): going on with micro=4, the same update"
    ):
        auto.fit(2)
    fixed = learner(network(norm=norm), micro=4, max_norm=1.0)
    fixed.fit(2)
    assert same(auto, fixed)
    assert auto.recorder.losses == fixed.recorder.losses
    assert auto.micro == 4
    again = [auto.fit(1), fixed.fit(1)]
    assert same(auto, fixed)
    assert again[0][-1].train_loss == again[1][-1].train_loss


def test_a_later_step_is_made_again_with_its_draws_and_with_whole_statistics():
    """By hand: the steps before as they are, then the loop with micro=8 from the failing step on."""
    auto = learner(network(Greedy(8, cpu_error(), first=4), norm=True), micro="auto", lr=1e-2)
    with pytest.warns(UserWarning, match=r"at step 5 \(epoch 1\): going on with micro=8"):
        auto.fit(3, lr=1e-2)
    hand = learner(network(norm=True), lr=1e-2)
    run = hand.make_run(lr=1e-2)
    from satsuma.train.loop import train

    for step in train(run, hand.dls.train, epochs=3):
        if step.step == 4:
            break
    for _ in train(run, hand.dls.train, epochs=3, micro=8):
        pass
    assert same(auto, hand)
    assert int(auto.model[1].num_batches_tracked) == int(hand.model[1].num_batches_tracked)


def test_slices_of_one_sample_are_not_for_batch_normalisation():
    learn = learner(network(Greedy(1, cpu_error(), first=4), norm=True), micro="auto")
    with pytest.raises(sm.OutOfMemoryError, match=r"in slices of 2 \(micro\)"):
        learn.fit(3)
    plain = learner(network(Greedy(1, cpu_error(), first=4)), micro="auto")
    with pytest.warns(UserWarning, match="micro=1,"):
        plain.fit(3)


def test_memory_that_runs_out_in_the_optimiser_is_not_tried_again():
    class Hungry(torch.optim.SGD):
        def step(self, closure=None):
            raise cpu_error()

    learn = learner(network(), opt_func=Hungry, micro="auto")
    with pytest.raises(sm.OutOfMemoryError, match="as the optimiser updated the weights") as found:
        learn.fit(1)
    assert "micro=" not in str(found.value)


def test_auto_is_a_word_and_others_are_refused():
    with pytest.raises(ValueError, match="\"auto\" or None, got 'all'"):
        learner(network(), micro="all")


# --- kept ---------------------------------------------------------------------------------------------------------


def auto_learner(run_dir, most=8, first=4, **settings):
    return learner(lambda: network(Greedy(most, cpu_error(), first)), micro="auto", run_dir=run_dir, **settings)


def test_recipe_and_peel_are_honest(tmp_path):
    early, late = auto_learner(tmp_path / "early", first=0), auto_learner(tmp_path / "late")
    with pytest.warns(UserWarning, match="micro=8"):
        early.fit(2)
    with pytest.warns(UserWarning, match="micro=8"):
        late.fit(2)
    assert "micro=8" in (tmp_path / "early" / "recipe.py").read_text()
    assert '"auto_micro"' in (tmp_path / "late" / "recipe.json").read_text()
    with pytest.raises(PeelError, match=r"micro became 8 at step 5 \(epoch 1\): a script has one micro"):
        late.peel("loop")
    assert "micro became 8" in (tmp_path / "late" / "train.txt").read_text()


@pytest.mark.usefixtures("no_scripts")
def test_a_resumed_run_goes_on_in_the_slices_it_had(tmp_path):
    class Stop(sm.Hook):
        def on_step(self, run, row):
            if row.step == 7:
                run.stop = "interrupted"

    whole = auto_learner(tmp_path / "whole")
    with pytest.warns(UserWarning, match="micro=8"):
        whole.fit(4)
    cut = auto_learner(tmp_path / "cut")
    cut.hooks = [Stop()]
    with pytest.raises(KeyboardInterrupt), pytest.warns(UserWarning, match="micro=8"):
        cut.fit(4)
    resumed = auto_learner(tmp_path / "cut", most=BS)  # here there would be memory enough
    resumed.hooks = [Stop()]
    resumed.hooks[0].on_step = lambda run, row: None
    resumed.fit(4, resume=True)
    assert resumed.micro == 8
    assert same(whole, resumed)
    plain = learner(lambda: network(Greedy(8, cpu_error(), 4)), run_dir=tmp_path / "cut")
    with pytest.raises(ValueError, match="micro was auto"):
        plain.fit(4, resume=True)


# --- found out beforehand -----------------------------------------------------------------------------------------


def by_hand(fixed, per_sample, free):
    return 2 ** int(math.log2((0.8 * free - fixed) / per_sample))


def wide(n=4096, bs=8, **settings):
    x = torch.randn(n, D, generator=torch.Generator().manual_seed(0))
    dls = sm.DataLoaders.from_arrays(x, x[:, :K].argmax(1), valid_pct=0.2, bs=bs)
    return sm.Learner(dls, lambda: sm.mlp((D, 2048, K)), device="cpu", precision="float32", progress=False, **settings)


def test_the_largest_batch_of_a_cpu_follows_from_small_steps(monkeypatch):
    learn = wide()
    before = [w.clone() for w in weights(learn)]
    sizes = []
    monkeypatch.setattr(largest_batch, "free_memory", lambda device: 2**22)
    monkeypatch.setattr(largest_batch, "whole_step", watched_step(largest_batch.whole_step, sizes))
    found = learn.largest_batch()
    assert found.size == by_hand(found.fixed, found.per_sample, 2**22)
    assert 4 * 2048 <= found.per_sample <= 4 * 4 * 2048  # a sample's hidden layer, float32: a few times
    assert max(sizes) == 8, "nothing large is tried"
    assert 8 < found.size < 1024
    assert f"batch size {found.size}: the largest power of two that fits; a step takes" in str(found)
    assert "4.00 MiB are free, of which 80% are used at most" in str(found)
    monkeypatch.setattr(largest_batch, "free_memory", lambda device: 2**23)
    assert wide().largest_batch().size in (2 * found.size, 4 * found.size)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(learn), strict=True))
    assert learn.recorder.losses == []
    assert learn.calls == []


def watched_step(step, sizes):
    def watched(run, batch):
        sizes.append(len(batch[0]))
        return step(run, batch)

    return watched


def test_the_largest_batch_ends_at_the_data_and_at_the_most_that_is_sensible():
    assert "1024, the most that is looked for: beyond it, other learning rates" in str(wide().largest_batch())
    assert wide().largest_batch(most=64).size == 64
    few = wide(n=100).largest_batch()
    assert few.size == 64
    assert "the largest power of two that 80 training samples hold" in str(few)


def test_a_measured_step_predicts_a_large_one():
    """The line of the small steps against what a step on 512 samples holds, which is measured here."""
    learn = wide()
    found, run = learn.largest_batch(), learn.make_run()
    batch = largest_batch.repeated(learn.dls.one_batch(), 512)
    largest_batch.whole_step(run, batch)
    taken = largest_batch.peak_of_step(run, batch)
    assert taken <= found.fixed + 512 * found.per_sample <= 2 * taken


@pytest.mark.parametrize("most", [1, 5, 16, 40])
def test_the_largest_batch_of_a_gpu_is_tried(most):
    """On the CPU, with a layer that runs out as a GPU does."""
    learn = learner(network(Greedy(most, torch.OutOfMemoryError(CUDA))))
    run = copied_run(learn.make_run())
    run.model.train()
    sizes = [1, 2, 4, 8, 16, 32]
    found = largest_batch.tried_sizes(run, learn.dls.one_batch(), sizes)
    assert found.size == max(size for size in sizes if size <= most)


def test_a_step_that_never_fits_says_so():
    with pytest.raises(sm.OutOfMemoryError, match="in the forward and backward pass"):
        learner(network(Greedy(0, cpu_error()))).largest_batch()


# --- a real limit -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="address space limits are Linux's")
def test_a_real_limit_of_the_process_is_told():
    code = """
        import resource
        import torch
        import satsuma as sm
        from satsuma.train.free_memory import free_cpu_memory
        torch.set_num_threads(1)
        x = torch.randn(512, 64)
        learn = sm.Learner(sm.DataLoaders.from_arrays(x, x[:, 0] > 0, bs=512), sm.mlp((64, 65536, 2)), progress=False,
                           device="cpu", precision="float32", opt_func=sm.SGD)
        learn.check()
        used = int(open("/proc/self/status").read().split("VmSize:")[1].split()[0]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**27, used + 2**27))
        assert free_cpu_memory() <= 2**27
        try:
            learn.fit(1)
        except sm.OutOfMemoryError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    said = r"out of memory on cpu in the forward and backward pass, step 1, epoch 0: \d+\.\d\d MiB more were asked for"
    assert re.search(said, done.stdout), done
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


def test_free_memory_is_the_least_of_machine_and_groups(tmp_path):
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal: 900 kB\nMemAvailable:    700 kB\n")
    assert free_cpu_memory(proc, groups) == 700 * 1024
    (proc / "self" / "cgroup").write_text("0::/a/b\n")
    inner = groups / "a" / "b"
    inner.mkdir(parents=True)
    for folder, limit in ((inner, "max"), (groups / "a", "600000")):
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text("250000\n")
        (folder / "memory.stat").write_text("anon 1\ninactive_file 50000\n")
    assert free_cpu_memory(proc, groups) == 400000
    first = groups / "memory" / "docker"
    first.mkdir(parents=True)
    (proc / "self" / "cgroup").write_text("5:cpu,memory:/docker\n3:cpuset:/docker\n")
    (first / "memory.limit_in_bytes").write_text("300000")
    (first / "memory.usage_in_bytes").write_text("200000")
    (first / "memory.stat").write_text("total_inactive_file 0")
    assert free_cpu_memory(proc, groups) == 100000


# --- while loading ------------------------------------------------------------------------------------------------


class Hoarder:
    """Sample 5 is too large."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int):
        if index == 5:
            raise MemoryError("Unable to allocate 7.45 GiB for an array with shape (1000, 1000, 1000)")
        return X[index], int(Y[index])


class Doomed(Hoarder):
    """The process that reads sample 5 is killed, as by the kernel."""

    def __getitem__(self, index: int):
        if index == 5 and multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return X[index], int(Y[index])


def streamed(dataset, **options) -> sm.Learner:
    dls = sm.DataLoaders(sm.DataLoader(dataset, 4, **options))
    return sm.Learner(dls, network(), loss_func=sm.cross_entropy, device="cpu", precision="float32", progress=False)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_sample_too_large_is_told_as_such(workers):
    learn = streamed(Hoarder(), workers=workers)
    with pytest.raises(sm.OutOfMemoryError, match=r"while a batch was made, step 2, epoch 0: 7\.45 GiB more") as found:
        learn.fit(1)
    assert "fewer workers" in str(found.value)


def test_a_worker_process_that_is_killed_ends_the_fit_by_name():
    """Whether torch notices while the loop waits for the batch or in the midst of a step."""
    learn = streamed(Doomed(), workers=2, worker_kind="processes")
    with pytest.raises(
        RuntimeError, match=r"worker process of the loader died: number 1 \(pid \d+\) at a batch of"
    ) as e:
        learn.fit(1)
    assert "sample 5" in str(e.value)
    assert "killed by SIGKILL" in str(e.value)
