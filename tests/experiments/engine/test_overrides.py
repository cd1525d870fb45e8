"""Settings changed by keyword or from the command line: of the right type, or one clear line."""

from __future__ import annotations

import pytest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.experiments.engine.experiment import experiment
from rp_tutorial.experiments.engine.overrides import overridden, parsed

INVERSION = experiment("inversion").profiles["smoke"]
THRESHOLD = experiment("insurance-threshold").profiles["smoke"]


def test_text_becomes_the_type_of_the_setting() -> None:
    changes = parsed(["sigmas=0.1,0.2", "rows=None", "n=10", "alpha=1e-3"])
    found = overridden(THRESHOLD, changes)
    assert (found.sigmas, found.rows, found.n, found.alpha) == ((0.1, 0.2), None, 10, 0.001)
    assert overridden(THRESHOLD, parsed(["sigmas=2"])).sigmas == (2.0,)
    assert overridden(INVERSION, parsed(["attacker=sure start"])).attacker == "sure start"


def test_what_is_inside_a_setting_is_reached_and_the_rest_stays() -> None:
    found = overridden(INVERSION, parsed(["attack.patience=2", "attack.radius=3"]))
    assert (found.attack.patience, found.attack.radius) == (2, 3.0)
    assert found.attack.directions == INVERSION.attack.directions
    assert found.arms == INVERSION.arms


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("sigmaz=1", "set: got 'sigmaz', allowed is one of rows"),
        ("n=many", "set: got n = 'many'"),
        ("n=1.5", "set: got n = 1.5"),
        ("n.inner=1", "n itself"),
        ("sigmas", "key=value"),
        ("=1", "key=value"),
        ("device=cuda", "set: got 'device'"),
        ("n__=1", "n itself"),
        ("sigmas=1e400", "finite number"),
        ("sigmas=inf,2", "valid number"),
        ("alpha=nan", "finite number"),
        ("alpha=" + "-" * 5000 + "1", "set: got alpha"),
        ("n=" + "[" * 500, "set: got n"),
        ("n=1if", "set: got n"),
    ],
)
def test_anything_else_is_one_clear_line(assignment: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        overridden(THRESHOLD, parsed([assignment]))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_value_that_its_own_settings_refuse_is_refused() -> None:
    with pytest.raises(InputError, match="patience"):
        overridden(INVERSION, parsed(["attack.patience=0"]))
