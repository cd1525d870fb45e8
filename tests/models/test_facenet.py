"""IR-50 is the published net: names, shapes, cost, and the logits of a second implementation written from its facts."""

import json
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.checkpoints import load_weights
from rp_tutorial.models.facenet import FaceNet, FaceNet64
from rp_tutorial.models.fold import folded

NETS = {"FaceNet64": FaceNet64, "FaceNet": FaceNet}
STRIDING_UNITS = {0, 3, 7, 21}  # the first of each stage: 3, 4, 14 and 3 units


@pytest.fixture(scope="module")
def published(real_data):
    path = real_data / "published_nets" / "state_dicts.json"
    if not path.is_file():
        pytest.skip("real data are absent: no published_nets/state_dicts.json in the folder of real data")
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def nets():
    return {name: net(1000).eval() for name, net in NETS.items()}


def images(count, size, seed=1):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def random_weights(net, seed=0):
    """Tensors of the published names and shapes as training leaves them: random, BN statistics those of some images."""
    g = torch.Generator().manual_seed(seed)
    for name, tensor in net.state_dict().items():
        if tensor.ndim > 1:
            tensor.normal_(std=tensor[0].numel() ** -0.5, generator=g)
        elif name.endswith("weight"):
            tensor.uniform_(0.3, 1.3, generator=g)
        elif name.endswith("bias"):
            tensor.normal_(std=0.3, generator=g)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain average over the batches seen
    with torch.inference_mode():
        net.train()(images(3, net.size, seed=2))
    return {name: tensor.clone() for name, tensor in net.eval().state_dict().items()}


def published_logits(weights, x):
    """The published net as a list of tensor operations; where an entry lies is all it takes from the names."""

    def norm(x, name):
        entries = (weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *entries, eps=1e-5)

    def conv(x, name, **how):
        return functional.conv2d(x, weights[f"{name}.weight"], **how)

    x = conv(x, "feature.input_layer.0", padding=1)
    x = functional.prelu(norm(x, "feature.input_layer.1"), weights["feature.input_layer.2.weight"])
    for number in range(24):
        unit, stride = f"feature.body.{number}", 2 if number in STRIDING_UNITS else 1
        y = conv(norm(x, f"{unit}.res_layer.0"), f"{unit}.res_layer.1", padding=1)
        y = functional.prelu(y, weights[f"{unit}.res_layer.2.weight"])
        y = norm(conv(y, f"{unit}.res_layer.3", padding=1, stride=stride), f"{unit}.res_layer.4")
        if f"{unit}.shortcut_layer.0.weight" in weights:
            x = norm(conv(x, f"{unit}.shortcut_layer.0", stride=stride), f"{unit}.shortcut_layer.1")
        else:
            x = functional.max_pool2d(x, 1, stride)
        x = x + y
    head = "output_layer" if "output_layer.0.weight" in weights else "feature.output_layer"
    x = norm(x, f"{head}.0").flatten(1)
    x = norm(functional.linear(x, weights[f"{head}.3.weight"], weights[f"{head}.3.bias"]), f"{head}.4")
    return functional.linear(x, weights["fc_layer.weight"], weights["fc_layer.bias"])


@pytest.mark.parametrize("name", NETS)
def test_names_and_shapes_are_those_of_the_published_checkpoint(name, nets, published):
    own = {key: list(tensor.shape) for key, tensor in nets[name].state_dict().items()}
    assert own == published[name]["state_dict"]
    assert list(own) == list(published[name]["state_dict"])
    assert [3, nets[name].size, nets[name].size] == published[name]["input_shape"]


@pytest.mark.parametrize(("name", "expected"), [("FaceNet64", 35_437_224), ("FaceNet", 44_087_976)])
def test_number_of_parameters_is_the_published_one(name, expected, nets):
    assert sum(parameter.numel() for parameter in nets[name].parameters()) == expected


@pytest.mark.parametrize(("net", "giga"), [(FaceNet64, 4.1), (FaceNet, 12.6)])
def test_floating_point_operations_an_image(net, giga):
    with torch.device("meta"):
        net = net(1000).eval()
        x = torch.empty(1, 3, net.size, net.size)
    with FlopCounterMode(display=False) as flops:
        assert net(x).shape == (1, 1000)
    assert flops.get_total_flops() / 1e9 == pytest.approx(giga, abs=0.06)


@pytest.fixture(scope="module")
def weights_and_logits(nets):
    """Random weights of the target, and what the published net makes of two images with them."""
    weights = random_weights(nets["FaceNet64"])
    with torch.inference_mode():
        return weights, published_logits(weights, images(2, 64))


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_file_in_the_published_format_gives_the_logits_of_the_published_net(prefix, weights_and_logits, tmp_path):
    weights, expected = weights_and_logits
    path = tmp_path / "target.tar"
    torch.save({"state_dict": {prefix + name: tensor for name, tensor in weights.items()}}, path)
    net = load_weights(FaceNet64(), path)
    with torch.inference_mode():
        assert torch.allclose(net(images(2, 64)), expected, rtol=0, atol=1e-4)
    assert float((expected[0] - expected[1]).abs().max()) > 0.1  # the logits do depend on the image


def test_the_folded_net_gives_the_logits_of_the_published_net(nets, weights_and_logits):
    weights, expected = weights_and_logits
    nets["FaceNet64"].load_state_dict(weights)
    with torch.inference_mode():
        assert torch.allclose(folded(nets["FaceNet64"])(images(2, 64)), expected, rtol=0, atol=1e-4)


def test_the_evaluator_gives_the_logits_of_the_published_net(nets):
    weights, x = random_weights(nets["FaceNet"]), images(1, 112)
    with torch.inference_mode():
        assert torch.allclose(nets["FaceNet"](x), published_logits(weights, x), rtol=0, atol=1e-4)


def test_features_are_what_the_last_layer_reads(nets):
    net, x = nets["FaceNet64"], images(1, 64)
    with torch.inference_mode():
        features = net.features(x)
        assert features.shape == (1, 512)
        assert torch.equal(net(x), net.fc_layer(features))


@pytest.mark.parametrize(("net", "size"), [("FaceNet64", 112), ("FaceNet", 64)])
def test_images_of_another_size_are_refused_in_one_line(net, size, nets):
    with pytest.raises(InputError, match=rf"^x: got \(1, 3, {size}, {size}\), allowed is images of shape"):
        nets[net](images(1, size))


@pytest.mark.parametrize("bad", [0, 1, 2.5, "1000", None])
def test_bad_numbers_of_classes_are_refused_in_one_line(bad):
    for net in NETS.values():
        with pytest.raises(InputError, match=r"^num_classes: got "):
            partial(net, bad)()
