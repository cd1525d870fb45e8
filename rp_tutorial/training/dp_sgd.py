"""DP-SGD: training after which one record more or less in the training set can hardly be told from the weights.

Every record's gradient is clipped and noise is added to their sum (Abadi et al. 2016), with Opacus, which computes the
gradients record by record. The guarantee is about one *record*. All images of a person together are many records, and
what they have in common, the class, is what the net is trained to learn. What noise costs in epsilon is in
`privacy_accounting.py`; training without privacy is in `classify.py` and `fit.py`; the face nets and their settings
are in `experiments/faces/private_nets.py`.
"""

import copy
import dataclasses
import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import InputError, count, in_one_line, open_unit, positive, refuse
from rp_tutorial.core.devices import check_device
from rp_tutorial.core.labels import check_label_range
from rp_tutorial.core.streams import Purpose, global_stream, torch_generator, unknown_seed
from rp_tutorial.models.batches import as_floats
from rp_tutorial.training.image_batches import check_images, check_labels
from rp_tutorial.training.privacy_accounting import calibrated_noise, optional_package, spent_epsilon

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
FEWEST = 4  # values in a group of a layer without axes beside the channels: of two only the sign would be left
TRAINABLE = "layers in the dtype of the inputs, all of use, that change nothing in place"
GROUPS = 4  # of a group normalisation: with Opacus' usual 32, each of 16 or 32 channels would be a group of its own


@dataclasses.dataclass(frozen=True)
class PrivacyRecord:
    """What a net's training spent: (epsilon, delta) under adding or removing one record, by the PRV accountant.

    noise_multiplier: standard deviation of the noise over `clip`; clip: the norm to which each record's gradient was
    cut; sample_rate: probability of each record to enter one of the `steps`.
    """

    epsilon: float
    delta: float
    noise_multiplier: float
    clip: float
    steps: int
    sample_rate: float


UNTRAINED = PrivacyRecord(*[math.nan] * len(dataclasses.fields(PrivacyRecord)))


