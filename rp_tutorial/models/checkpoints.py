"""Weights from files: strict, tensors only, and checked before they are believed.

Published face nets come as pickles, {'state_dict': ...} in a .tar or .pth file, with `module.` in front of every name
if they were trained in parallel. A pickle can run code, so only tensors are read; and a file that fits only in part
leaves a random network behind, so it is refused. Our own weights are safetensors. No training here.
"""

import math
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from scipy import stats
from torch import Tensor, nn

from rp_tutorial.core.arguments import InputError, count, in_one_line, open_unit, refuse
from rp_tutorial.core.files import write_atomically
from rp_tutorial.core.labels import check_label_range
from rp_tutorial.models.batches import device_of, over_batches

OWN_SUFFIX = ".safetensors"
HOLDERS = ("state_dict", "model_state_dict", "model")  # keys under which training scripts put the weights
PREFIXES = ("module.", "_orig_mod.", "_module.")  # of DataParallel, torch.compile and Opacus
OTHER_THINGS = {  # that downloads leave behind under the name of a checkpoint, by how they begin
    b"version https://git-lfs": "a git-lfs pointer and not the file itself: git lfs pull fetches that",
    b"<": "a web page and not a file of weights: open the address in a browser",
}
COUNTERS = ".num_batches_tracked"  # BN's counters: written since PyTorch 0.4.1, read by no net in eval mode
NAMES_SHOWN = 4
KNOWN_DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool, torch.uint8,
                torch.int8, torch.int16, torch.int32, torch.int64, torch.complex64}  # fmt: skip


def load_weights(net: nn.Module, path: str | os.PathLike[str]) -> nn.Module:
    """`net` with the weights of the file at `path`, all of them, in eval mode; or an InputError and an untouched `net`.

    A .safetensors file, or one by torch.save: a dict of tensors, or such a dict under one of HOLDERS, names with or
    without PREFIXES in front. Nothing but tensors and plain containers is unpickled, so no code of the file runs.
    Every name and shape has to fit. Only BN's batch counters may be absent, in files older than those; they stay.
    Raises InputError, in one line: file absent, truncated or of another kind; names that are missing or unexpected;
    shapes that differ; tensors that are sparse, quantised or without memory of their own size; values that are not
    finite numbers.
    """
    path = _existing_file(path)
    weights = _without_prefix(_state_dict(_read(path), path))
    own = net.state_dict()
    weights = {name: tensor for name, tensor in own.items() if name.endswith(COUNTERS)} | weights
    _check_fit(weights, own, type(net).__name__, path)
    net.load_state_dict(weights, strict=True)
    return net.eval()


def save_weights(net: nn.Module, path: str | os.PathLike[str]) -> Path:
    """Writes the weights of `net` to a .safetensors file: the whole file or, if anything fails, none.

    Missing folders are made. The same weights give the same bytes. Raises InputError for another suffix.
    """
    path = Path(path)
    if path.suffix != OWN_SUFFIX:
        raise refuse("path", str(path), f"a file name that ends in {OWN_SUFFIX}")
    # Copies, as tied weights share memory, which this format has no way to say.
    weights = {name: weight.cpu().contiguous().clone() for name, weight in net.state_dict().items()}
    write_atomically(path, safetensors.torch.save(weights))
    return path


def check_accuracy(
    net: nn.Module, images: Tensor, labels: Tensor, *, error: float = 1e-3, batch_size: int = 64
) -> float:
    """The accuracy of `net` on `images`; refuses a net at chance, so that no random network is taken for a model.

    A net that ignores its images passes with probability at most `error`: the exact one-sided binomial test, where
    chance is 1/K or, if larger, the share of the most frequent label, which a net with one answer gets for nothing.
    Guesses that are independent but not alike are covered too (Hoeffding 1956: the binomial has the heaviest tail).
    images: bytes [N, 3, S, S], or floats in [0, 1]; labels: int64 [N] in 0..K-1. `net` is put into eval mode.
    Raises InputError for a net at chance, for images too few to tell, and for logits that are not finite.
    """
    hits, classes = _count_hits(net, images, labels, count("batch_size", batch_size))
    trials = len(labels)
    chance = max(1 / classes, float(labels.bincount().max()) / trials)
    needed = int(stats.binom.isf(open_unit("error", error), trials, chance)) + 1
    needed = max(needed, math.ceil(trials * chance) + 1)  # below, the bound on guesses that differ would not hold
    if needed > trials:
        raise refuse("images", f"{trials} with labels this alike", "more images: all right would be no evidence here")
    if hits < needed:
        raise InputError(
            f"net: got {hits} of {trials} images right, allowed are nets better than chance: at least {needed}"
            f" (a net that ignores its images gets there with probability at most {error:g})"
        )
    return hits / trials


