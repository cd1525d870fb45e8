"""Experiment `inversion-mechanism`: why the label-only inversion does worse against a noisy release.

The paper says that the certified radius R masks the direction to the target. Here the parts of that explanation, and
of others, are measured one by one, at points of the undefended attack's own walks: how far the attack's probes move an
image beside the radius of a certificate, how often labels flip on a sphere, how far the direction estimate is from the
true one, what random labels do to the attack's two rules (29 of 32 inside; a step's end inside), and what the theorem
on votes promises about the questions of a walk. The measuring is in `probe`, `latent_measures` and `promise`, the
verdicts in `verdicts`, the attack in `experiments/faces/inversion`.
"""

from typing import Any

import pandas as pd

from rp_tutorial.experiments.engine.experiment import Experiment, register
from rp_tutorial.experiments.faces import inversion
from rp_tutorial.experiments.faces.defenses import with_registered
from rp_tutorial.experiments.faces.inversion import Arm
from rp_tutorial.experiments.faces.lab import FACES, UNIT
from rp_tutorial.experiments.mechanism.probe import MechanismLab, MechanismSettings, quantiles, rule_of
from rp_tutorial.experiments.mechanism.verdicts import join, verdicts


def _profile(name: str, **ours: Any) -> MechanismSettings:
    """The lab and the attack of `inversion` at that profile, so that both share their nets, at its control sigmas."""
    theirs = inversion.PROFILES[name]
    arms = [Arm("none")]
    for s in sorted({arm.sigma for arm in theirs.arms if arm.defense == "fixed noise"}):
        arms += [Arm("plain noise", s), Arm("smoothing", s, 10), Arm("smoothing", s, 100), Arm("fixed noise", s, 10)]
        arms += [arm for arm in [Arm("none", s, augmented=True)] if arm in theirs.arms]
    return MechanismSettings(**vars(theirs) | {"arms": tuple(arms)}, **ours)


PROFILES = {
    "smoke": _profile("smoke", sigmas=(inversion.CONTROL,), radii=(0.5, 2.0), grid_targets=3, many_directions=128,
                      centre_repeats=4, truth_votes=50, promise_n=(100, 1000)),
    "cpu": _profile("cpu"),
    "gpu": _profile("gpu", sigmas=(0.1,), truth_votes=400),
    "paper": _profile("paper", sigmas=(0.01, 0.02, 0.03, 0.05, 0.1), grid_targets=100, many_directions=4096,
                    centre_repeats=32, truth_votes=1000, certify_n=1000),
}  # fmt: skip

NEEDS = {
    "smoke": "2 cores, 2 GiB, under half a minute",
    "cpu": "2 cores, 4 GiB, about two minutes beyond the nets that it shares with inversion",
    "gpu": "a CUDA device of 16 GiB, some minutes (estimated)",
    "paper": "a CUDA device of 16 GiB (celeba:PATH; RP_TUTORIAL_CHECKPOINTS for the paper's nets)",
}


def tables(results: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Tidy tables: `arms` (a row an arm), `radii` (arm and latent radius), `displacement`, `promise` (what a certified
    vote promises about the walk, a row a sigma and N), `verdicts`.
    """
    arms = pd.DataFrame([_flat(arm) for arm in results["arms"]])
    radii = [{"name": arm["name"], **_flat(row)} for arm in results["arms"] for row in arm["by_radius"]]
    moved = [{"sigma": at["sigma"], **_flat(row)} for at in results["displacement"] for row in at["spheres"]]
    found = [{"explanation": name, **row} for name, verdict in results["verdicts"].items() for row in verdict["rows"]]
    kept = [_flat(row) for row in results.get("promise", [])]  # the stored runs were before it
    lists = {"radii": radii, "displacement": moved, "promise": kept, "verdicts": found}
    return {"arms": arms} | {name: pd.DataFrame(rows) for name, rows in lists.items()}


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """One level of columns: a measured value by its name, its interval behind it; no lists."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict) and "by_target" in value:
            flat |= {name: value["value"], f"{name}_low": value["low"], f"{name}_high": value["high"]}
        elif isinstance(value, dict):
            flat |= {f"{name}_{key}": part for key, part in _flat(value).items()}
        elif not isinstance(value, list):
            flat[name] = value
    return flat


def summary(results: dict[str, Any]) -> str:
    """Displacements, what the attack sees arm by arm, and the verdicts, for a terminal."""
    found = tables(results)
    moved = found["displacement"][["sigma", "radius", "displacement_q50", "over_certified_q50", "beyond_certified"]]
    shown = ["name", "outside", "cosine_sphere", "cosine_gradient", "passes_if_expands", "answered_differently",
             "centre_rejected"]  # fmt: skip
    tried = [f"{name}: {_WORDS[verdict['survives']]}" for name, verdict in results["verdicts"].items()]
    parts = (table.round(3).to_string(index=False) for table in (moved, found["arms"][shown]))
    return "\n\n".join([*parts, "\n".join(tried)])


_WORDS = {True: "survives", False: "does not survive", None: "not decided"}


def run(lab: MechanismLab) -> dict[str, Any]:
    """The undefended walk, then every measurement along it; each arm is remembered on its own."""
    results = {
        "unit": UNIT,
        **lab.people,
        "targets": len(lab.targets),
        "points": len(lab.z),
        "attack_radius": quantiles(lab.walk["radius"]),
        "rule": rule_of(lab.settings),
        "displacement": [lab.displaced(sigma) for sigma in lab.settings.sigmas],
        "arms": [lab.seen(arm) for arm in lab.settings.arms],
        "pairs": lab.pairs,
        "promise": [row for sigma in lab.settings.sigmas for row in lab.promised(sigma)],
    }
    return results | {"verdicts": verdicts(results)}


EXPERIMENT = register(Experiment(
    "inversion-mechanism", MechanismLab, run, PROFILES, FACES, tables, summary, NEEDS,
    join=join, seeds=(0, 1, 2), completed=with_registered("arms"),
))  # fmt: skip
