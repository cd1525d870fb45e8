"""Loading is all or nothing, runs no code, and a net at chance is told from a model."""

import contextlib
import os
import re

import numpy as np
import pytest
import safetensors.torch
import torch
from scipy import stats
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models import checkpoints
from rp_tutorial.models.checkpoints import check_accuracy, load_weights, save_weights
from rp_tutorial.models.small_faces import SmallFaceNet


def small_net(seed=0, num_classes=6):
    return SmallFaceNet(num_classes, seed=seed)


def same_weights(first, second):
    first, second = first.state_dict(), second.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def refusal(path, net=None):
    """The one line with which `path` is refused; the net must come out as it went in."""
    net = net or small_net(seed=1)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(InputError) as caught:
        load_weights(net, path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    message = str(caught.value)
    assert message.startswith("path: got ")
    assert "allowed is" in message
    assert "\n" not in message
    assert len(message) < 700
    return message


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrapped", [None, "state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "_module.", "_orig_mod.module."])
def test_files_by_torch_save_give_the_weights_they_hold(prefix, wrapped, legacy, tmp_path):
    source = small_net()
    weights = {prefix + name: tensor for name, tensor in source.state_dict().items()}
    content = {"epoch": 7, wrapped: weights, "best": 0.9} if wrapped else weights
    torch.save(content, tmp_path / "net.tar", _use_new_zipfile_serialization=not legacy)
    net = load_weights(small_net(seed=1).train(), tmp_path / "net.tar")
    assert same_weights(net, source)
    assert not net.training


