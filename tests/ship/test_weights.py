"""Finding and fetching weights: where they are looked for, what is trusted, and what each failure says."""

import errno
import hashlib
import http.server
import io
import os
import re
import socket
import sys
import threading
import types
from dataclasses import replace
from types import MappingProxyType

import pytest
import torch
from safetensors.torch import load_file, save

import satsuma as sm
from satsuma.errors import WeightsError
from satsuma.nn.registry import NETWORKS
from satsuma.nn.transfer import TransferModel
from satsuma.ship import download, weights
from satsuma.ship.weights import KNOWN, convert_weights, find_weights, load_pretrained, pretrained_statistics

CONTENT = save({"numbers": torch.randn(1000, 100, generator=torch.Generator().manual_seed(0))})  # 400 kB
OTHER = save({"numbers": torch.zeros(1000, 100)})  # of the same length
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Hub(http.server.BaseHTTPRequestHandler):
    """The hub in miniature: one file at every path, with ranges; its server says what shall go wrong."""

    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers.get("Range")))
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        content, start = server.content, 0
        wanted = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
        fits = self.headers.get("If-Range") in (None, self.tag())
        if wanted and fits and server.ranges:
            start = int(wanted[1])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
                return
            start += server.shift
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("ETag", self.tag())
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        length = server.cuts.pop(0) if server.cuts else None  # then the connection ends
        self.wfile.write(content[start:] if length is None else content[start : start + length])
        if length is not None and server.stalls:
            self.wfile.flush()
            server.over.wait(10)
        if length is not None and server.then is not None:
            server.content = server.then

    def tag(self):
        return f'"{hashlib.sha256(self.server.content).hexdigest()}"'

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.content, server.asked, server.statuses, server.cuts = CONTENT, [], [], []
    server.shift, server.ranges, server.then, server.stalls, server.over = 0, True, None, False, threading.Event()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache, no settings of the machine's, no pauses, and a table whose digest is of CONTENT."""
    for name in ("SATSUMA_WEIGHTS", "HF_ENDPOINT", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SATSUMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "PAUSE_S", 0)
    pinned = replace(KNOWN["resnet18"], sha256=DIGEST)
    monkeypatch.setattr(weights, "KNOWN", MappingProxyType({**KNOWN, "resnet18": pinned}))
    return tmp_path / "cache" / "weights"


def files(folder):
    return sorted(f.name for f in folder.iterdir())


# --- the table ----------------------------------------------------------------------------------------------------


def test_every_network_that_can_be_a_body_is_in_the_table():
    assert set(KNOWN) == set(NETWORKS)


def test_digests_and_revisions_are_whole_or_absent():
    for arch, known in KNOWN.items():
        assert known.sha256 is None or re.fullmatch("[0-9a-f]{64}", known.sha256), arch
        assert (known.sha256 is None) == (known.revision == "main"), arch
        assert known.sha256 is None or re.fullmatch("[0-9a-f]{40}", known.revision), arch
    assert len({k.sha256 for k in KNOWN.values() if k.sha256}) == 5


def test_statistics_are_imagenets():
    assert pretrained_statistics("convnext_tiny") == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Timm:
    """timm, which knows three networks: with weights on the hub, without, and without a configuration."""

    configs = MappingProxyType(
        {
            "hubbed": types.SimpleNamespace(hf_hub_id="a/b", hf_hub_filename="", mean=[0.5], std=[0.2]),
            "plain": types.SimpleNamespace(hf_hub_id="", hf_hub_filename="", mean=(0.4,) * 3, std=(0.3,) * 3),
        }
    )

    def get_pretrained_cfg(self, name):
        return self.configs.get(name)


def test_statistics_of_timms_networks_need_no_weights_on_the_hub(monkeypatch):
    monkeypatch.setattr(weights, "load_timm", Timm)
    assert weights.known_weights("timm:hubbed").repo == "a/b"
    assert pretrained_statistics("timm:hubbed") == ((0.5,), (0.2,))
    assert pretrained_statistics("timm:plain") == ((0.4, 0.4, 0.4), (0.3, 0.3, 0.3))
    assert pretrained_statistics("timm:bare") == pretrained_statistics("resnet18")
    for name in ("plain", "bare"):
        with pytest.raises(WeightsError, match=rf"(?s)timm:{name}: no safetensors .*weights=FILE.*pretrained=False$"):
            find_weights(f"timm:{name}")


def test_a_network_without_weights_says_so():
    with pytest.raises(WeightsError, match="small_cnn has no trained weights"):
        find_weights("small_cnn")
    with pytest.raises(WeightsError, match=r"is unknown: did you mean 'resnet18'\? Networks with weights: "):
        find_weights("resnet81")


# --- where they are looked for ------------------------------------------------------------------------------------


