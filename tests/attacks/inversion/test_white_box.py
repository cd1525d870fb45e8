"""White-box inversion: it climbs, it keeps the best, it asks nobody, and the evaluator can judge it."""

import math
from itertools import pairwise

import pytest
import torch
from close import rounding
from torch import nn

from rp_tutorial.attacks.inversion.starts import candidate_latents
from rp_tutorial.attacks.inversion.verdicts import evaluate
from rp_tutorial.attacks.inversion.white_box import WhiteBox, invert_white_box
from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.priors import Prior

DIM, CLASSES = 6, 5
TARGETS = torch.tensor([3, 0, 4])


class Identity(Prior):
    """Latents are the images; a buffer says where it is."""

    def __init__(self):
        super().__init__(DIM)
        self.register_buffer("place", torch.zeros(1))

    def forward(self, z):
        return z


class Bumps(nn.Module):
    """Logit k is highest at the centre of class k; the features are the input."""

    def __init__(self, spread=1.0):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.centres = nn.Parameter(2 * nn.functional.normalize(torch.randn(CLASSES, DIM, generator=generator)))
        self.spread = spread

    def forward(self, x):
        return -torch.cdist(x, self.centres).square() / self.spread

    def features(self, x):
        return x


def margin(net, z, targets):
    logits = net(z)
    own = logits.gather(1, targets[:, None])[:, 0]
    return own - logits.scatter(1, targets[:, None], -math.inf).max(dim=1).values


def test_the_ascent_raises_the_margin_and_reports_it():
    net = Bumps()
    found = invert_white_box(net, Identity(), TARGETS, seed=1, num_candidates=50)
    torch.testing.assert_close(found.margin, margin(net, found.latent, TARGETS).detach())
    torch.testing.assert_close(found.start_margin, margin(net, found.start, TARGETS).detach())
    assert bool((found.margin > found.start_margin).all())
    assert found.kept_expansions.tolist() == [1, 1, 1]
    assert net(found.latent).argmax(dim=1).tolist() == TARGETS.tolist()


def test_it_starts_from_the_surest_of_the_pool():
    net = Bumps()
    candidates = candidate_latents(80, DIM, seed=4, clamp=3.0)
    found = invert_white_box(net, Identity(), TARGETS, seed=4, candidates=candidates)
    for row, target in enumerate(TARGETS):
        best = margin(net, candidates, target.repeat(80)).argmax()
        assert torch.equal(found.start[row], candidates[best])
    same = invert_white_box(net, Identity(), TARGETS, seed=4, num_candidates=80)
    assert torch.equal(found.latent, same.latent)


def test_of_several_restarts_the_surest_is_kept():
    """More restarts from the same candidates never end lower: the first restart is among them."""
    net = Bumps(0.3)
    ends = [
        invert_white_box(net, Identity(), TARGETS, seed=2, num_candidates=12, settings=WhiteBox(restarts=r, steps=15))
        for r in (1, 4, 12)
    ]
    for fewer, more in pairwise(ends):
        assert bool((more.margin >= fewer.margin - rounding(net(fewer.latent))).all())
    assert torch.equal(ends[0].start, ends[2].start)


def test_an_ascent_that_ends_lower_leaves_the_start():
    class Hostile(Bumps):
        """Its gradient points down: the ascent can only lose."""

        def forward(self, x):
            down = super().forward(2 * x.detach() - x)
            return down - down.detach() + super().forward(x).detach()

    found = invert_white_box(Hostile(), Identity(), TARGETS, seed=1, num_candidates=30)
    assert torch.equal(found.latent, found.start)
    assert found.kept_expansions.tolist() == [0, 0, 0]
    assert torch.equal(found.margin, found.start_margin)


def test_latents_stay_in_the_box_where_there_is_one():
    class Outward(nn.Module):
        def forward(self, x):
            return 10 * x[:, :CLASSES]

    settings = WhiteBox(latent_clamp=1.25, steps=60, learning_rate=0.3)
    inside = invert_white_box(Outward(), Identity(), TARGETS, seed=0, num_candidates=40, settings=settings)
    assert float(inside.latent.abs().max()) == 1.25
    free = WhiteBox(latent_clamp=None, steps=60, learning_rate=0.3)
    assert (
        float(invert_white_box(Outward(), Identity(), TARGETS, seed=0, num_candidates=40, settings=free).latent.max())
        > 3
    )


def test_the_same_seed_gives_the_same_result_and_the_net_is_left_alone():
    net = Bumps()
    before, training = net.centres.detach().clone(), torch.random.get_rng_state()
    settings = WhiteBox(steps=20)
    one, two = (
        invert_white_box(net, Identity(), TARGETS, seed=3, num_candidates=40, settings=settings) for _ in range(2)
    )
    assert torch.equal(one.latent, two.latent)
    assert torch.equal(net.centres, before)
    assert net.centres.grad is None
    assert torch.equal(torch.random.get_rng_state(), training)


def test_the_evaluator_judges_it_like_any_inversion():
    net = Bumps()
    found = invert_white_box(net, Identity(), TARGETS, seed=1, num_candidates=50)
    labels = torch.arange(CLASSES).repeat(3)
    verdicts = evaluate(found, Identity(), net, net.centres.detach()[labels], labels)
    assert verdicts.asr().value == 1.0
    assert verdicts.expanded.all()


def test_bad_input_is_refused_in_one_line():
    def call(**changed):
        arguments = {"targets": TARGETS, "seed": 0, "num_candidates": 20} | changed
        return lambda: invert_white_box(Bumps(), Identity(), arguments.pop("targets"), **arguments)

    cases = {
        "targets": call(targets=torch.tensor([CLASSES])),
        "seed": call(seed=-1),
        "size": call(num_candidates=0),
        "candidates": call(candidates=torch.zeros(4, DIM + 1)),
        "restarts": lambda: WhiteBox(restarts=0),
        "steps": lambda: WhiteBox(steps=1.5),
        "learning_rate": lambda: WhiteBox(learning_rate=0),
        "latent_clamp": lambda: WhiteBox(latent_clamp=0),
    }
    for argument, refused in cases.items():
        with pytest.raises(InputError, match=f"^{argument}: got") as caught:
            refused()
        assert "\n" not in str(caught.value)