def _count_hits(net: nn.Module, images: Tensor, labels: Tensor, batch_size: int) -> tuple[int, int]:
    """(images whose largest logit is their label's, number of classes)."""
    if len(images) != len(labels) or len(images) == 0:
        raise refuse("images, labels", f"{len(images)} and {len(labels)}", "the same number of each, at least one")
    if labels.ndim != 1 or labels.dtype != torch.int64:
        raise refuse("labels", f"{labels.dtype} of shape {tuple(labels.shape)}", "int64 of shape [N]")
    net.eval()
    logits = over_batches(lambda x: net(x).cpu(), images, device=device_of(net), batch_size=batch_size)
    if not bool(torch.isfinite(logits).all()):
        raise refuse("net", "logits that are NaN or infinite", "finite logits")
    check_label_range(labels, logits.shape[1])
    return int((logits.argmax(dim=1) == labels.cpu()).sum()), logits.shape[1]


def _existing_file(path: str | os.PathLike[str]) -> Path:
    with in_one_line("path", "the path of a file of weights"):
        path = Path(path)
    if not path.is_file():
        raise refuse("path", str(path), "an existing file of weights")
    return path


def _read(path: Path) -> object:
    """What the file holds. Whatever goes wrong in a reader of untrusted bytes becomes one line."""
    with path.open("rb") as file:
        begins = file.read(64).lstrip().lower()
    for start, what in OTHER_THINGS.items():
        if begins.startswith(start):
            raise refuse("path", str(path), f"a file of weights; this is {what}")
    try:
        if path.suffix == OWN_SUFFIX:
            return safetensors.torch.load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file that may be anything: it is read whole or refused
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a MemoryError too: of a length that a damaged file announces
        kind = "a whole .safetensors file" if path.suffix == OWN_SUFFIX else "a whole file by torch.save, tensors only"
        raise refuse("path", f"{path}, which cannot be read ({_reason(error)})", kind) from error


def _reason(error: Exception) -> str:
    """The exception's kind; for a pickle that wants more than tensors, what it asked for first."""
    asked = re.search(r" GLOBAL (\S+)", str(error))
    return f"it asks for {asked[1]}" if asked else type(error).__name__


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping):
        content = next((content[key] for key in HOLDERS if isinstance(content.get(key), Mapping)), content)
    if not isinstance(content, Mapping) or not content:
        keys = ", ".join(map(repr, HOLDERS))
        raise refuse("path", f"{path} with {type(content).__name__}", f"a dict of tensors, or one under {keys}")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise refuse("path", f"{path} with {type(value).__name__} at {name!r}", "a tensor under every name")
    return dict(content)


def _without_prefix(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """PREFIXES taken from all names, as long as all have one."""
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in weights):
            return _without_prefix({name.removeprefix(prefix): weight for name, weight in weights.items()})
    return weights


def _check_fit(weights: dict[str, Tensor], own: dict[str, Tensor], net_name: str, path: Path) -> None:
    both = [name for name in own if name in weights]
    dense = [name for name in both if _is_dense(weights[name])]  # another one may have no shape to ask for
    reshaped = [name for name in dense if weights[name].shape != own[name].shape]
    faults = {
        "missing": [name for name in own if name not in weights],
        "unexpected": [name for name in weights if name not in own],
        "of another shape": [f"{n} {list(weights[n].shape)} instead of {list(own[n].shape)}" for n in reshaped],
        "not dense": [name for name in both if name not in dense],
    }
    if not any(faults.values()):  # a small file can announce a large tensor: numbers are read when all else fits
        faults = {"not of finite real numbers": [n for n in both if not _is_sound(weights[n], own[n])]}
    if found := "; ".join(_listed(what, names) for what, names in faults.items() if names):
        raise InputError(f"path: got {path} with keys {found}; allowed is a file that fits {net_name} completely")


def _is_dense(tensor: Tensor) -> bool:
    """An ordinary tensor, in memory."""
    plain = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_nested
    return plain and tensor.device.type == "cpu" and tensor.dtype in KNOWN_DTYPES


def _is_sound(tensor: Tensor, own: Tensor) -> bool:
    """Numbers of the net's kind, floats where it has floats, that are finite in its precision too."""
    alike = (tensor.is_floating_point(), tensor.is_complex()) == (own.is_floating_point(), own.is_complex())
    return alike and bool(torch.isfinite(tensor.to(own.dtype)).all())


def _listed(what: str, names: list[str]) -> str:
    """'3 missing (a, b, c)', cut after NAMES_SHOWN."""
    shown = ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")
    return f"{len(names)} {what} ({shown})"
