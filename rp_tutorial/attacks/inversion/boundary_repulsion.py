"""BREP-MI, the label-only model inversion: walk through a prior's latent space into the middle of a target's region.

Published by Kahla, Chen, Just and Jia, "Label-Only Model Inversion Attacks via Boundary Repulsion", CVPR 2022. The
attacker sees labels and nothing else. All targets run in one batch. The settings are in `settings.py`, the
questions to the oracle in `queries.py`, the starting points in `starts.py`, the file of a stopped run in
`state.py`, the verdicts in `verdicts.py`: an attacker could not compute those.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rp_tutorial.attacks.inversion.queries import Decoder, LatentQueries
from rp_tutorial.attacks.inversion.settings import BREP_MI, BoundaryRepulsion
from rp_tutorial.attacks.inversion.starts import check_points, check_targets, search_block
from rp_tutorial.attacks.inversion.state import REASONS, RUNNING, State, StateFile, fingerprint
from rp_tutorial.core.arguments import count, refuse
from rp_tutorial.core.directions import on_sphere
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.oracles.base import LabelOracle

COUNT_SLACK = 1e-4  # of the count of a sphere: parts of abstentions are not exact in float32
RADIUS_LIMIT = 1e6  # beyond it float32 loses z inside z + R u; the published loop would go on for ever


@dataclass(frozen=True)
class Trace:
    """What happened at every pass, for pictures; the sphere's directions come back from `sphere_directions`.

    path [passes, T, d]: centre of the sphere, before the step. radius [passes, T]: of that sphere. inside [passes, T]:
    its points inside, -1 where the target was over. accepted [passes, T]: whether the step was taken.
    """

    path: Tensor
    radius: Tensor
    inside: Tensor
    accepted: Tensor


@dataclass(frozen=True)
class Inversion:
    """What the attack found, one entry a target; tensors on the CPU, T targets, d latent dimensions.

    `latent` [T, d] is the attack's result: the latent after the last expansion whose step was accepted (the authors
    judge this one), or `start` where there was none (`kept_expansions` = 0; the authors count that as a failure).
    `start`, `latent`, `z` are NaN for a target that was not found. `z` is where the walk ended, `radius` the last R:
    R0 times 1.3 ^ expansions. `iterations` = passes of a target; each is accepted or rejected. `queries` [T] are those
    of the walk; `search_queries` those of the search for starting points, which all targets share. `forward_passes` is
    what the oracle spent on both. `stopped` says why each target ended. `chosen` is the index of the candidate or -1.
    """

    targets: Tensor
    found: Tensor
    chosen: Tensor
    start: Tensor
    latent: Tensor
    z: Tensor
    radius: Tensor
    expansions: Tensor
    kept_expansions: Tensor
    accepted: Tensor
    rejected: Tensor
    iterations: Tensor
    queries: Tensor
    search_queries: int
    forward_passes: int
    stopped: tuple[str, ...]
    trace: Trace | None


def sphere_directions(seed: int, iteration: int, targets: int, directions: int, latent_dim: int) -> Tensor:
    """Unit vectors of all targets at one pass: float32 [targets, directions, latent_dim].

    They depend on the arguments alone: not on which targets are still running, and not on the oracle. So two arms of
    a comparison look in the same directions.
    """
    return on_sphere(targets, directions, latent_dim, generator=torch_generator(Purpose.DIRECTIONS, seed, iteration))


def invert(
    oracle: LabelOracle,
    prior: Decoder,
    targets: Tensor,
    *,
    seed: int,
    candidates: Tensor | None = None,
    start: Tensor | None = None,
    settings: BoundaryRepulsion = BREP_MI,
    record: bool = False,
    state_path: str | Path | None = None,
    save_every: int = 50,
    chunk_rows: int = 4096,
    device: torch.device | str = "cpu",
) -> Inversion:
    """Attack all targets at once through labels alone, starting from the first candidate labelled as each target.

    prior: latents [B, d] -> inputs [B, ...] of the oracle, on `device`; a module is put into eval mode. targets:
    int64 [T] labels. candidates: float [P, d], as `candidate_latents` gives them, searched in order through this
    very oracle. Instead, `start` [T, d] sets the starting points (a row of NaN: not found); nothing is searched then.
    ABSTAIN counts as outside. An oracle may answer at random: the start is not asked again, as the authors' code does.

    One pass: R u_i are the points of a sphere around z. At least 29 of 32 inside: R grows by 1.3. The step is
    min(R / 3, 3), for the R before, against the mean over all 32 of those u_i that are outside, then clamped;
    it is taken if its end is still inside. In a pass that expands, the authors' code divides the mean by the
    *new* R; so do we. Directions are keyed by (seed, pass), see `sphere_directions`.

    state_path: the run is saved there before it starts, every `save_every` passes and at the end, with
    oracle.state(). Calling again with equal arguments goes on from there to the same result; the file is kept.
    With the published settings there is no bound on the number of passes: set rejected_limit or max_iterations
    where the oracle is random. Raises InputError for bad arguments or the state of another run.
    Source: Kahla et al. 2022, Algorithm 1 and the authors' code (attack_single_target).

    >>> oracle, prior = rp.PlainOracle(rp.models.half_space_net(), num_classes=2), torch.nn.Identity()
    >>> settings = rp.attacks.inversion.BoundaryRepulsion(max_iterations=20)
    >>> start = rp.models.at_distance([0.5])  # barely inside
    >>> found = rp.invert(oracle, prior, torch.tensor([1]), seed=0, start=start, settings=settings)
    >>> found.queries, oracle(found.latent)
    (tensor([660]), tensor([1]))

    Chapter: faces/label-only-inversion.
    """
    attack = _Attack(oracle, prior, targets, candidates, start, settings, seed, chunk_rows, device, record)
    file = None if state_path is None else StateFile(state_path, attack.fingerprint)
    count("save_every", save_every)
    return attack.run(file, save_every)


def _outside(answers: Tensor, wanted: Tensor, abstain_weight: float) -> Tensor:
    """How far points are outside, 0 to 1 [B]: the share of answers [repeats, B] that are not the label wanted [B]."""
    silent = answers == ABSTAIN
    other = (answers != wanted) & ~silent
    return (other.float() + abstain_weight * silent.float()).mean(dim=0)


class _Attack:
    """One call of `invert`: checked arguments, the state, and the two loops."""

    def __init__(
        self,
        oracle: LabelOracle,
        prior: Decoder,
        targets: Tensor,
        candidates: Tensor | None,
        start: Tensor | None,
        settings: BoundaryRepulsion,
        seed: int,
        chunk_rows: int,
        device: torch.device | str,
        record: bool,
    ) -> None:
        self.oracle, self.settings, self.seed = oracle, settings, count("seed", seed, minimum=0)
        if not isinstance(settings, BoundaryRepulsion):
            raise refuse("settings", type(settings).__name__, "a BoundaryRepulsion")
        self.targets = check_targets(targets, oracle.num_classes).to(device)
        points = check_points(candidates, start, len(targets), getattr(prior, "latent_dim", None))
        self.fingerprint = fingerprint(settings, targets, candidates, start, self.seed, chunk_rows, record)
        self.candidates = None if candidates is None else candidates.to(device, torch.float32)
        self.start = None if start is None else start.to(device, torch.float32)
        self.queries = LatentQueries(oracle, prior, repeats=settings.repeats, chunk_rows=chunk_rows, device=device)
        self.device = torch.device(device)
        self.state = State.fresh(len(targets), points.shape[1], settings.radius, device)
        self.trace: list[dict[str, Tensor]] | None = [] if record else None

    def run(self, file: StateFile | None, save_every: int) -> Inversion:
        stored = None if file is None else file.load(self.device)
        if stored is not None:
            self.state, trace, oracle_state = stored
            self.trace = None if self.trace is None else trace
            self.oracle.restore(oracle_state)
        else:
            self._save(file)  # a kill during the search must find the oracle as it was
        if not self.state.search_done:
            self._search()
            self._save(file)
        while bool((running := self.state.stopped == RUNNING).any()):
            self._one_pass(running.nonzero()[:, 0])
            if self.state.passes % save_every == 0:
                self._save(file)
        self._save(file)
        return self._result()

    def _save(self, file: StateFile | None) -> None:
        if file is not None:
            file.save(self.state, self.trace or [], self.oracle.state())

    def _search(self) -> None:
        """Find the starting points; the targets without one are over. A kill in here starts the search again."""
        state = self.state
        if self.start is not None:
            return state.place(self.start)
        while state.searched < len(self.candidates) and bool((state.chosen < 0).any()):
            state.searched += search_block(self.queries, self.candidates, state.searched, self.targets, state.chosen)
        state.forward_passes = self.queries.forward_passes
        start = self.candidates[state.chosen.clamp(min=0)]
        state.place(torch.where((state.chosen >= 0)[:, None], start, torch.nan))

    def _one_pass(self, rows: Tensor) -> None:
        """A sphere and a step for the targets `rows` [A]."""
        state, settings = self.state, self.settings
        spent_before = self.queries.forward_passes
        z, radius, target = state.z[rows], state.radius[rows], self.targets[rows]
        shape = len(self.targets), settings.directions, z.shape[1]
        units = sphere_directions(self.seed, state.passes, *shape)[rows.cpu()].to(self.device)
        pull, inside, hits = self._probe(z[:, None] + radius.float()[:, None, None] * units, target)
        expands = inside >= settings.inside_needed - COUNT_SLACK
        grown = torch.where(expands, radius * settings.expansion, radius)
        moved = z + self._step(units, pull, radius, grown)
        if settings.latent_clamp is not None:
            moved = moved.clamp(-settings.latent_clamp, settings.latent_clamp)
        kept = self.queries.ask(moved, repeats=settings.end_queries) == target
        if self.trace is not None:
            self._remember(rows, hits, kept)
        self._update(rows, moved, grown, expands, kept)
        state.passes += 1
        state.forward_passes += self.queries.forward_passes - spent_before
        self._stop(rows)

    def _probe(self, points: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ask about the spheres [A, P, d] of the targets [A], and say what the answers mean to this attacker.

        The pull of every point along its direction, -1 to 1 [A, P]; the number of points that count as inside,
        abstentions in part [A]; and of those that were believed to be the target [A].
        """
        settings, shape = self.settings, points.shape[:2]
        wanted = target.repeat_interleave(shape[1])
        answers = self.queries.answers(points.flatten(0, 1))
        believed = self.queries.believed(answers)[None]
        weighed = answers if settings.weigh == "share" else believed
        pull = -_outside(weighed, wanted, settings.abstain_weight)
        if not settings.repulsion_only:
            pull += (weighed == wanted).float().mean(dim=0)
        outside = _outside(believed, wanted, settings.abstain_weight).view(shape)
        hits = (believed[0] == wanted).view(shape)
        return pull.view(shape), settings.directions - outside.sum(dim=1), hits.sum(dim=1)

    def _step(self, units: Tensor, pull: Tensor, radius: Tensor, grown: Tensor) -> Tensor:
        """The step [A, d] away from the points outside; its length comes from R before, its scale from R after."""
        push = (pull[:, :, None] * units).mean(dim=1)
        length = (radius * self.settings.step_fraction).clamp(max=self.settings.step_limit)
        return (length * radius / grown).float()[:, None] * push

    def _update(self, rows: Tensor, moved: Tensor, grown: Tensor, expands: Tensor, kept: Tensor) -> None:
        state, counts_as_step = self.state, kept & ~expands
        state.radius[rows] = grown
        state.z[rows] = torch.where(kept[:, None], moved, state.z[rows])
        state.latent[rows] = torch.where((kept & expands)[:, None], moved, state.latent[rows])
        state.expansions[rows] += expands.long()
        state.kept_expansions[rows] += (kept & expands).long()
        state.accepted[rows] += kept.long()
        state.rejected[rows] += (~kept).long()
        state.since_expansion[rows] = torch.where(expands, 0, state.since_expansion[rows] + counts_as_step.long())
        state.rejected_in_row[rows] = torch.where(kept, 0, state.rejected_in_row[rows] + 1)
        state.iterations[rows] += 1

    def _stop(self, rows: Tensor) -> None:
        """Mark the targets that are over; where two reasons meet, the first line below wins."""
        state, settings = self.state, self.settings
        above_limit = settings.query_limit and settings.query_limit + 1
        for reason, value, limit in (
            ("patience", state.since_expansion, settings.patience),
            ("rejected steps", state.rejected_in_row, settings.rejected_limit),
            ("unbounded radius", state.radius, RADIUS_LIMIT),
            ("iterations", state.iterations, settings.max_iterations),
            ("query limit", (state.iterations + 1) * settings.pass_queries, above_limit),
        ):
            if limit is not None:
                over = rows[(value[rows] >= limit) & (state.stopped[rows] == RUNNING)]
                state.stopped[over] = REASONS.index(reason)

    def _remember(self, rows: Tensor, hits: Tensor, kept: Tensor) -> None:
        inside = torch.full_like(self.state.accepted, -1).index_copy_(0, rows, hits)
        accepted = torch.zeros_like(self.state.accepted, dtype=torch.bool).index_copy_(0, rows, kept)
        centre, radius = self.state.z.clone(), self.state.radius.clone()
        now = {"path": centre, "radius": radius, "inside": inside, "accepted": accepted}
        self.trace.append({name: value.cpu() for name, value in now.items()})

    def _result(self) -> Inversion:
        state = self.state
        names = ("chosen", "start", "latent", "z", "radius", "expansions", "kept_expansions", "accepted", "rejected")
        return Inversion(
            targets=self.targets.cpu(),
            found=state.start.isfinite().all(dim=1).cpu(),
            **{name: getattr(state, name).cpu() for name in names},
            iterations=state.iterations.cpu(),
            queries=(state.iterations * self.settings.pass_queries).cpu(),
            search_queries=state.searched * self.settings.repeats,
            forward_passes=state.forward_passes,
            stopped=tuple(REASONS[reason] for reason in state.stopped.tolist()),
            trace=self._stacked_trace(),
        )

    def _stacked_trace(self) -> Trace | None:
        if self.trace is None:
            return None
        if not self.trace:  # every target was over before the first pass
            none = torch.zeros(0, len(self.targets))
            return Trace(self.state.z.new_zeros(0, *self.state.z.shape).cpu(), none.double(), none.long(), none.bool())
        return Trace(**{name: torch.stack([now[name] for now in self.trace]) for name in self.trace[0]})