class PrivateNet(nn.Module):
    """A net and the record of its private training, which is stored and loaded with its weights."""

    def __init__(self, net: nn.Module, record: PrivacyRecord = UNTRAINED) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("record", torch.tensor(dataclasses.astuple(record), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    @property
    def privacy(self) -> PrivacyRecord:
        """The record. Raises InputError for a net that was not trained privately, and has no weights loaded."""
        record = PrivacyRecord(*self.record.tolist())
        if math.isnan(record.epsilon):
            raise InputError("net: got a net without a privacy record, allowed is one that DP-SGD has trained")
        return dataclasses.replace(record, steps=round(record.steps))


def fit_privately(
    net: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    delta: float = 1e-5,
    epochs: float = 10,
    batch_size: int = 256,
    clip: float = 1.0,
    learning_rate: float = 1.0,
    seed: int | None = None,
    physical_batch: int = 64,
    device: str | torch.device = "cpu",
) -> PrivateNet:
    """Train the parameters of `net` that require gradients; the result is (`epsilon`, `delta`)-DP for each record.

    Neighbours: one row of (inputs, labels) added or removed; what the other parameters and the settings know of the
    private rows is not counted. inputs: byte images [N, 3, S, S] or floats [N, ...];
    labels int64 [N]. Each of round(epochs N / batch_size) steps takes every record with probability
    batch_size / N, so batches differ in size and may be empty; they are worked through `physical_batch` records at a
    time, which bounds memory and changes nothing else. The `learning_rate` of SGD falls linearly to 0. N is public.

    A batch normalisation mixes records. One whose parameters are all frozen is run on its stored statistics; any other
    is refused: see `with_group_norm` and `train_only`. `net` is trained in place and comes back in eval mode.
    Noise is from the operating system, or from `seed` so that runs repeat: keep that as secret as the data, or the
    noise can be taken off again. Of any seed a CPU generator keeps 32 bits, few enough to try them all: a net to be
    published needs other noise.
    Raises InputError for arguments out of range, records or trained weights that are not finite, a net that mixes
    records or that Opacus cannot train (operations in place, parameters of no use), and where Opacus is missing.
    """
    place, rows = check_device(device), _check_records(inputs, labels)
    _in_training(net)
    rate = min(1.0, count("batch_size", batch_size) / rows)
    steps = max(1, round(positive("epochs", epochs) / rate))
    delta = open_unit("delta", delta)
    sigma = calibrated_noise(positive("epsilon", epsilon), delta=delta, sample_rate=rate, steps=steps)
    spent = spent_epsilon(sigma, delta=delta, sample_rate=rate, steps=steps)
    record = PrivacyRecord(spent, delta, sigma, positive("clip", clip), steps, rate)
    inputs, labels, seed = inputs.to(place), labels.to(place), unknown_seed() if seed is None else seed
    with global_stream(Purpose.LAYER_DRAWS, seed), in_one_line("net", TRAINABLE):
        check_label_range(labels, net.to(place)(as_floats(inputs[:1])).shape[1])

    def mean_loss(model: nn.Module, chosen: Tensor) -> Tensor:
        chosen = chosen.to(place)
        return nn.functional.cross_entropy(model(as_floats(inputs[chosen])), labels[chosen])

    private_steps(net, mean_loss, rows, record, learning_rate=learning_rate, seed=seed, physical_batch=physical_batch)
    return PrivateNet(net, record).to(place).eval()


def private_steps(
    net: nn.Module,
    mean_loss: Callable[[nn.Module, Tensor], Tensor],
    rows: int,
    record: PrivacyRecord,
    *,
    learning_rate: float,
    seed: int | None = None,
    physical_batch: int = 64,
    watch: Callable[[], None] | None = None,
) -> None:
    """The steps of `record` on `net`, with Opacus: Poisson samples of `rows` records, gradients cut one by one, noise.

    `mean_loss(model, rows)`: the mean over records int64 [B] of a loss that for each depends on no other record.
    `watch` is called in each step, when the parameters' `grad` holds what the step releases: the noisy sum of the cut
    gradients, over the expected batch size.
    Raises InputError as `fit_privately`.
    """
    opacus = optional_package("opacus")
    samplers = optional_package("opacus.utils.uniform_sampler")
    splitting = optional_package("opacus.utils.batch_memory_manager")
    positive("learning_rate", learning_rate)
    seed = unknown_seed() if seed is None else seed
    sample = samplers.UniformWithReplacementSampler(
        num_samples=count("rows", rows),
        sample_rate=record.sample_rate,
        generator=torch_generator(Purpose.PRIVATE_SAMPLES, seed),
        steps=record.steps,
    )
    trained = _in_training(net)
    place = trained[0].device
    rates = (learning_rate * (1 - step / record.steps) for step in range(record.steps))

    def before_each_step(optimiser: Any) -> None:
        """The learning rate falls, and the noisy gradient is shown."""
        optimiser.param_groups[0]["lr"] = next(rates)
        if watch is not None:
            watch()

    with global_stream(Purpose.LAYER_DRAWS, seed), warnings.catch_warnings(), in_one_line("net", TRAINABLE):
        # The first trained layer's input needs no gradient, so torch remarks that its hook sees none. It needs none.
        warnings.filterwarnings("ignore", message="Full backward hook is firing when gradients are computed")
        model = opacus.GradSampleModule(net)
        chosen = opacus.optimizers.DPOptimizer(
            torch.optim.SGD(trained, lr=learning_rate, momentum=0.9),
            noise_multiplier=record.noise_multiplier,
            max_grad_norm=record.clip,
            expected_batch_size=record.sample_rate * rows,
            generator=torch_generator(Purpose.PRIVATE_NOISE, seed, device=place),
        )
        chosen.attach_step_hook(before_each_step)
        pieces = splitting.BatchSplittingSampler(
            sampler=sample, max_batch_size=count("physical_batch", physical_batch), optimizer=chosen
        )
        for piece in pieces:
            chosen.zero_grad()
            if piece:
                mean_loss(model, torch.tensor(piece)).backward()
            else:  # an empty sample is a step too: its noise is released, or its emptiness would be
                for parameter in trained:
                    parameter.grad_sample = parameter.new_zeros(0, *parameter.shape)
            chosen.step()
        chosen.zero_grad()
        model.to_standard_module()
    net.eval()
    if not all(bool(parameter.isfinite().all()) for parameter in trained):
        raise refuse("learning_rate", learning_rate, "a smaller one: the weights are no longer finite")


def with_group_norm(net: nn.Module) -> nn.Module:
    """A copy of `net` with a fresh group normalisation for every batch normalisation, and no dropout.

    Each record is then normalised by its own values alone: in at most GROUPS groups of channels, fewer where these do
    not divide the channels or would leave a group too few values to have a spread. Dropout goes because the noise
    regularises enough; activations in place no longer are, as gradients of single records need what they overwrite.
    Opacus' own default of 32 groups would make each channel of a narrow layer a group, which forgets its mean.
    Raises InputError for BatchNorm1d of fewer than FEWEST channels.
    Source: Wu and He 2018; Opacus' ModuleValidator.fix.
    """
    validators = optional_package("opacus.validators")
    whole = nn.Sequential(copy.deepcopy(net))  # in which the net has a name too, by which it may be replaced
    for name, module in [*whole.named_modules()]:
        if isinstance(module, BATCH_NORMS):
            whole.set_submodule(name, _group_norm(module))
        elif isinstance(module, nn.Dropout):
            module.p = 0.0
        if getattr(module, "inplace", False):
            module.inplace = False
    return validators.ModuleValidator.fix(whole)[0]


def _group_norm(layer: nn.Module) -> nn.GroupNorm:
    """In as many groups as divide the channels and leave each FEWEST values, if only channels have values."""
    channels, fewest = layer.num_features, FEWEST if isinstance(layer, nn.BatchNorm1d) else 1
    fitting = [g for g in range(1, GROUPS + 1) if channels % g == 0 and channels // g >= fewest]
    if not fitting:
        allowed = f"{FEWEST} channels or more, as one record has no spread of fewer"
        raise refuse("net", f"BatchNorm1d({channels})", allowed)
    place = next((w.device for w in layer.parameters()), None)
    return nn.GroupNorm(fitting[-1], channels, affine=layer.affine, device=place)


def train_only(net: nn.Module, *parts: nn.Module) -> nn.Module:
    """`net` with all parameters frozen but those of `parts`: batch normalisations elsewhere keep their statistics."""
    net.requires_grad_(False)
    for part in parts:
        part.requires_grad_(True)
    return net


def check_records_do_not_mix(net: nn.Module) -> None:
    """Refuses a net in which one record of a batch can change what another one's output is.

    Opacus looks at layers with trained parameters only. A batch normalisation whose own parameters are frozen escapes
    it, and in train mode goes on averaging over private records.
    """
    validators = optional_package("opacus.validators")
    for name, module in net.named_modules():
        learns = any(p.requires_grad for p in module.parameters())
        if isinstance(module, BATCH_NORMS) and (learns or module.training or not module.track_running_stats):
            given = f"the batch normalisation {name or 'itself'} in training, which mixes records"
            raise refuse("net", given, "group normalisation, or batch normalisation whose parameters are frozen")
    errors = validators.ModuleValidator.validate(net)
    if errors:
        raise InputError(f"net: got a layer that DP-SGD cannot train: {str(errors[0]).splitlines()[0]}")


def _in_training(net: nn.Module) -> list[nn.Parameter]:
    """What is trained of `net`, in train mode now, but for frozen batch normalisations: these keep their statistics."""
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    if not trained:
        raise refuse("net", "a net without trainable parameters", "one with parameters that require gradients")
    net.train()
    for module in net.modules():
        if isinstance(module, BATCH_NORMS) and not any(p.requires_grad for p in module.parameters()):
            module.eval()
    check_records_do_not_mix(net)
    return trained


def _check_records(inputs: Tensor, labels: Tensor) -> int:
    """The number of records, if inputs and labels are tensors that fit each other."""
    if not isinstance(inputs, Tensor) or not (inputs.dtype == torch.uint8 or inputs.is_floating_point()):
        given = str(inputs.dtype) if isinstance(inputs, Tensor) else type(inputs).__name__
        raise refuse("inputs", given, "byte images [N, 3, S, S] or a float tensor [N, ...]")
    if inputs.dtype == torch.uint8:
        check_images("inputs", inputs)
    elif not bool(inputs.isfinite().all()):
        raise InputError("inputs: got NaN or infinite values, allowed are finite numbers")
    check_labels(inputs, labels)
    return count("len(inputs)", len(inputs))
