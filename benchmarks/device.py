"""Speed and rounding of FaceNet64 on one device: `python benchmarks/device.py`, on a CUDA device if there is one.

- *peaks*: what the device's own matrix product reaches, in every precision. All shares are of the peak in bfloat16 (on
  a CPU: float32), measured in the same run.
- *forward*: the net on one batch, in one precision after the other, as it is and folded, channels last, compiled, and
  with all its kernels in one CUDA graph. FLOPs are those of the unfolded net, counted by torch.
- *batches*: images a second and memory against the size of the batch.
- *votes*: `Smoothing.counts` from end to end, noise and counting included.
- *rounding*: labels of the same noisy images, and votes of ten of them, in each precision against float32 throughout.
  The net is trained for this on drawn faces, as random weights give everybody one label.
- *profile*: the kernels that take most of the time of the fastest forward pass.

Every time is the median over rounds. A variant that this device or this torch cannot run is reported as such.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from rp_tutorial.core.devices import check_device, device_name
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.data.faces.sources import load_faces
from rp_tutorial.data.faces.task import FaceTask, to_float
from rp_tutorial.models.facenet import FaceNet64
from rp_tutorial.models.fold import folded
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.oracles.smoothing import Smoothing
from rp_tutorial.training.classify import fit_classifier

SIGMAS = (0.03, 0.1)
VOTES = 10
Forward = Callable[[Tensor], Tensor]
Variant = tuple[bool, torch.dtype | None, Callable[[Tensor], Forward]]


@dataclass(frozen=True)
class Size:
    """How much is done: on a card, and where the path is only to be walked."""

    side: int = 8192  # of the matrices
    batch: int = 1024
    batches: tuple[int, ...] = (64, 128, 256, 341, 512, 1024, 2048, 4096)
    people: int = 100
    images_seen: int = 60_000
    noisy: int = 20_000  # images whose labels are compared
    voted: int = 64  # images of a vote
    copies: int = 1000
    rounds: int = 5
    small: bool = False


SMOKE = Size(side=256, batch=16, batches=(4, 16), people=5, images_seen=512, noisy=100, voted=4, copies=20, rounds=1,
             small=True)  # fmt: skip


@contextmanager
def products(allow_tf32: bool) -> Iterator[None]:
    """Inside, CUDA's float32 products are those of float32, or of TF32."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allow_tf32
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def seconds(job: Callable[[], Any], device: torch.device, rounds: int) -> float:
    """Median time of a job, after two that do not count."""
    found = []
    for number in range(rounds + 2):
        started = time.perf_counter()
        job()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if number > 1:
            found.append(time.perf_counter() - started)
    return statistics.median(found)


def peaks(device: torch.device, size: Size) -> dict[str, float]:
    """TFLOP/s of a square matrix product of random numbers, by precision."""
    generator = torch_generator(Purpose.BENCHMARK_INPUTS, device=device)
    a, b = (torch.randn(size.side, size.side, generator=generator, device=device) for _ in range(2))
    found = {}
    for name, dtype, tf32 in (("float32", torch.float32, False), ("tf32", torch.float32, True),
                              ("bfloat16", torch.bfloat16, False), ("float16", torch.float16, False)):  # fmt: skip
        if device.type == "cuda" or name in ("float32", "bfloat16"):
            left, right = a.to(dtype), b.to(dtype)
            with products(tf32):
                spent = seconds(lambda left=left, right=right: left @ right, device, 2 * size.rounds)
            found[name] = 2 * size.side**3 / spent / 1e12
    return found


def in_graph(net: nn.Module, x: Tensor) -> Forward:
    """The net's kernels for inputs like x, recorded once and replayed."""
    held, stream, graph = x.clone(), torch.cuda.Stream(), torch.cuda.CUDAGraph()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            net(held)
    torch.cuda.current_stream().wait_stream(stream)
    with torch.cuda.graph(graph):
        out = net(held)

    def replayed(x: Tensor) -> Tensor:
        held.copy_(x)
        graph.replay()
        return out

    return replayed


def variants(net: nn.Module) -> dict[str, Variant]:
    """name -> (TF32, autocast, x -> the net ready for inputs like x)."""
    fast, bf16 = folded(net), torch.bfloat16
    half = in_halves(net)
    return {
        "float32": (False, None, lambda x: net),
        "float32, folded": (False, None, lambda x: fast),
        "tf32": (True, None, lambda x: net),
        "tf32, folded": (True, None, lambda x: fast),
        "autocast bfloat16": (True, bf16, lambda x: net),
        "autocast bfloat16, folded": (True, bf16, lambda x: fast),
        "bfloat16, folded": (True, None, lambda x: half),
        "bfloat16, folded, compiled": (True, None, lambda x: torch.compile(half)),
        "autocast bfloat16, folded, compiled": (True, bf16, lambda x: torch.compile(fast)),
        "autocast bfloat16, folded, compiled for any batch": (True, bf16, lambda x: torch.compile(fast, dynamic=True)),
    }


