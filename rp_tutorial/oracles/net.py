"""The one door through which a net is called: asked in the ordinary way first, and only then trusted.

Counting votes runs a net in batches of any size, on several cores, at times only from its second layer on. That is
right for a function of one row, and silently wrong for a net that mixes the rows of a batch, keeps a tensor between
calls or does more than its layers say. So a few rows go through the front door before anything is counted, and again
whenever the net has changed.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from rp_tutorial.core.arguments import InputError, count, in_one_line, refuse
from rp_tutorial.core.devices import check_device
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.core.threads import side_by_side
from rp_tutorial.models.batches import device_of

Logits = int | str | Callable[[Any], Tensor]

ROWS = 3  # asked together; the first of them alone, too
SPREAD = 0.1  # of rows made up as company for a single one, where no noise is known to come
ULPS = 8  # by which rows are rounded, to see what rounding does
TRIALS = 3  # of the same rows on several cores at once
# Two ways to the same logits may differ by this part of the largest: a hundred times what was seen of convolutions and
# attention in batches of different sizes.
RESOLUTION = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}


class CheckedNet:
    """`net` as a function from rows [B, ...] to logits [B, num_classes], in eval mode, on the device where it lies.

    `check` refuses in one line what is not such a function on the rows at hand: an output of another kind, NaN or
    infinite logits, a row that gets other logits in company than alone or when it is asked again. It also finds out
    whether the net may run on several cores at once (`threads`): not if a call changes what its modules hold, nor if
    calls at once were seen to disturb each other.
    What it cannot see: rows that are mixed by less than the rounding, randomness or memory that did not show in these
    few calls, and what a net keeps outside of its modules.

    logits: the part of the output that holds them, by index, key or name, or a function of the output. threads: how
    many cores at once; 1 for a net that must not be called twice at a time, None to go by what is seen. A caller's
    own autocast is not the net's: only `autocast` is. Raises InputError for arguments that cannot be.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        num_classes: int,
        device: torch.device | str | None = None,
        logits: Logits | None = None,
        threads: int | None = None,
        autocast: torch.dtype | None = None,
    ) -> None:
        if not isinstance(net, nn.Module):
            raise refuse("net", type(net).__name__, "a torch nn.Module")
        if autocast is not None and not isinstance(autocast, torch.dtype):
            raise refuse("autocast", autocast, "a torch dtype such as torch.bfloat16, or None")
        self.num_classes, self.logits, self.autocast = count("num_classes", num_classes, minimum=2), logits, autocast
        self.module = net if device is None else net.to(check_device(device))
        self.device = device_of(net) if device is None else check_device(device)
        self.threads = self._threads_asked_for = None if threads is None else count("threads", threads)
        self._seen: tuple[Any, ...] = ()
        self._writes_inputs = True  # until it is seen not to

    def __call__(self, x: Tensor) -> Tensor:
        """The net's logits for rows on its device, which stay as they are."""
        return self.chosen(self.in_own_precision(self.module, x.clone() if self._writes_inputs else x))

    def as_batch(self, x: Tensor | ArrayLike) -> Tensor:
        """A tensor as it is; an array or a data frame of numbers as a tensor of the net's own dtype."""
        if isinstance(x, Tensor):
            return x
        with in_one_line("x", "a tensor, or an array or data frame of numbers", what=f"{type(x).__name__}: "):
            table = torch.from_numpy(np.array(x, dtype=np.float64))
        return table.to(next((w.dtype for w in self.module.parameters() if w.is_floating_point()), table.dtype))

    def in_own_precision(self, call: Callable[[Tensor], Any], x: Tensor) -> Any:
        """call(x) under `autocast`, or without any."""
        with torch.autocast(self.device.type, dtype=self.autocast, enabled=self.autocast is not None):
            return call(x)

    def chosen(self, output: Any) -> Tensor:
        """The logits in what the net returned."""
        if callable(self.logits):
            output = self.logits(output)
        elif self.logits is not None:
            by_name = isinstance(self.logits, str) and not isinstance(output, Mapping)
            allowed = f"a part of what the net returns, {_described(output)}"
            with in_one_line("logits", allowed, what=f"{self.logits!r}: "):
                output = getattr(output, self.logits) if by_name else output[self.logits]
        if not isinstance(output, Tensor) or not output.is_floating_point():
            allowed = "a float tensor of logits; logits= says which part of the output that is, or makes it one"
            raise refuse("net", _described(output), allowed)
        return output

    @torch.inference_mode()
    def check(self, x: Tensor, *, spread: float = SPREAD) -> bool:
        """Puts the net into eval mode and looks at it with the first rows of x; False if nothing is new since.

        spread: standard deviation of the noise that makes company for a single row.
        """
        if any(module.training for module in self.module.modules()):
            self.module.eval()
        seen = (*_marks(self.module), x.shape[1:], x.dtype)
        if seen == self._seen:
            return False
        if device_of(self.module) != self.device:
            raise refuse("net", f"weights on {device_of(self.module)}", f"weights on {self.device}, where they were")
        rows, random = self._with_company(x, spread), self._random_state()
        before = _held(self.module)  # alive until after, or another object could get the id of one that is gone
        self._writes_inputs, given = True, rows.clone()
        alone = self._asked(rows[:1])
        self.in_own_precision(self.module, given)
        self._writes_inputs = not torch.equal(given, rows)
        keeps_nothing = _held(self.module)[1] == before[1]
        if not bool(alone.amax().isfinite()):
            raise InputError("net: got NaN or infinite logits for the first row of x, allowed are finite numbers")
        again = self._asked(rows[:1])
        if not torch.equal(self._random_state(), random) or not _close(again, alone, atol=self._resolution(alone)):
            raise InputError("net: got one that draws, or gives a row other logits when asked again, allowed is a "
                             "function of x")  # fmt: skip
        together = self._asked(rows)
        atol = self._rounding(rows, together)
        if not _close(together[:1], alone, atol=atol):
            raise InputError("net: got other logits for a row in a batch than alone, allowed is one row, one answer")
        alike = self._threads_asked_for is None and keeps_nothing and self._undisturbed(rows, together, atol)
        self.threads = self._threads_asked_for or (None if alike else 1)
        self._seen = seen
        return True

    @torch.inference_mode()
    def agrees_with(self, faster: Callable[[Tensor], Tensor], x: Tensor, *, spread: float) -> bool:
        """Whether another way to the logits gives those of an ordinary call, on the rows that `check` asks about."""
        rows = self._with_company(x, spread)
        exact = self._asked(rows)
        try:
            return _close(self.in_own_precision(faster, rows), exact, atol=self._rounding(rows, exact))
        except (RuntimeError, IndexError):
            return False

    def _random_state(self) -> Tensor:
        """Of torch's global generator on the device: what a layer that draws draws from."""
        return torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else torch.get_rng_state()

    def _with_company(self, x: Tensor, spread: float) -> Tensor:
        """ROWS different rows: the first of x, and at the end copies of the very first under noise."""
        rows = x[: ROWS - 1].to(self.device)
        shape = (ROWS - len(rows), *rows.shape[1:])
        noise = torch.randn(shape, generator=torch_generator(Purpose.COMPANY, 0), dtype=torch.float32)
        return torch.cat([rows, rows[:1] + spread * noise.to(rows)])

    def _asked(self, rows: Tensor) -> Tensor:
        """Logits [B, K] of an ordinary call, or one line that says what came instead."""
        dtypes = ", ".join(sorted({str(weight.dtype) for weight in self.module.parameters()}))
        takes = f"{dtypes} weights take x of that dtype: here {rows.dtype}"
        with in_one_line("net", f"a net that takes rows {tuple(rows.shape)}; {takes}"):
            found = self(rows)
        if found.shape != (len(rows), self.num_classes):
            hint = "; for one output z, logits=lambda z: torch.cat([-z, z], 1)" if self.num_classes == 2 else ""
            allowed = f"logits of shape [B, {self.num_classes}]{hint}"
            raise refuse("net", f"outputs of shape {tuple(found.shape)}", allowed)
        return found.clone()  # a net may write its next answer into the same memory

    def _resolution(self, logits: Tensor) -> float:
        """How far apart two computations of these logits may lie, by the dtype of the arithmetic."""
        return RESOLUTION.get(self.autocast or logits.dtype, max(RESOLUTION.values())) * _largest(logits)

    def _rounding(self, rows: Tensor, exact: Tensor) -> float:
        """The same for a net that may take the difference of two large numbers: what rounded rows do to its logits."""
        moved = self._asked(rows * (1 + ULPS * torch.finfo(self.autocast or exact.dtype).eps)) - exact
        return max(self._resolution(exact), ULPS * _largest(moved))

    def _undisturbed(self, rows: Tensor, together: Tensor, atol: float) -> bool:
        """Whether calls at once give what they gave in turn. A race may hide, which is why `_held` comes first."""
        try:
            found = side_by_side(self._asked, [rows, rows[1:]] * TRIALS, device=self.device)
        except InputError:
            return False
        return all(_close(logits, together[-len(logits) :], atol=atol) for logits in found)


