"""A killed run goes on where it stopped, and no state of another run is taken for its own."""

from dataclasses import replace

import pytest
import torch
from cells import CENTRES, DIM, SHORT, TARGETS, CellOracle, identity, latents, same

from rp_tutorial.attacks.inversion.boundary_repulsion import invert
from rp_tutorial.attacks.inversion.starts import SEARCH_BLOCK
from rp_tutorial.core.arguments import InputError


@pytest.mark.parametrize("noise", [0.0, 0.8])
@pytest.mark.parametrize("kill_after", [0, 300, 1500, 4000])
def test_a_killed_run_resumes_to_the_same_result(tmp_path, noise, kill_after):
    """Killed before the search, in it, and in the walk; the second oracle is a new one, as in a new process."""

    candidates = torch.cat([CENTRES[:1].expand(SEARCH_BLOCK, DIM), latents()])  # two blocks have to be searched
    settings = replace(SHORT, patience=30, rejected_limit=None)

    def attack(oracle, **options):
        return invert(
            oracle,
            identity,
            TARGETS,
            candidates=candidates,
            settings=settings,
            seed=0,
            record=True,
            save_every=7,
            **options,
        )

    whole = CellOracle(noise=noise)
    uninterrupted = attack(whole)
    assert whole.queries > 4000
    state = tmp_path / "arm.pt"
    with pytest.raises(KeyboardInterrupt):
        attack(CellOracle(noise=noise, kill_after=kill_after), state_path=state)
    again = CellOracle(noise=noise, seed=99)  # its own randomness is replaced by what the file holds
    same(uninterrupted, attack(again, state_path=state))
    assert (again.queries, again.forward_passes) == (whole.queries, whole.forward_passes)
    assert [path.name for path in tmp_path.iterdir()] == ["arm.pt"]
    finished = CellOracle(noise=noise, kill_after=0)
    same(uninterrupted, attack(finished, state_path=state))  # asks nothing any more


def test_the_state_of_another_run_or_a_broken_file_is_refused(tmp_path):
    state = tmp_path / "arm.pt"
    given = {"candidates": latents(), "settings": SHORT, "state_path": state}
    invert(CellOracle(), identity, TARGETS, seed=0, **given)
    others = (
        {"seed": 1},
        {"settings": replace(SHORT, patience=7)},
        {"candidates": latents(511)},
        {"record": True},
    )
    for other in others:
        with pytest.raises(InputError, match=r"state_path: got .*other settings"):
            invert(CellOracle(), identity, TARGETS, **({"seed": 0} | given | other))
    with pytest.raises(InputError, match="state_path"):
        invert(CellOracle(), identity, TARGETS[:3], seed=0, **given)
    state.write_bytes(b"not a state")
    with pytest.raises(InputError, match="delete the file"):
        invert(CellOracle(), identity, TARGETS, seed=0, **given)