def graphs(net: nn.Module) -> dict[str, Variant]:
    """The fastest of them with all kernels of a forward pass in one CUDA graph."""
    half = in_halves(net)
    return {
        "bfloat16, folded, graph": (True, None, lambda x: in_graph(half, x)),
        "bfloat16, folded, compiled, graph": (True, None, lambda x: in_graph(torch.compile(half), x)),
    }


def in_halves(net: nn.Module) -> Forward:
    """The folded net with weights in bfloat16."""
    half = folded(net).to(torch.bfloat16)
    return lambda x: half(x.to(torch.bfloat16))


def ready(variant: Variant, x: Tensor) -> Forward:
    """A variant for inputs like x, as a function that sets its own precision."""
    tf32, dtype, make = variant
    forward = make(x)

    def call(x: Tensor) -> Tensor:
        with products(tf32), torch.autocast(x.device.type, dtype=dtype, enabled=dtype is not None):
            return forward(x)

    call(x)
    return call


def forwards(
    tried: dict[str, Variant], x: Tensor, size: Size, *, flop: int, peak: float
) -> tuple[list[dict[str, Any]], dict[str, Forward]]:
    """A row a variant, and those that run."""
    rows, found = [], {}
    for name, variant in tried.items():
        try:
            began = time.perf_counter()
            call = ready(variant, x)
            first = time.perf_counter() - began
            spent = seconds(lambda call=call: call(x), x.device, size.rounds)
        except Exception as error:
            rows.append({"what": name, "cannot": in_short(error)})
            continue
        found[name], speed = call, len(x) / spent
        rows.append({"what": name, "batch": len(x), "images_per_second": speed, "tflop_per_second": speed * flop / 1e12,
                     "share_of_peak": speed * flop / 1e12 / peak, "first_call_seconds": first})  # fmt: skip
        print(f"  {name}: {speed:,.0f} images/s, {speed * flop / 1e12 / peak:.1%} of the peak", flush=True)
    return rows, found


def in_short(error: Exception) -> str:
    """Which error of a compiler or a driver it was: that is the finding."""
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')[:160]}"


def by_batch(name: str, net: nn.Module, x: Tensor, size: Size) -> list[dict[str, Any]]:
    """Speed and memory of one variant against the size of the batch."""
    rows = []
    for batch in size.batches:
        part = x[torch.arange(batch, device=x.device) % len(x)]
        call = ready(variants(net)[name], part)
        if x.is_cuda:
            torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() if x.is_cuda else 0
        spent = seconds(lambda call=call, part=part: call(part), x.device, size.rounds)
        peak = (torch.cuda.max_memory_allocated() - before) / 2**20 if x.is_cuda else None
        rows.append({"what": name, "batch": batch, "images_per_second": batch / spent, "memory_mib": peak})
    return rows


