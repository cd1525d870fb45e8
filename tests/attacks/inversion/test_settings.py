"""What an attacker who knows the defence may add to boundary repulsion: every field does what its name says."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rp_tutorial.attacks.inversion.boundary_repulsion import Inversion, invert, sphere_directions
from rp_tutorial.attacks.inversion.settings import BREP_MI, BoundaryRepulsion, deviations
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.oracles.base import LabelOracle

ONE = torch.tensor([1])
START = torch.tensor([[0.1, 0.0, 0.0]])
SHORT = replace(BREP_MI, patience=6, rejected_limit=10, max_iterations=20, radius=0.5)


def identity(z: Tensor) -> Tensor:
    return z


class ScriptedOracle(LabelOracle):
    """Class 1 where the first coordinate is above 0, but by script: the answers of one call are changed by `script`,
    a function of the number of the call, the inputs and the honest labels. Remembers the size of every call."""

    def __init__(self, script=lambda call, x, labels: labels):
        super().__init__(num_classes=3)
        self.script, self.calls = script, []

    def _release(self, x):
        self.forward_passes += len(x)
        self.calls.append(len(x))
        return self.script(len(self.calls) - 1, x, (x[:, 0] > 0).long())


def attack(oracle: LabelOracle, settings: BoundaryRepulsion, *, start: Tensor = START, **options: object) -> Inversion:
    return invert(oracle, identity, ONE.expand(len(start)), start=start, settings=settings, seed=3, **options)


def silent_beyond(reach: float):
    """A script: no answer where the first coordinate is within `reach` of the boundary."""
    return lambda call, x, labels: torch.where(x[:, 0].abs() < reach, ABSTAIN, labels)


@pytest.mark.parametrize(("repeats", "confirmations", "cost"), [(1, None, 33), (1, 5, 37), (3, None, 99), (3, 1, 97)])
def test_a_pass_costs_its_sphere_and_the_end_of_its_step(repeats, confirmations, cost):
    settings = replace(SHORT, repeats=repeats, confirmations=confirmations)
    oracle = ScriptedOracle()
    found = attack(oracle, settings)
    assert settings.pass_queries == cost
    assert int(found.queries[0]) == cost * int(found.iterations[0]) == oracle.queries


@pytest.mark.parametrize("limit", [33, 34, 65, 66, 500])
def test_no_walk_asks_more_than_the_query_limit_and_none_ends_a_pass_too_early(limit):
    settings = replace(BREP_MI, query_limit=limit, patience=1000, radius=0.5)
    found = attack(ScriptedOracle(), settings, start=START.repeat(4, 1))
    assert bool((found.queries <= limit).all())
    assert bool((found.queries + settings.pass_queries > limit).all())
    assert set(found.stopped) == {"query limit"}


def test_a_limit_that_is_never_reached_changes_nothing():
    free, bounded = (attack(ScriptedOracle(), replace(SHORT, query_limit=limit)) for limit in (None, 33 * 21))
    assert torch.equal(free.z, bounded.z)
    assert free.stopped == bounded.stopped != ("query limit",)


def test_the_end_of_a_step_is_confirmed_by_the_majority_of_its_answers():
    """An oracle that lies about the first of every three answers at a step's end, and tells the truth on spheres."""

    def lies(call: int, x: Tensor, labels: Tensor) -> Tensor:
        lying = len(x) == 1 and call % 4 == 1  # a sphere, then three answers at its step's end
        return 1 - labels if lying else labels

    deceived = attack(ScriptedOracle(lambda call, x, labels: 1 - labels if len(x) == 1 else labels), SHORT)
    confirmed = attack(ScriptedOracle(lies), replace(SHORT, confirmations=3))
    honest = attack(ScriptedOracle(), SHORT)
    assert int(deceived.accepted[0]) == 0
    assert torch.equal(confirmed.z, honest.z)
    assert torch.equal(confirmed.accepted, honest.accepted)


def test_a_weighed_probe_pulls_by_the_share_of_its_answers_outside():
    """Four answers a probe, one of them always 2: by hand, a quarter of the push of every honest insider remains."""
    script = lambda call, x, labels: torch.full_like(labels, 2) if call == 0 else labels  # noqa: E731
    settings = replace(SHORT, repeats=4, weigh="share", max_iterations=1)
    oracle = ScriptedOracle(script)
    found = attack(oracle, settings)
    units = sphere_directions(3, 0, 1, 32, 3)[0]
    inside = (START + 0.5 * units)[:, 0] > 0
    outside = torch.where(inside, 0.25, 1.0)
    expected = START[0] - (outside[:, None] * units).mean(dim=0) * 0.5 / 3
    torch.testing.assert_close(found.z[0], expected)
    majority = attack(ScriptedOracle(script), replace(settings, weigh="majority"))
    believed = START[0] - ((~inside).float()[:, None] * units).mean(dim=0) * 0.5 / 3
    torch.testing.assert_close(majority.z[0], believed)


def test_weighing_changes_nothing_where_every_answer_is_the_same():
    weighed, believed = (
        attack(ScriptedOracle(), replace(SHORT, repeats=2, weigh=weigh)) for weigh in ("share", "majority")
    )
    torch.testing.assert_close(weighed.z, believed.z)
    assert torch.equal(weighed.expansions, believed.expansions)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("repeats", "weigh"), [(1, "majority"), (3, "share")])