def _largest(numbers: Tensor) -> float:
    """The largest size of those that are finite; 0 for none."""
    return float(numbers.nan_to_num(0.0, 0.0, 0.0).abs().amax())


def _close(found: Tensor, expected: Tensor, *, atol: float) -> bool:
    """Equal up to atol, with NaN and infinities at the same places."""
    return torch.allclose(found.to(expected), expected, rtol=0.0, atol=atol, equal_nan=True)


def _described(output: Any) -> str:
    """A net's output in a few words: its type, and what can be chosen from it."""
    if isinstance(output, Mapping):
        return f"{type(output).__name__} with {', '.join(map(repr, output))}"
    if isinstance(output, (tuple, list)):
        return f"{type(output).__name__} of {len(output)}"
    return f"a tensor of {output.dtype}" if isinstance(output, Tensor) else type(output).__name__


def _marks(net: nn.Module) -> tuple[Any, ...]:
    """What differs after a change: the modules and their hooks, the kind of their numbers and how often written to.

    The modules themselves, kept alive: an id would be given again.
    """
    numbers = ((id(t), t.dtype, t.device, _writes(t)) for t in (*net.parameters(), *net.buffers()))
    return tuple((m, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()), tuple(numbers)


def _held(net: nn.Module) -> tuple[list[Any], list[Any]]:
    """All that the modules hold; and of each which object it is, and how often written to."""
    held = [value for module in net.modules() for value in vars(module).values()]
    for value in [*held]:
        if isinstance(value, (Mapping, list, tuple, set, deque)):
            held += value.values() if isinstance(value, Mapping) else value
    return held, [(id(value), _writes(value)) for value in held]


def _writes(value: Any) -> int:
    """How often a tensor was written to, as far as torch counts it."""
    return value._version if isinstance(value, Tensor) and not value.is_inference() else 0