def votes(net: nn.Module, x: Tensor, size: Size, alone: dict[str, float]) -> list[dict[str, Any]]:
    """Noisy images a second through `Smoothing.counts`, and the share of what the net alone does in that precision."""
    rows, fast = [], folded(net)
    for name, of, tf32, dtype in (("float32", net, False, None), ("tf32, folded", fast, True, None),
                                  ("autocast bfloat16, folded", fast, True, torch.bfloat16)):  # fmt: skip
        smoothing = Smoothing(of, num_classes=net.num_classes, sigma=SIGMAS[-1], seed=0, autocast=dtype)
        copies = max(VOTES, size.copies // (10 if name == "float32" else 1))
        with products(tf32):
            spent = seconds(
                lambda smoothing=smoothing, copies=copies: smoothing.counts(x[: size.voted], copies), x.device,
                max(1, size.rounds // 2),
            )  # fmt: skip
        speed = min(size.voted, len(x)) * copies / spent
        rows.append({"what": name, "images_per_second": speed, "share_of_net_alone": speed / alone[name]})
        print(f"  VOTE, {name}: {speed:,.0f} noisy images/s", flush=True)
    return rows


def rounding(x: Tensor, size: Size, found: dict[str, Forward]) -> list[dict[str, Any]]:
    """How often a precision gives another label, or another vote of ten, than float32 throughout."""
    rows = []
    for sigma in SIGMAS:
        generator = torch_generator(Purpose.BENCHMARK_NOISE, device=x.device)
        labels: dict[str, list[Tensor]] = {name: [] for name in found}
        for _ in range(max(VOTES, size.noisy // len(x))):
            noisy = x + sigma * torch.randn(x.shape, generator=generator, device=x.device)
            for name, call in found.items():
                labels[name].append(call(noisy).argmax(dim=1))
        every = {name: torch.stack(of) for name, of in labels.items()}  # [draws, images]
        draws = len(every["float32"]) // VOTES * VOTES
        for name, of in every.items():
            voted = [t[:draws].unflatten(0, (-1, VOTES)).mode(dim=1).values for t in (of, every["float32"])]
            rows.append({
                "what": name, "sigma": sigma, "noisy_images": of.numel(), "votes": voted[0].numel(),
                "labels_differ": float((of != every["float32"]).double().mean()),
                "votes_differ": float((voted[0] != voted[1]).double().mean()),
            })  # fmt: skip
    return rows


def kernels(call: Forward, x: Tensor) -> list[dict[str, Any]]:
    """The kernels of three forward passes, by their share of the time."""
    on_card = x.is_cuda
    call(x)
    with profile(activities=[ProfilerActivity.CUDA if on_card else ProfilerActivity.CPU]) as seen:
        for _ in range(3):
            call(x)
        if on_card:
            torch.cuda.synchronize()
    spent_by = "self_device_time_total" if on_card else "self_cpu_time_total"
    events = [(e.key, getattr(e, spent_by), e.count) for e in seen.key_averages()]
    total = sum(spent for _, spent, _ in events) or 1
    events.sort(key=lambda event: -event[1])
    return [{"kernel": name[:80], "share": spent / total, "calls": calls // 3} for name, spent, calls in events[:12]]


def trained(task: FaceTask, size: Size, device: torch.device) -> tuple[nn.Module, float]:
    """FaceNet64 (or the small net) trained on drawn faces in float32, and training images a second."""
    net = SmallFaceNet(task.num_classes, size=64) if size.small else FaceNet64(task.num_classes)
    epochs = max(1, size.images_seen // len(task.x_train))
    began = time.perf_counter()
    how = {"epochs": epochs, "batch_size": 16 if size.small else 256, "device": device}
    fit_classifier(net, task.x_train, task.y_train, autocast=torch.bfloat16 if device.type == "cuda" else None, **how)
    return net.requires_grad_(False), epochs * len(task.x_train) / (time.perf_counter() - began)


def report(device: torch.device, size: Size) -> dict[str, Any]:
    """Everything, as a JSON value."""
    name = device_name(device)
    print(f"{name}, torch {torch.__version__}", flush=True)
    peak = peaks(device, size)
    top = peak["bfloat16" if device.type == "cuda" else "float32"]
    print("  peaks, TFLOP/s:", {key: round(value, 2) for key, value in peak.items()}, flush=True)
    task = load_faces("synthetic", size=64, identities=size.people, train_images=60, test_images=20, public_images=200)
    net, training = trained(task, size, device)
    print(f"  training: {training:,.0f} images/s", flush=True)
    about = {"torch": torch.__version__, "python": platform.python_version(), "cuda": torch.version.cuda}
    return {
        "device": name,
        "net": type(net).__name__,
        "versions": about,
        "peaks_tflop_per_second": peak,
        "training_images_per_second": training,
        **measured(net, task, size, device, top),
    }


@torch.inference_mode()
def measured(net: nn.Module, task: FaceTask, size: Size, device: torch.device, top: float) -> dict[str, Any]:
    """All that is measured on the trained net."""
    images = to_float(task.x_test).to(device)
    x = images[torch.arange(size.batch, device=device) % len(images)].contiguous(memory_format=torch.channels_last)
    right = net(images[: size.batch]).argmax(1).cpu() == task.y_test[: size.batch]
    with FlopCounterMode(display=False) as counter:
        net(x[:1])
    of = {"flop": counter.get_total_flops(), "peak": top}
    tried = {name: one for name, one in variants(net).items() if not (size.small and "bfloat16, folded, comp" in name)}
    rows, found = forwards(tried, x, size, **of)
    ran = {row["what"]: row["images_per_second"] for row in rows if "cannot" not in row}
    best = max(ran, key=ran.__getitem__)
    parts: dict[str, Callable[[], Any]] = {
        "rounding": lambda: rounding(
            images[: len(x)], size, {k: v for k, v in found.items() if k != "float32, folded"}
        ),
        "profile": lambda: kernels(found[best], x),
        "votes": lambda: votes(net, images[: size.voted], size, ran),
        "batches": lambda: by_batch("autocast bfloat16, folded", net, x, size),
        "graphs": lambda: forwards(graphs(net), x, size, **of)[0] if device.type == "cuda" else [],
    }
    results = {"accuracy": float(right.double().mean()), **of, "forward": rows, "fastest": best}
    for name, work in parts.items():
        try:
            results[name] = work()
        except Exception as error:
            results[name] = {"cannot": in_short(error)}
            print(f"  {name}: {in_short(error)}", flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--smoke", action="store_true", help="a small net and few images: does everything run?")
    parser.add_argument("--out", type=Path, help="a JSON file")
    options = parser.parse_args()
    found = report(check_device(options.device), SMOKE if options.smoke else Size())
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    else:
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
