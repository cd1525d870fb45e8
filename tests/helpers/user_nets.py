"""Nets as users have them, from public bug reports of this field: [B, 6] to three classes unless said otherwise."""

import copy
from collections import OrderedDict, deque
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

FEATURES, CLASSES = 6, 3


def plain(*extra: nn.Module, seed: int = 3) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(FEATURES, 16), *extra, nn.ReLU(), nn.Linear(16, CLASSES))
        with torch.no_grad():
            for weight in net.parameters():
                weight.mul_(2)
    return net


def hooked(place, *, before=False, change=lambda value: 3 * value):
    net = plain()
    module = net if place is None else net[place]
    if before:
        module.register_forward_pre_hook(lambda _, inputs: (change(inputs[0]),))
    else:
        module.register_forward_hook(lambda _, inputs, output: change(output))
    return net


def changed(change):
    net = plain()
    change(net)
    return net


def old_spectral_norm(net):
    nn.utils.spectral_norm(net[0])
    net.eval()


def loaded_spectral_norm():
    trained = changed(old_spectral_norm).train()
    for _ in range(5):
        trained(torch.randn(8, FEATURES, generator=torch.Generator().manual_seed(0)))
    net = changed(old_spectral_norm)
    net.load_state_dict(trained.state_dict())
    return net


class Module(nn.Module):
    """A net with a forward of its own around two layers."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        self.first, self.last = plain()[0], plain()[2]
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.last(self.first(x).relu())


class Tuple(Module):
    def forward(self, x):
        hidden = self.first(x).relu()
        return hidden, self.last(hidden)


class Dictionary(Module):
    def forward(self, x):
        return OrderedDict(logits=super().forward(x), other=x)


@dataclass
class Output:
    logits: torch.Tensor


class Object(Module):
    def forward(self, x):
        return Output(super().forward(x))


class WritesInputs(Module):
    """In place on what it is given, as a preprocessing step may do."""

    def forward(self, x):
        return super().forward(x.mul_(2).sub_(0.5))


class KeepsTensor(Module):
    """A skip connection through self: rows of two threads meet."""

    def forward(self, x):
        self.skip = self.first(x).relu()
        return self.last(self.skip * 0.5 + self.skip.sin())


class KeepsUnderscored(Module):
    def forward(self, x):
        self._taps = {"hidden": self.first(x).relu()}
        return self.last(self._taps["hidden"])


class KeepsRecent(Module):
    """A tensor in a container that stays the same object."""

    def __init__(self, **parts):
        super().__init__(**parts)
        self.recent = deque(maxlen=1)

    def forward(self, x):
        self.recent.append(self.first(x).relu())
        return self.last(self.recent[-1])


class Counts(Module):
    """Another answer at every call."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x) + self.calls * torch.eye(CLASSES)[self.calls % CLASSES] * 5


class Random(Module):
    def forward(self, x):
        return nn.functional.dropout(super().forward(x), 0.5, training=True)


class Mixes(Module):
    def forward(self, x):
        return super().forward(x - x.mean(dim=0))


class MixesByAttention(Module):
    def forward(self, x):
        return super().forward(torch.softmax(x @ x.T, dim=1) @ x)


class Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.lstm, self.last = nn.LSTM(2, 8, batch_first=True), nn.Linear(8, CLASSES)

    def forward(self, x):
        return 4 * self.last(self.lstm(x.view(-1, 3, 2))[0][:, -1])


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.layer = nn.TransformerEncoderLayer(6, 2, 12, batch_first=True)
            self.last = nn.Linear(6, CLASSES)

    def forward(self, x):
        return 4 * self.last(self.layer(x[:, None, :]).mean(dim=1))