def test_own_files_give_the_weights_they_hold_and_the_same_bytes_for_the_same_weights(tmp_path):
    source = small_net().to(memory_format=torch.channels_last)
    path = save_weights(source, tmp_path / "new" / "folder" / "net.safetensors")
    assert same_weights(load_weights(small_net(seed=1), str(path)), source)
    assert save_weights(small_net(), tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_a_failed_save_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = save_weights(small_net(), tmp_path / "net.safetensors")
    monkeypatch.setattr(checkpoints.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_weights(small_net(seed=1), path)
    assert list(tmp_path.iterdir()) == [path]
    assert same_weights(load_weights(small_net(seed=2), path), small_net())


@pytest.mark.parametrize("name", ["net.tar", "net.pt", "net"])
def test_our_own_weights_are_never_written_as_a_pickle(name, tmp_path):
    with pytest.raises(InputError, match=r"^path: got .*ends in \.safetensors$"):
        save_weights(small_net(), tmp_path / name)


class RunsCode:
    """Unpickled by an ordinary reader, it makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_is_not_run(legacy, tmp_path):
    path, folder = tmp_path / "net.tar", tmp_path / "made_by_the_pickle"
    content = {"state_dict": small_net().state_dict(), "extra": RunsCode(folder)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    assert f"it asks for {os.mkdir.__module__}.mkdir" in refusal(path)
    assert not folder.exists()
    torch.load(path, weights_only=False)
    assert folder.exists()  # the file was a real danger


def test_every_kind_of_misfit_is_named_and_long_lists_are_cut(tmp_path):
    weights = small_net().state_dict()
    for name in [name for name in weights if name.startswith("body.2.")]:
        del weights[name]
    weights["fc_layer.weight"] = torch.zeros(10, 128)
    weights["other.weight"] = torch.zeros(3)
    torch.save({"state_dict": weights}, tmp_path / "net.tar")
    message = refusal(tmp_path / "net.tar")
    assert re.search(r"1\d missing \(body\.2\.\S+, body\.2\.\S+, body\.2\.\S+, body\.2\.\S+, \.\.\.\);", message)
    assert "1 unexpected (other.weight);" in message
    assert "1 of another shape (fc_layer.weight [10, 128] instead of [6, 128]);" in message
    assert message.endswith("allowed is a file that fits SmallFaceNet completely")


def test_a_prefix_on_some_names_only_is_a_misfit(tmp_path):
    weights = small_net().state_dict()
    weights["module.fc_layer.bias"] = weights.pop("fc_layer.bias")
    torch.save(weights, tmp_path / "net.tar")
    message = refusal(tmp_path / "net.tar")
    assert "1 missing (fc_layer.bias); 1 unexpected (module.fc_layer.bias)" in message


def test_files_older_than_the_batch_counters_of_bn_load(tmp_path):
    weights = {k: v for k, v in small_net().state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save({"state_dict": weights}, tmp_path / "net.tar")
    assert same_weights(load_weights(small_net(seed=1), tmp_path / "net.tar"), small_net())


def test_a_batch_counter_of_no_layer_is_unexpected(tmp_path):
    torch.save({**small_net().state_dict(), "no.num_batches_tracked": torch.tensor(1)}, tmp_path / "net.tar")
    assert "1 unexpected (no.num_batches_tracked)" in refusal(tmp_path / "net.tar")


@pytest.mark.parametrize("suffix", ["tar", "safetensors"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(bad, suffix, tmp_path):
    weights = small_net().state_dict()
    weights["body.0.res_layer.1.weight"][0, 0, 0, 0] = bad
    (torch.save if suffix == "tar" else safetensors.torch.save_file)(weights, tmp_path / f"net.{suffix}")
    assert "1 not of finite real numbers (body.0.res_layer.1.weight)" in refusal(tmp_path / f"net.{suffix}")


def test_integers_or_complex_numbers_in_place_of_floats_are_refused(tmp_path):
    for kind in (torch.int64, torch.complex64):
        weights = small_net().state_dict()
        weights["fc_layer.bias"] = weights["fc_layer.bias"].to(kind)
        torch.save(weights, tmp_path / "net.tar")
        assert "1 not of finite real numbers (fc_layer.bias)" in refusal(tmp_path / "net.tar")


def test_a_complex_counter_is_refused_though_the_net_has_an_integer_there(tmp_path):
    net = nn.Sequential(nn.BatchNorm1d(2))
    weights = net.state_dict()
    torch.save(weights | {"0.num_batches_tracked": torch.tensor(1 + 2j)}, tmp_path / "net.pt")
    assert "not of finite real numbers (0.num_batches_tracked)" in refusal(tmp_path / "net.pt", net)


def test_numbers_that_are_infinite_in_the_precision_of_the_net_are_refused(tmp_path):
    net = nn.Linear(2, 2)
    torch.save({"weight": torch.full((2, 2), 1e300, dtype=torch.float64), "bias": torch.zeros(2)}, tmp_path / "net.pt")
    assert "1 not of finite real numbers (weight)" in refusal(tmp_path / "net.pt", net)


def test_a_file_that_announces_more_than_memory_holds_is_refused(tmp_path, monkeypatch):
    def out_of_memory(*_, **__):
        raise MemoryError

    torch.save(small_net().state_dict(), tmp_path / "net.pt")
    monkeypatch.setattr(checkpoints.torch, "load", out_of_memory)
    assert "cannot be read (MemoryError)" in refusal(tmp_path / "net.pt")


def test_what_torch_thinks_of_a_damaged_file_is_not_said_beside_the_one_line(tmp_path, recwarn):
    (tmp_path / "net.pt").write_bytes(b"\x80\x58" + bytes(40))
    assert "cannot be read" in refusal(tmp_path / "net.pt")
    assert not recwarn.list


def test_half_precision_weights_load_as_the_net_has_them(tmp_path):
    half = {name: tensor.half() if tensor.ndim else tensor for name, tensor in small_net().state_dict().items()}
    torch.save(half, tmp_path / "net.pt")
    net = load_weights(small_net(seed=1), tmp_path / "net.pt")
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}
    assert torch.equal(net.fc_layer.weight, small_net().fc_layer.weight.half().float())


@pytest.mark.parametrize("suffix", ["tar", "safetensors"])
@pytest.mark.parametrize("spoil", ["half", "empty", "garbage", "text", "tail", "other format"])
def test_spoilt_files_are_refused_in_one_line(spoil, suffix, tmp_path):
    path = tmp_path / f"net.{suffix}"
    save_weights(small_net(), tmp_path / "own.safetensors")
    torch.save({"state_dict": small_net().state_dict()}, tmp_path / "own.tar")
    whole = (tmp_path / f"own.{suffix}").read_bytes()
    other = (tmp_path / {"tar": "own.safetensors", "safetensors": "own.tar"}[suffix]).read_bytes()
    path.write_bytes({
        "half": whole[: len(whole) // 2],
        "empty": b"",
        "garbage": np.random.default_rng(0).bytes(5000),
        "text": b"Not found\n" * 9,
        "tail": whole[:-7],
        "other format": other,
    }[spoil])  # fmt: skip
    assert "which cannot be read (" in refusal(path)


@pytest.mark.parametrize("suffix", ["tar", "safetensors"])
@pytest.mark.parametrize(("begins", "named"), [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n", "git-lfs pointer"),
    (b"<!DOCTYPE html><html>Sign in</html>", "web page"), (b"\n<html>", "web page")])  # fmt: skip
def test_what_a_download_leaves_in_place_of_weights_is_named(begins, named, suffix, tmp_path):
    (tmp_path / f"net.{suffix}").write_bytes(begins)
    assert named in refusal(tmp_path / f"net.{suffix}")


class TwoByThree(nn.Linear):
    def __init__(self):
        super().__init__(3, 2)


@pytest.mark.parametrize(("tensor", "fault"), [
    (torch.zeros(1).expand(2**40), "of another shape"),
    (torch.zeros(2, 3).to_sparse(), "not dense"),
    (torch.zeros(2, 3, device="meta"), "not dense"),
    (torch.nested.nested_tensor([torch.zeros(3), torch.zeros(2)]), "not dense"),
    (torch.quantize_per_tensor(torch.zeros(2, 3), 0.1, 0, torch.qint8), "not dense"),
    (torch.zeros(2, 3).to(torch.float8_e5m2), "not dense"),
])  # fmt: skip
def test_tensors_that_are_no_ordinary_ones_are_refused_before_a_number_is_read(tensor, fault, tmp_path):
    torch.save({"weight": tensor, "bias": torch.zeros(2)}, tmp_path / "net.pt")
    assert fault in refusal(tmp_path / "net.pt", net=TwoByThree())


def test_tied_weights_are_written_and_read_as_often_as_the_net_has_them(tmp_path):
    def tied():
        net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        net[1].weight = net[0].weight
        return net

    net = tied()
    loaded = load_weights(tied(), save_weights(net, tmp_path / "net.safetensors"))
    assert same_weights(loaded, net)
    assert loaded[1].weight is loaded[0].weight


@pytest.mark.parametrize(
    "content", [[1, 2], 3.0, {}, {"state_dict": {}}, {"epoch": 3}, {"state_dict": {"a": 1}}, {1: 2}]
)
def test_files_that_hold_something_else_are_refused_in_one_line(content, tmp_path):
    torch.save(content, tmp_path / "net.tar")
    refusal(tmp_path / "net.tar")


def test_absent_files_and_folders_and_no_paths_are_refused_in_one_line(tmp_path):
    for path in (tmp_path / "no.tar", tmp_path, tmp_path / "no" / "net.safetensors", 3, None):
        refusal(path)


class Answers(nn.Module):
    """A net whose label of an image is written in the image's first pixel."""

    def __init__(self, num_classes):
        super().__init__()
        self.eye = nn.Parameter(torch.eye(num_classes))

    def forward(self, x):
        return self.eye[(x[:, 0, 0, 0] * 255).round().long()]


def images_with_labels(written):
    images = torch.zeros(len(written), 3, 4, 4, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.as_tensor(written)
    return images


def test_accuracy_is_the_share_of_right_labels_for_bytes_and_for_floats():
    labels = torch.arange(40) % 20
    written = labels.clone()
    written[:10] = (written[:10] + 1) % 20
    images = images_with_labels(written)
    assert check_accuracy(Answers(20), images, labels) == 0.75
    assert check_accuracy(Answers(20), images.float() / 255, labels, batch_size=7) == 0.75


def test_a_net_at_chance_passes_no_more_often_than_stated():
    """20 classes, 100 balanced images, guesses at random: the exact test at 1 % refuses all but at most 1 %."""
    labels = torch.arange(100) % 20
    g, passed, trials = torch.Generator().manual_seed(0), 0, 400
    for _ in range(trials):
        written = torch.randint(20, (100,), generator=g)
        with contextlib.suppress(InputError):
            check_accuracy(Answers(20), images_with_labels(written), labels, error=0.01)
            passed += 1
    assert passed <= stats.binom.isf(1e-4, trials, 0.01)  # fails for a right test with probability 1e-4


@pytest.mark.parametrize("hits", [9, 10, 11, 12, 13])
def test_a_net_passes_exactly_where_the_binomial_test_rejects_chance(hits):
    labels = torch.arange(100) % 20
    written = (labels + 1) % 20
    written[:hits] = labels[:hits]
    if stats.binomtest(hits, 100, 1 / 20, alternative="greater").pvalue <= 0.01:
        assert check_accuracy(Answers(20), images_with_labels(written), labels, error=0.01) == hits / 100
    else:
        with pytest.raises(InputError, match=rf"^net: got {hits} of 100 images right, .* at least 12 "):
            check_accuracy(Answers(20), images_with_labels(written), labels, error=0.01)


def test_a_net_with_one_answer_is_refused_even_where_most_labels_are_that_one():
    labels = torch.tensor([3] * 60 + [1] * 40)
    with pytest.raises(InputError, match=r"^net: got 60 of 100 images right"):
        check_accuracy(Answers(20), images_with_labels([3] * 100), labels)


def test_a_net_with_one_answer_is_refused_at_any_error():
    with pytest.raises(InputError, match=r"^net: got 20 of 40 images right"):
        check_accuracy(Answers(20), images_with_labels([0] * 40), torch.arange(40) % 2, error=0.9)


def test_an_untrained_face_net_is_refused():
    images = torch.randint(256, (60, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    with pytest.raises(InputError, match=r"^net: got \d+ of 60 images right"):
        check_accuracy(small_net(num_classes=20), images, torch.arange(60) % 20)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, 1, 1, 1], r"^images: got '4 with labels this alike', allowed is more images"),
        ([1, 2], r"^images, labels: got '4 and 2'"),
        ([0, 1, 2, 20], r"^labels: got 'labels from 0 to 20', allowed is '?0 to 19"),
        ([0, 1, 2, -1], r"^labels: got 'labels from -1 to 2'"),
    ],
)
def test_images_and_labels_that_can_tell_nothing_are_refused_in_one_line(labels, message):
    with pytest.raises(InputError, match=message):
        check_accuracy(Answers(20), images_with_labels([1, 1, 1, 1]), torch.tensor(labels))


@pytest.mark.parametrize("labels", [torch.zeros(4), torch.zeros(4, 1, dtype=torch.int64)])
def test_labels_of_another_kind_are_refused_in_one_line(labels):
    with pytest.raises(InputError, match=r"^labels: got .*allowed is int64 of shape \[N\]"):
        check_accuracy(Answers(20), images_with_labels([1, 1, 1, 1]), labels)


def test_no_images_bad_settings_and_logits_that_are_nan_are_refused_in_one_line():
    labels = torch.arange(40) % 20
    images = images_with_labels(labels)
    with pytest.raises(InputError, match=r"^images, labels: got "):
        check_accuracy(Answers(20), images[:0], labels[:0])
    for settings in ({"error": 0}, {"error": 1.0}, {"batch_size": 0}):
        with pytest.raises(InputError, match=rf"^{next(iter(settings))}: got "):
            check_accuracy(Answers(20), images, labels, **settings)
    net = Answers(20)
    with torch.no_grad():
        net.eye[0, 0] = float("nan")
    with pytest.raises(InputError, match=r"^net: got 'logits that are NaN"):
        check_accuracy(net, images, labels)