def test_a_given_file_is_taken(tmp_path):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(CONTENT)
    assert find_weights("resnet18", path) == path
    with pytest.raises(WeightsError, match=r"yours\.safetensors: there is no such file"):
        find_weights("resnet18", tmp_path / "yours.safetensors")


def test_a_pickled_file_is_refused_and_can_be_converted(tmp_path):
    path = tmp_path / "mine.pth"
    torch.save({"state_dict": {"a": torch.ones(2, 3), "b": torch.ones(2, 3).T}}, path)
    with pytest.raises(WeightsError, match=r"only \.safetensors files are read.*satsuma\.convert_weights"):
        find_weights("resnet18", path)
    converted = convert_weights(path, tmp_path / "new" / "mine.safetensors")
    found = load_file(find_weights("resnet18", converted))
    assert {name: value.shape for name, value in found.items()} == {"a": (2, 3), "b": (3, 2)}


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harm-was-done",)


def test_converting_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Harm()}, "mine.pth")
    with pytest.raises(WeightsError, match="not a file of weights alone"):
        convert_weights("mine.pth", "mine.safetensors")
    assert files(tmp_path) == ["mine.pth"]
    torch.save([1, 2], "list.pth")
    with pytest.raises(WeightsError, match="holds a list; expected tensors by name"):
        convert_weights("list.pth", "mine.safetensors")


def test_the_folder_of_weights_comes_before_the_hub(tmp_path, monkeypatch, hub):
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("SATSUMA_WEIGHTS", str(folder))
    (folder / "resnet18d.safetensors").write_bytes(CONTENT)  # another network's
    assert find_weights("resnet18").parent != folder
    (folder / "resnet18_imagenet.safetensors").write_bytes(CONTENT)
    assert find_weights("resnet18") == folder / "resnet18_imagenet.safetensors"
    (folder / "resnet18-mine.safetensors").write_bytes(CONTENT)
    with pytest.raises(WeightsError, match=r"resnet18-mine\.safetensors, resnet18_imagenet\.safetensors\. Give one"):
        find_weights("resnet18")
    (folder / "resnet18.safetensors").write_bytes(CONTENT)
    assert find_weights("resnet18") == folder / "resnet18.safetensors"


def test_a_folder_of_weights_that_is_not_there_is_a_mistake(tmp_path, monkeypatch):
    monkeypatch.setenv("SATSUMA_WEIGHTS", str(tmp_path / "nowhere"))
    with pytest.raises(WeightsError, match="there is no such folder"):
        find_weights("resnet18")


def test_without_a_file_on_the_hub_the_message_says_what_to_do():
    with pytest.raises(WeightsError, match=r"(?s)squeezenet1_1\.safetensors.*SATSUMA_WEIGHTS.*pretrained=False"):
        find_weights("squeezenet1_1")


