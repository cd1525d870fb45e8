"""Attackers that know the defence: what they spend, where they start, and that they see labels only."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rp_tutorial.attacks.inversion import attackers
from rp_tutorial.attacks.inversion.attackers import Attacker, noise_aware, patient, published, walk
from rp_tutorial.attacks.inversion.boundary_repulsion import invert
from rp_tutorial.attacks.inversion.registry import ATTACKS
from rp_tutorial.attacks.inversion.settings import BREP_MI, deviations
from rp_tutorial.attacks.inversion.starts import candidate_latents
from rp_tutorial.attacks.inversion.sure_starts import SureStart, sure_starts
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.oracles.base import LabelOracle

DIM, CLASSES, BUDGET = 3, 5, 700
TARGETS = torch.arange(CLASSES)
CENTRES = 1.2 * torch.randn(CLASSES, DIM, generator=torch.Generator().manual_seed(3))
BASE = replace(BREP_MI, patience=5, rejected_limit=10, max_iterations=60, radius=0.3)
POOL = candidate_latents(512, DIM, seed=0)
PRESETS = (published, patient, attackers.sure_start, attackers.repeated_queries, attackers.larger_spheres, noise_aware)
PRESETS = (*PRESETS, attackers.disagreement)


def identity(z: Tensor) -> Tensor:
    return z


class NoisyCells(LabelOracle):
    """The nearest centre's label, of the input moved at random; `lies` of the answers are drawn from all labels."""

    def __init__(self, *, noise: float = 0.0, lies: float = 0.0, kill_after: float = float("inf")) -> None:
        super().__init__(num_classes=CLASSES)
        self.noise, self.lies, self.kill_after = noise, lies, kill_after
        self.generator = torch.Generator().manual_seed(1)

    def _release(self, x: Tensor) -> Tensor:
        if self.queries + len(x) > self.kill_after:
            raise KeyboardInterrupt
        self.forward_passes += len(x)
        moved = x + self.noise * torch.randn(x.shape, generator=self.generator)
        labels = torch.cdist(moved, CENTRES).argmin(dim=1)
        random = torch.randint(CLASSES, labels.shape, generator=self.generator)
        return torch.where(torch.rand(labels.shape, generator=self.generator) < self.lies, random, labels)

    def _randomness(self):
        return {"generator": self.generator.get_state()}

    def _set_randomness(self, randomness):
        self.generator.set_state(randomness["generator"])


def attack(oracle: LabelOracle, attacker: Attacker, *, budget: int = BUDGET, **options: object):
    return walk(oracle, identity, TARGETS, attacker, budget=budget, seed=2, candidates=POOL, **options)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_no_attacker_spends_more_than_its_budget_and_every_query_is_counted(preset, noise):
    oracle = NoisyCells(noise=noise)
    found = attack(oracle, preset(BASE))
    assert bool((found.queries <= BUDGET).all())
    assert found.search_queries <= len(POOL)
    assert found.spent == oracle.queries <= len(POOL) + CLASSES * BUDGET


@pytest.mark.parametrize("preset", PRESETS[1:])
def test_an_attacker_that_knows_the_defence_spends_its_budget_down_to_a_pass(preset):
    attacker = preset(BASE)
    found = attack(NoisyCells(noise=0.5), attacker)
    unused = (attacker.start.queries if attacker.start else 0) - (found.queries - found.inversion.queries)
    assert bool((found.queries + unused + attacker.settings.pass_queries > BUDGET).all())


def test_the_reference_is_the_published_attack_as_invert_runs_it():
    found = attack(NoisyCells(noise=0.4), published(BASE))
    same = invert(
        NoisyCells(noise=0.4), identity, TARGETS, candidates=POOL, seed=2, settings=replace(BASE, query_limit=BUDGET)
    )
    assert torch.equal(found.inversion.latent, same.latent)
    assert torch.equal(found.queries, same.queries)
    assert (found.search_queries, found.inversion.stopped) == (same.search_queries, same.stopped)


def test_attackers_share_the_search_of_the_pool_whatever_they_repeat():
    found = [attack(NoisyCells(), preset(BASE)) for preset in PRESETS]
    starts = [f.inversion.start for f, preset in zip(found, PRESETS, strict=True) if preset(BASE).start is None]
    assert len(starts) == 4
    assert all(torch.equal(start, starts[0]) for start in starts)


