"""Nets trained as the literature on inversion has it: each another net, behind any release, with no promise."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.streams import Purpose
from rp_tutorial.core.threads import one_thread
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.experiments.engine.experiment import EXPERIMENTS
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.faces import adaptive, frontier
from rp_tutorial.experiments.faces import lab as lab_file
from rp_tutorial.experiments.faces.defenses import Defense
from rp_tutorial.experiments.faces.inversion import Arm, comparisons
from rp_tutorial.experiments.faces.inversion_defenses import INVERSION_DEFENSES
from rp_tutorial.experiments.faces.private_nets import DP_SGD, PrivateTraining, public_net
from rp_tutorial.experiments.faces.trained_nets import TRAINED_NETS, trained_net
from rp_tutorial.training.objectives import cross_entropy

SMALL = dataclasses.replace(
    frontier.PROFILES["smoke"],
    identities=4, train_images=16, test_images=6, public_images=60, images_seen=256, batch_size=64,
    accuracy_images=24, private=PrivateTraining(public_images_seen=120, kept=8),
)  # fmt: skip


@pytest.fixture(scope="module")
def memory(own_cache: Path) -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture
def bench(memory: None) -> frontier.FrontierLab:
    return frontier.FrontierLab(SMALL, data="synthetic", seed=0, stages=Stages("frontier"))


@pytest.fixture
def mine() -> Iterator[str]:
    @trained_net("mine")
    def longer(lab, net):
        return net, lambda net, x, labels, progress: 3 * cross_entropy(net, x, labels, progress)

    yield "mine"
    TRAINED_NETS.remove("mine")


@pytest.mark.parametrize("recipe", INVERSION_DEFENSES)
def test_each_is_a_net_of_its_own_trained_once_and_asked_by_every_release(bench, recipe: str, monkeypatch) -> None:
    images = to_float(bench.task.x_test)
    net, plain = bench.target(recipe=recipe), bench.target()
    with torch.inference_mode():
        logits = net(images)
        assert logits.shape == (24, 4)
        assert bool(logits.isfinite().all())
        assert not torch.equal(logits, plain(images))
    for release in (Defense("none", net=recipe), Defense("smoothing", 0.1, 10, net=recipe)):
        assert bench.oracle(release, Purpose.ATTACK)(images).shape == (24,)
    alone = bench.oracle(Defense("none", net=recipe), Purpose.ATTACK)
    assert torch.equal(alone(images), logits.argmax(dim=1))
    monkeypatch.setattr(lab_file, "fit_classifier", lambda *_, **__: pytest.fail("trained a second time"))
    again = frontier.FrontierLab(SMALL, data="synthetic", seed=0, stages=Stages("adaptive")).target(recipe=recipe)
    with torch.inference_mode():
        assert torch.equal(again(images), logits)


def test_frozen_layers_are_those_of_the_public_net_and_the_later_ones_are_not(bench) -> None:
    public = public_net(bench, SMALL.private)
    net, _ = TRAINED_NETS["frozen early layers"](bench, bench.new_net(0))
    bench._train("target-frozen-by-hand", net, SMALL.images_seen)
    for name, value in public.state_dict().items():
        if not name.startswith("fc_layer"):
            frozen = name.startswith(("input_layer", "body.0."))
            assert torch.equal(net.state_dict()[name], value) == frozen, name


def test_a_name_tells_how_the_net_was_trained_and_nothing_is_promised_for_it() -> None:
    arms = [Arm("none", net="bilateral dependency"), Arm("smoothing", 0.18, 10, net="bilateral dependency")]
    assert [arm.name for arm in arms] == [
        "none, net trained with bilateral dependency",
        "smoothing, sigma 0.18, N = 10, net trained with bilateral dependency",
    ]
    assert [arm.family for arm in arms] == ["bilateral dependency", "smoothing and bilateral dependency"]
    assert [arm.promise(4, 0.01)["advantage"] for arm in arms] == [None, 0.005], "what is promised is the vote's"
    both = Arm("none", 0.1, augmented=True, net="information bottleneck")
    assert both.family == "training under noise and information bottleneck"


def test_an_edit_of_a_recipe_concerns_the_arms_that_stand_on_it_alone() -> None:
    kinds = [Defense("none").sources, Defense("none", net="frozen early layers").sources]
    assert {path.name for path in kinds[1] - kinds[0]} == {"inversion_defenses.py"}


def test_both_comparisons_meet_one_of_them() -> None:
    smoke = {*frontier.PROFILES["smoke"].arms, *adaptive.PROFILES["smoke"].defenses}
    assert len({defense.net for defense in smoke if defense.net}) == 2


def test_a_way_to_train_from_outside_is_compared_without_being_asked(mine: str) -> None:
    for name, setting in {"inversion": "arms", "frontier": "arms", "adaptive": "defenses"}.items():
        listed = getattr(EXPERIMENTS[name].settings("smoke"), setting)
        assert [defense.defense for defense in listed if defense.net == mine] == ["none"]


def test_a_question_about_the_target_is_not_answered_by_another_net() -> None:
    rows = [
        {"name": name, "defense": kind, "sigma": s, "n": n, "repeats": 1, "augmented": False, "hits": hits, **more}
        for name, kind, s, n, hits, more in (
            ("other", "none", 0.0, 1, [0, 0], {"net": "bilateral dependency"}),
            ("stored without a field", "none", 0.0, 1, [1, 1], {}),
            ("vote", "smoothing", 0.1, 10, [0, 1], {"net": ""}),
        )
    ]
    assert {row["a"] for row in comparisons(rows)} == {"stored without a field"}


def test_what_there_is_not_is_refused_in_one_line(bench) -> None:
    with pytest.raises(InputError, match=r"^net: got 'prayer', allowed is one of .*frozen early layers"):
        Defense("none", net="prayer")
    with pytest.raises(InputError, match=r"^net: got 'bilateral dependency', allowed is none: DP-SGD"):
        bench.oracle(Defense(DP_SGD, epsilon=8.0, net="bilateral dependency"), Purpose.ATTACK)