def test_an_abstention_pushes_as_much_as_it_is_weighed(weight, repeats, weigh):
    settings = replace(SHORT, abstain_weight=weight, repeats=repeats, weigh=weigh, max_iterations=1, inside_needed=32)
    found = attack(ScriptedOracle(silent_beyond(0.2)), settings, start=torch.tensor([[0.4, 0.0, 0.0]]))
    units = sphere_directions(3, 0, 1, 32, 3)[0]
    depth = 0.4 + 0.5 * units[:, 0]
    outside = torch.where(depth.abs() < 0.2, weight, (depth <= 0).float())
    assert int((depth.abs() < 0.2).sum()) > 0
    expected = torch.tensor([0.4, 0.0, 0.0]) - (outside[:, None] * units).mean(dim=0) * 0.5 / 3
    torch.testing.assert_close(found.z[0], expected)


def test_an_abstention_counts_as_inside_in_part_when_a_sphere_may_grow():
    """All of a sphere silent: at weight w it counts as 32 (1 - w) points inside, and grows from 29 on."""
    script = lambda call, x, labels: torch.full_like(labels, ABSTAIN) if len(x) == 32 else labels  # noqa: E731
    grown = {
        weight: int(attack(ScriptedOracle(script), replace(SHORT, abstain_weight=weight)).expansions[0])
        for weight in (0.0, 3 / 32, 0.1, 1.0)
    }
    assert grown[0.0] > 0
    assert grown[3 / 32] > 0, "29 of 32 exactly"
    assert grown[0.1] == grown[1.0] == 0


def test_a_step_never_ends_on_an_abstention():
    settings = replace(SHORT, abstain_weight=0.0)
    found = attack(
        ScriptedOracle(lambda call, x, labels: torch.full_like(labels, ABSTAIN) if len(x) == 1 else labels), settings
    )
    assert int(found.accepted[0]) == 0


def test_a_walk_with_every_new_field_resumes_to_the_same_result(tmp_path):
    settings = replace(
        BREP_MI, repeats=2, confirmations=3, weigh="share", abstain_weight=0.5, query_limit=2000, radius=0.5
    )

    def dying(call: int, x: Tensor, labels: Tensor) -> Tensor:
        if call == 30:
            raise KeyboardInterrupt
        return silent_beyond(0.1)(call, x, labels)

    whole = attack(ScriptedOracle(silent_beyond(0.1)), settings, record=True)
    state = tmp_path / "walk.pt"
    with pytest.raises(KeyboardInterrupt):
        attack(ScriptedOracle(dying), settings, record=True, state_path=state, save_every=2)
    again = attack(ScriptedOracle(silent_beyond(0.1)), settings, record=True, state_path=state, save_every=2)
    assert torch.equal(whole.z, again.z)
    assert torch.equal(whole.trace.inside, again.trace.inside)
    assert (whole.stopped, int(whole.queries[0])) == (again.stopped, int(again.queries[0]))


def test_the_constant_holds_the_published_settings_and_deviations_name_the_rest():
    published = (32, 2.0, 1.3, 29, 3.0, 1.5, 1000, True)
    names = [
        "directions",
        "radius",
        "expansion",
        "inside_needed",
        "step_limit",
        "latent_clamp",
        "patience",
        "repulsion_only",
    ]
    assert tuple(getattr(BREP_MI, name) for name in names) == published
    assert BREP_MI.step_fraction == pytest.approx(1 / 3)
    assert (BREP_MI.rejected_limit, BREP_MI.max_iterations, BREP_MI.repeats) == (None, None, 1)
    assert deviations(BREP_MI) == {}
    changed = replace(BREP_MI, latent_clamp=None, repeats=5)
    assert deviations(changed) == {"latent_clamp": (1.5, None), "repeats": (1, 5)}


def test_deviations_name_the_fields_of_an_adaptive_attacker():
    changed = replace(BREP_MI, confirmations=5, weigh="share", abstain_weight=0.5, query_limit=5000)
    assert deviations(changed) == {
        "confirmations": (None, 5),
        "weigh": ("majority", "share"),
        "abstain_weight": (1.0, 0.5),
        "query_limit": (None, 5000),
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("directions", 0),
        ("radius", 0.0),
        ("expansion", 1.0),
        ("inside_needed", 33),
        ("step_fraction", -1.0),
        ("step_limit", math.inf),
        ("latent_clamp", 0.0),
        ("patience", 2.5),
        ("repulsion_only", 1),
        ("rejected_limit", 0),
        ("max_iterations", 0),
        ("repeats", True),
        ("confirmations", 0),
        ("confirmations", 2.0),
        ("weigh", "mean"),
        ("abstain_weight", -0.1),
        ("abstain_weight", 1.5),
        ("query_limit", 0),
        ("query_limit", 32),
        ("query_limit", 100.0),
    ],
)
def test_a_setting_out_of_range_is_refused_in_one_line(field, value):
    with pytest.raises(InputError) as error:
        replace(BREP_MI, **{field: value})
    assert str(error.value).startswith(f"{field}: got {value!r}, allowed is ")
    assert "\n" not in str(error.value)