def test_a_sure_start_is_deeper_inside_than_the_first_candidate():
    first, sure = (
        sure_starts(NoisyCells(), identity, TARGETS, POOL, rule=rule, seed=0)
        for rule in (None, SureStart(candidates=8, probes=16, radius=0.6))
    )
    distance = torch.cdist(torch.stack([first.start, sure.start]).flatten(0, 1), CENTRES).view(2, CLASSES, CLASSES)
    own = distance.diagonal(dim1=1, dim2=2)
    others = distance.masked_fill(torch.eye(CLASSES).bool(), torch.inf).amin(dim=2)
    depth = others - own
    assert float(depth[1].mean()) > float(depth[0].mean())
    assert bool((depth > 0).all())


def test_a_sure_start_is_not_fooled_by_lies_that_fool_the_first_candidate():
    """Half the answers are drawn from all five labels, so 60 % are right; of 12 around a deep point about 7 are the
    target's, of 12 around a wrong one about 1.2. A first candidate is wrong with probability .1 / (.1 + .15), about."""
    first, sure = (
        sure_starts(NoisyCells(lies=0.5), identity, TARGETS, POOL, rule=rule, seed=0)
        for rule in (None, SureStart(candidates=8, probes=12, radius=0.2))
    )
    truly = [int((NoisyCells()(starts.start) == TARGETS).sum()) for starts in (first, sure)]
    assert truly[1] == CLASSES > truly[0]


def test_a_sure_start_counts_what_it_asked_and_reports_shares_of_answers():
    oracle = NoisyCells(noise=0.3)
    starts = sure_starts(oracle, identity, TARGETS, POOL, rule=SureStart(4, 10, 0.5), seed=0)
    assert oracle.queries == starts.search_queries + int(starts.queries.sum())
    assert bool((starts.queries <= 40).all())


def test_a_target_that_no_candidate_is_called_is_not_found_and_costs_nothing():
    class Mute(NoisyCells):
        def _release(self, x):
            labels = super()._release(x)
            return torch.where(labels == 2, ABSTAIN, labels)

    for preset in (published, noise_aware):
        found = attack(Mute(), preset(BASE))
        assert found.inversion.found.tolist() == [True, True, False, True, True]
        assert int(found.queries[2]) == 0
        assert found.search_queries == len(POOL)


@pytest.mark.parametrize("preset", [published, noise_aware])
def test_a_killed_walk_resumes_to_the_same_result(tmp_path, preset):
    whole = attack(NoisyCells(noise=0.4), preset(BASE))
    state = tmp_path / "walk.pt"
    with pytest.raises(KeyboardInterrupt):
        attack(NoisyCells(noise=0.4, kill_after=whole.spent // 2), preset(BASE), state_path=state)
    again = attack(NoisyCells(noise=0.4), preset(BASE), state_path=state)
    assert torch.equal(whole.inversion.latent, again.inversion.latent)
    assert whole.spent == again.spent


def test_every_attacker_has_a_name_of_its_own_and_says_what_it_proves():
    names = {preset(BASE).name for preset in PRESETS}
    assert names == {name for name, found in ATTACKS.items() if found.run.__module__ == attackers.__name__}
    assert all(ATTACKS[name].guarantee and ATTACKS[name].exploits for name in names)
    assert deviations(published(BREP_MI).settings) == {}


def test_each_preset_changes_what_its_name_says():
    changed = {preset.__name__: set(deviations(preset(BREP_MI).settings)) for preset in PRESETS}
    assert {name: fields - {"patience"} for name, fields in changed.items()} == {
        "published": set(),
        "patient": set(),
        "sure_start": set(),
        "repeated_queries": {"repeats"},
        "larger_spheres": {"radius"},
        "noise_aware": {"inside_needed", "confirmations"},
        "disagreement": {"inside_needed", "confirmations", "repeats", "weigh", "abstain_weight"},
    }


@pytest.mark.parametrize("given", [{"candidates": 0}, {"probes": 0}, {"radius": 0.0}])
def test_a_start_rule_out_of_range_is_refused_in_one_line(given):
    with pytest.raises(InputError, match=next(iter(given))):
        SureStart(**given)


def test_a_budget_below_one_pass_is_refused_in_one_line():
    with pytest.raises(InputError, match=r"budget: got 20, allowed is at least 33"):
        attack(NoisyCells(), patient(BASE), budget=20)