@pytest.mark.parametrize(("platform", "folder"), [("linux", ".cache"), ("darwin", "Library/Caches")])
def test_the_cache_is_where_the_platform_keeps_its_own(platform, folder, monkeypatch, tmp_path):
    monkeypatch.delenv("SATSUMA_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights.cache_folder() == tmp_path / folder / "satsuma" / "weights"


# --- fetching -----------------------------------------------------------------------------------------------------


def test_a_file_is_fetched_once_and_checked_every_time(hub, cache):
    path = find_weights("resnet18")
    assert path.read_bytes() == CONTENT
    assert hub.asked == [(f"/timm/resnet18.tv_in1k/resolve/{KNOWN['resnet18'].revision}/model.safetensors", None)]
    assert files(cache) == [path.name]
    assert find_weights("resnet18") == path
    assert len(hub.asked) == 1
    path.write_bytes(OTHER)
    assert find_weights("resnet18").read_bytes() == CONTENT
    assert len(hub.asked) == 2


def test_a_cut_connection_is_resumed_where_it_was_cut(hub):
    hub.cuts = [100_000, 200_000]
    assert find_weights("resnet18").read_bytes() == CONTENT
    assert [wanted for _, wanted in hub.asked] == [None, "bytes=100000-", "bytes=300000-"]


def test_a_connection_that_falls_silent_is_tried_again(hub, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_S", 0.2)
    hub.cuts, hub.stalls = [100_000], True
    assert find_weights("resnet18").read_bytes() == CONTENT
    assert [wanted for _, wanted in hub.asked] == [None, "bytes=100000-"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_progress_is_told_on_the_error_stream(hub, monkeypatch, stream):
    monkeypatch.setattr("sys.stderr", stream())
    find_weights("resnet18")
    shown = sys.stderr.getvalue()
    assert ("100%" in shown or "400.1/400.1 kB" in shown) if stream is Terminal else "fetching http://127" in shown


def test_a_later_call_resumes_what_an_earlier_one_left(hub, cache):
    part = cache / f"resnet18-{DIGEST[:12]}.safetensors.part"
    cache.mkdir(parents=True)
    part.write_bytes(CONTENT[:50_000])
    path = find_weights("resnet18")
    assert path.read_bytes() == CONTENT
    assert [wanted for _, wanted in hub.asked] == ["bytes=50000-"]
    assert files(cache) == [path.name]


@pytest.mark.parametrize("extra", [b"", b"more than there is"])
def test_a_part_that_is_whole_or_too_long_does_no_harm(hub, cache, extra):
    cache.mkdir(parents=True)
    (cache / f"resnet18-{DIGEST[:12]}.safetensors.part").write_bytes(CONTENT + extra)
    assert find_weights("resnet18").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_it_all_again(hub):
    hub.ranges, hub.cuts = False, [100_000]
    assert find_weights("resnet18").read_bytes() == CONTENT


def test_a_server_that_sends_another_range_is_not_believed(hub):
    hub.shift, hub.cuts = -1, [100_000]
    assert find_weights("resnet18").read_bytes() == CONTENT
    assert [wanted for _, wanted in hub.asked] == [None, "bytes=100000-", None]


def test_a_connection_that_is_cut_often_but_brings_something_is_not_given_up(hub):
    hub.cuts = [40_000] * 8
    assert find_weights("resnet18").read_bytes() == CONTENT
    assert len(hub.asked) == 9


def test_what_an_earlier_call_left_is_not_joined_where_no_digest_would_tell(hub, cache):
    cache.mkdir(parents=True)
    (cache / "convnext_atto-d2_in1k.safetensors.part").write_bytes(OTHER[:200_000])
    assert find_weights("convnext_atto").read_bytes() == CONTENT
    assert hub.asked[0][1] is None


def test_two_versions_of_a_file_are_never_joined(hub):
    hub.content, hub.then, hub.cuts = OTHER, CONTENT, [100_000]
    assert find_weights("convnext_atto").read_bytes() == CONTENT


def test_passing_faults_are_tried_again_and_lasting_ones_said(hub):
    hub.statuses = [503, 429, 500]
    assert find_weights("resnet18").read_bytes() == CONTENT
    hub.statuses = [503] * 4
    with pytest.raises(WeightsError, match="cannot be reached, after 4 attempts: the server answers 503"):
        find_weights("convnext_atto")


def test_a_missing_file_is_said_at_once(hub, cache):
    hub.statuses = [404]
    with pytest.raises(WeightsError, match=r"model\.safetensors: the server answers 404 .there is no such file"):
        find_weights("resnet18")
    assert len(hub.asked) == 1
    assert files(cache) == []


def test_another_digest_is_refused_and_not_kept(hub, cache):
    hub.content = OTHER
    with pytest.raises(WeightsError, match=f"SHA-256 is {hashlib.sha256(OTHER).hexdigest()}, expected {DIGEST}"):
        find_weights("resnet18")
    assert files(cache) == []


def test_without_a_known_digest_the_first_download_sets_it(hub, cache):
    path = find_weights("convnext_atto")
    record = path.with_name(f"{path.name}.sha256")
    assert record.read_text() == f"{DIGEST}  {path.name}\n"
    assert find_weights("convnext_atto") == path
    assert len(hub.asked) == 1
    path.unlink()
    hub.content = OTHER
    with pytest.raises(WeightsError, match=r"from the first download: remove it to take the new file"):
        find_weights("convnext_atto")
    assert not path.exists()
    record.unlink()
    assert find_weights("convnext_atto").read_bytes() == OTHER


def test_a_page_in_place_of_the_file_is_not_kept(hub, cache):
    hub.content = b"<html>please log in</html>"
    with pytest.raises(WeightsError, match="not a safetensors file"):
        find_weights("convnext_atto")
    assert files(cache) == []


def test_no_network_says_what_to_do(monkeypatch, cache):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(WeightsError, match="cannot be reached") as caught:
        find_weights("resnet18")
    text = str(caught.value)
    assert f"http://127.0.0.1:{port}/timm/resnet18.tv_in1k/resolve" in text
    assert f"put it at {cache / f'resnet18-{DIGEST[:12]}.safetensors'}" in text
    assert all(way in text for way in ("SATSUMA_WEIGHTS", "weights=FILE", "pretrained=False"))


def test_offline_nothing_is_asked_for(hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE keeps off"):
        find_weights("resnet18")
    assert hub.asked == []


def test_a_full_disk_is_said_before_the_first_byte(hub, cache, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(WeightsError, match="the disk is full"):
        find_weights("resnet18")
    assert files(cache) == []


def test_a_disk_that_fills_up_is_said(hub, monkeypatch):
    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(WeightsError, match="the disk is full"):
        find_weights("resnet18")


def test_a_cache_that_cannot_be_written_is_said(hub, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SATSUMA_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"cannot be written.*Set SATSUMA_CACHE"):
        find_weights("resnet18")


def test_a_url_is_fetched_and_may_bear_its_digest(hub):
    url = f"{os.environ['HF_ENDPOINT']}any/where.safetensors"
    assert find_weights("resnet18", url).read_bytes() == CONTENT
    assert find_weights("resnet18", f"{url}#sha256={DIGEST.upper()}").read_bytes() == CONTENT
    assert len(hub.asked) == 1
    hub.content = OTHER
    with pytest.raises(WeightsError, match=f"expected {'0' * 64}"):
        find_weights("resnet18", f"{url}#sha256={'0' * 64}")
    with pytest.raises(WeightsError, match=r"only \.safetensors files are fetched"):
        find_weights("resnet18", f"{os.environ['HF_ENDPOINT']}x/where.pth")


# --- into a model -------------------------------------------------------------------------------------------------


def test_fetched_weights_fill_the_body(hub, monkeypatch):
    network = NETWORKS["convnext_atto"]()
    hub.content = save({name: value.half() for name, value in network.state_dict().items()})
    model = TransferModel("convnext_atto", 7, in_channels=1)
    path = load_pretrained(model)
    assert path == find_weights("convnext_atto")
    ours = model.body.stages[2].blocks[5].mlp.fc1.weight
    torch.testing.assert_close(ours, network.stages[2].blocks[5].mlp.fc1.weight, rtol=1e-3, atol=1e-4)


def test_a_damaged_file_and_one_that_does_not_fit_are_named(tmp_path):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(CONTENT[:1000])
    with pytest.raises(WeightsError, match=r"mine\.safetensors: not a whole safetensors file"):
        load_pretrained(TransferModel("squeezenet1_1", 7), path)
    path.write_bytes(CONTENT)
    with pytest.raises(ValueError, match=r"mine\.safetensors: these weights do not fit the body of squeezenet1_1"):
        load_pretrained(TransferModel("squeezenet1_1", 7), path)


def test_the_shared_weights_are_found_by_their_network(shared_data, monkeypatch):
    monkeypatch.setenv("SATSUMA_WEIGHTS", str(shared_data("weights")))
    model = TransferModel("squeezenet1_1", 37)
    assert load_pretrained(model).name == "squeezenet1_1_imagenet.safetensors"


@pytest.mark.parametrize(
    "settings",
    [{"arch": "squeezenet1_1", "hidden": 11, "in_channels": 1}, {"arch": "convnext_atto", "concat_pool": False}],
)
def test_a_transfer_model_travels_in_a_model_file(settings, tmp_path):
    pictures = torch.randn(11, settings.get("in_channels", 3), 32, 32)
    data = sm.DataLoaders.from_arrays(pictures.numpy(), [i % 3 for i in range(11)], bs=5)
    model = TransferModel(outputs=3, **settings)
    learn = sm.Learner(data, model, progress=False, device="cpu")
    path = learn.export(tmp_path / "model.safetensors")
    again = sm.load_learner(path, device="cpu")
    assert again.model.arch == settings["arch"]
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(again.model(pictures), model(pictures), rtol=0, atol=0)


def test_a_head_whose_outputs_are_not_the_classes_is_refused(tmp_path):
    data = sm.DataLoaders.from_arrays(torch.randn(9, 3, 32, 32).numpy(), torch.arange(9) % 3, bs=3)
    path = sm.Learner(data, TransferModel("squeezenet1_1", 2), progress=False).export(tmp_path / "model.safetensors")
    with pytest.raises(sm.ModelFileError, match="its model gives 2 numbers an item, but its blocks name 3 classes"):
        sm.load_learner(path)


@pytest.mark.parametrize("fragment", ["sha=12", "sha256=12", f"sha256={'g' * 64}", f"SHA256={'0' * 64}", "main"])
def test_a_digest_that_is_none_is_refused_before_the_download(hub, fragment):
    with pytest.raises(WeightsError, match="expected #sha256= and the 64 digits"):
        find_weights("resnet18", f"http://127.0.0.1:{hub.server_port}/x.safetensors#{fragment}")
    assert hub.asked == []


def test_folders_and_other_addresses_are_told_apart_from_missing_files(tmp_path):
    with pytest.raises(WeightsError, match=r"a folder; give the \.safetensors file in it"):
        find_weights("resnet18", tmp_path)
    with pytest.raises(WeightsError, match="file addresses are not read; give the path of a file, or an http"):
        find_weights("resnet18", f"file://{tmp_path}/x.safetensors")


def test_the_ways_out_stand_on_lines_of_their_own(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError) as caught:
        find_weights("resnet18")
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("What to do:")
    assert len(lines) == 5
    assert all(line.startswith("  - ") for line in lines[1:])