class Sigmoid(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = plain()

    def forward(self, x):
        return self.body(x)[:, :1].sigmoid()


class Logarithm(Module):
    """NaN for a part of the noisy rows only."""

    def forward(self, x):
        return super().forward(torch.log(x + 1.5))


class Squeezed(Module):
    """[K] and not [1, K] for a single row."""

    def forward(self, x):
        return super().forward(x).squeeze()


class Normalised(nn.Linear):
    """A linear layer by name, with a forward of its own."""

    def forward(self, x):
        return super().forward(x / (1 + x.norm(dim=1, keepdim=True)))


def batch_norm(trained: bool, **options) -> nn.Module:
    net = plain(nn.BatchNorm1d(16, **options))
    if trained:
        for _ in range(20):
            net(torch.randn(64, FEATURES, generator=torch.Generator().manual_seed(2)))
    return net


def ill_scaled() -> nn.Module:
    """Reads the second feature, behind a first layer whose other row is ten million times larger."""
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.diag(torch.tensor([1e7, 1.0])))
        net[1].weight.copy_(torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
    return net


def tied() -> nn.Module:
    net = plain()
    with torch.no_grad():
        net[2].weight[1], net[2].bias[1] = net[2].weight[0], net[2].bias[0]
    return net


def with_number(number: float, *, place: int = 2) -> nn.Module:
    net = plain()
    with torch.no_grad():
        net[place].weight[0, 0] = number
    return net


def quantised() -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(Module(), {nn.Linear}, dtype=torch.qint8)


def own_forward_on_the_instance() -> nn.Module:
    net = plain()
    old = net.forward
    net.forward = lambda x: old(2 * x)
    return net


NETS = {
    "plain": plain,
    "pre-hook that standardises": lambda: hooked(None, before=True, change=lambda x: (x - 1) / 3),
    "hook on the net": lambda: hooked(None, change=lambda y: y.roll(1, dims=1)),
    "hook on the first layer": lambda: hooked(0),
    "hook on the ReLU": lambda: hooked(1, change=lambda h: 1 - h),
    "hook on the last layer": lambda: hooked(2, change=lambda y: -y),
    "pre-hook on the last layer": lambda: hooked(2, before=True, change=lambda h: -h),
    "own forward on the instance": own_forward_on_the_instance,
    "spectral norm": lambda: changed(old_spectral_norm),
    "spectral norm, trained and loaded": loaded_spectral_norm,
    "weight norm": lambda: changed(lambda net: nn.utils.weight_norm(net[0])),
    "pruned": lambda: changed(lambda net: prune.l1_unstructured(net[0], "weight", amount=0.7)),
    "parametrized, spectral": lambda: changed(lambda net: parametrizations.spectral_norm(net[0])),
    "parametrized, orthogonal": lambda: changed(lambda net: parametrizations.orthogonal(net[0])),
    "parametrized, weight norm": lambda: changed(lambda net: parametrizations.weight_norm(net[2])),
    "batch norm": lambda: batch_norm(True),
    "batch norm, fresh": lambda: batch_norm(False),
    "batch norm, not affine": lambda: batch_norm(True, affine=False),
    "batch norm over its batch": lambda: batch_norm(True, track_running_stats=False),
    "group norm": lambda: plain(nn.GroupNorm(4, 16)),
    "layer norm": lambda: plain(nn.LayerNorm(16)),
    "dropout": lambda: plain(nn.Dropout(0.5)),
    "dropout that is always on": Random,
    "module": Module,
    "LSTM": Lstm,
    "attention": Attention,
    "attention over the batch": MixesByAttention,
    "mean over the batch": Mixes,
    "traced": lambda: torch.jit.trace(plain().eval(), torch.zeros(2, FEATURES)),
    "scripted": lambda: torch.jit.script(Module()),
    "fx": lambda: torch.fx.symbolic_trace(plain()),
    # By the front of the compiler alone: its back end asks for a C++ compiler, which a machine may not have.
    "compiled": lambda: torch.compile(plain(), backend="eager"),
    "compiled, ahead of time": lambda: torch.compile(Module().eval(), backend="aot_eager"),
    "quantised": quantised,
    "tuple": Tuple,
    "dictionary": Dictionary,
    "dataclass": Object,
    "one sigmoid output": Sigmoid,
    "tied logits": tied,
    "ill-scaled": ill_scaled,
    "writes to its inputs": WritesInputs,
    "keeps a tensor": KeepsTensor,
    "keeps a tensor in a deque": KeepsRecent,
    "keeps a tensor, underscored": KeepsUnderscored,
    "counts its calls": Counts,
    "NaN weight": lambda: with_number(float("nan")),
    "NaN weight, first layer": lambda: with_number(float("nan"), place=0),
    "infinite weight": lambda: with_number(float("inf")),
    "NaN under noise": Logarithm,
    "half": lambda: plain().half(),
    "double": lambda: plain().double(),
    "bfloat16": lambda: plain().bfloat16(),
    "squeezed": Squeezed,
    "own first layer": lambda: nn.Sequential(Normalised(FEATURES, 16), *list(plain())[1:]),
    "in-place ReLU": lambda: nn.Sequential(plain()[0], nn.ReLU(inplace=True), plain()[2]),
    "nested": lambda: nn.Sequential(nn.Sequential(plain()[0], nn.ReLU()), nn.Sequential(plain()[2])),
    "log of softmax": lambda: nn.Sequential(*plain(), nn.Softmax(dim=1), type("Log", (nn.Module,), {
        "forward": lambda self, x: x.log()})()),
    "data parallel": lambda: nn.DataParallel(plain()),
    "averaged": lambda: torch.optim.swa_utils.AveragedModel(plain()),
    "deep copy": lambda: copy.deepcopy(plain()),
    "flattens": lambda: nn.Sequential(nn.Flatten(), *plain()),
}  # fmt: skip


def build(name: str) -> nn.Module:
    """The net of that name, the same at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        return NETS[name]()


LOGITS = {"tuple": 1, "dictionary": "logits", "dataclass": "logits",
          "one sigmoid output": lambda p: torch.cat([1 - p, p], 1)}  # fmt: skip
OUTPUTS = {"one sigmoid output": 2, "ill-scaled": 2}
