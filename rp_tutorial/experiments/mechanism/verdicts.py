"""Which explanations of the inversion experiment survive: verdicts from numbers by declared rules, and runs joined.

Nothing is measured here. The input is the results of the experiment; a verdict says what was compared, the
rule, and whether the explanation survives it.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

from rp_tutorial.experiments.mechanism.latent_measures import difference, over_targets, pass_probability
from rp_tutorial.statistics.joining import check_same_arms

HALF_RULE = "survives if the 95 % interval of the share of probes beyond the radius ends below one half"
ABOVE_RULE = "survives if the 95 % interval over targets of a - b lies above 0"
TOUCHES_RULE = "survives if the 95 % interval over targets reaches down to 0"

FRESH = (("plain noise", 1), ("smoothing", 10), ("smoothing", 100))
MAIN = ("smoothing", 10)  # the release whose row decides
_NONE, _FIXED = (("none", 1),), (("fixed noise", 10),)
Kinds = tuple[tuple[str, int], ...]

# name, claim, measure, a, b: each of the arms a against each of the arms b, or against a guess where there is no b
COMPARISONS: tuple[tuple[Any, ...], ...] = (
    ("direction destroyed", "the direction estimate is no better than a guess", "cosine_sphere", FRESH),
    ("boundary hidden", "on the attack's spheres the smoothed label flips less than the net's own",
     "outside", _NONE, FRESH),
    ("direction weakened", "the direction estimate is further from the true one than without defence",
     "cosine_sphere", _NONE, FRESH),
    ("direction weakened by smoothing alone", "the same with noise that is fixed: smoothing without randomness",
     "cosine_sphere", _NONE, _FIXED),
    ("direction weakened by randomness", "fresh noise spoils the direction beyond what fixed noise does",
     "cosine_sphere", _FIXED, FRESH),
    ("expansion rule broken by randomness", "at the same points and radii the 29-of-32 rule passes less often",
     "passes_by_radius", _FIXED, FRESH),
    ("expansion rule broken by smoothing alone", "the same rule, fixed noise against no defence",
     "passes_by_radius", _NONE, _FIXED),
    ("step rule broken by randomness", "centres truly inside are answered as outside more often than with fixed noise",
     "centre_rejected", FRESH, _FIXED),
)  # fmt: skip
COUNTED = ("points", "targets", "mixed_points", "centres_inside", "spheres_that_expand")  # add up when runs are joined


def verdicts(results: dict[str, Any]) -> dict[str, Any]:
    """name -> claim, rule, rows (one for each sigma and arm) and survives, which the rows at VOTE(10) decide.

    A row holds what was compared, value, low and high over targets, and its own verdict. survives is None where the
    run has no row that decides.
    """
    found = {
        "probes within the certified radius": _masking(results, "certified"),
        "probes within the largest printable radius": _masking(results, "largest"),
    }
    for name, claim, measure, *sides in COMPARISONS:
        rule = ABOVE_RULE if len(sides) == 2 else TOUCHES_RULE
        found[name] = _verdict(claim, f"{rule} (of {measure})", _compared(results["arms"], measure, *sides))
    return found


def _verdict(claim: str, rule: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    decisive = [row["survives"] for row in rows if row.get("decides", True) and row["survives"] is not None]
    return {"claim": claim, "rule": rule, "rows": rows, "survives": all(decisive) if decisive else None}


def _masking(results: dict[str, Any], radius: str) -> dict[str, Any]:
    """Where the attack's own probes land, at every sigma. R can only mask what happens within R."""
    rows = []
    for at in results["displacement"]:
        attack = next(row for row in at["spheres"] if row["radius"] == "attack")
        share = attack["beyond_certified"] if radius == "certified" else attack["beyond_largest"][str(at["n"])]
        survives = None if share["high"] is None else share["high"] < 0.5
        rows.append({"sigma": at["sigma"], "n": at["n"], **_interval(share), "survives": survives})
    claim = f"the attack's probes stay within the {radius} radius, where the smoothed label cannot change"
    return _verdict(claim, HALF_RULE, rows)


def _compared(arms: list[dict[str, Any]], measure: str, *sides: Kinds) -> list[dict[str, Any]]:
    """a - b for every pair of arms, or a itself where it stands alone, at every sigma at which the run has them.

    A difference survives above 0; what stands alone survives if it is no more than a guess, whose cosine is 0 on
    average.
    """
    groups, sigmas = list(product(*sides)), sorted({arm["sigma"] for arm in arms if arm["defense"] != "none"})
    rows = []
    for sigma, kinds in product(sigmas, groups):
        found = [_arm(arms, kind, sigma) for kind in kinds]
        if None not in found:
            measured = [_measured(arm, measure) for arm in found]
            value = difference(*measured) if len(measured) == 2 else measured[0]
            survives = None if value["low"] is None else (value["low"] > 0) == (len(measured) == 2)
            named = {side: arm["name"] for side, arm in zip("ab", found, strict=False)}
            row = {"sigma": sigma, **named, **_interval(value), "survives": survives}
            rows.append(row | {"decides": len(groups) == 1 or MAIN in kinds})
    return rows


def _measured(arm: dict[str, Any], measure: str) -> dict[str, Any]:
    """A measure of an arm. passes_by_radius: how often the rule passes, a mean over all radii for each target.

    Not `passes_if_expands`: its spheres were chosen because the undefended net passes them, in these very directions,
    so any other net would pass fewer, as good as it may be.
    """
    if measure != "passes_by_radius":
        return arm[measure]
    rows = zip(*(row["passes"]["by_target"] for row in arm["by_radius"]), strict=True)
    return over_targets([None if None in row else sum(row) / len(row) for row in rows])


def _arm(arms: list[dict[str, Any]], kind: tuple[str, int], sigma: float) -> dict[str, Any] | None:
    at = 0.0 if kind[0] == "none" else sigma
    wanted = (*kind, at, False)
    return next((arm for arm in arms if (arm["defense"], arm["n"], arm["sigma"], arm["augmented"]) == wanted), None)


def _interval(measured: dict[str, Any]) -> dict[str, Any]:
    return {name: measured[name] for name in ("value", "low", "high", "targets")}


def join(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several seeds as one set of results, verdicts included: the targets of all seeds side by side.

    Whatever is a mean over targets is taken over all of them; quantiles and other plain numbers are averaged over
    seeds. Every seed has its own faces, nets and prior. Raises InputError if the runs have different arms.
    """
    check_same_arms([run["arms"] for run in results])
    joined = _joined([{name: part for name, part in run.items() if name != "verdicts"} for run in results])
    for arm in joined["arms"]:
        arm["passes_if_expands_binomial"] = binomial_pass(arm["outside_if_expands"], joined["rule"])
    return joined | {"seeds": len(results), "verdicts": verdicts(joined)}


def binomial_pass(outside: dict[str, Any], rule: dict[str, int]) -> float | None:
    """The chance of the 29-of-32 rule at that share of probes outside, if every probe flips on its own."""
    return None if outside["value"] is None else float(pass_probability(outside["value"], **rule))


def _joined(parts: list[Any], name: str = "") -> Any:
    first = parts[0]
    if isinstance(first, dict) and "by_target" in first:
        return over_targets([mean for part in parts for mean in part["by_target"]])
    if isinstance(first, dict):
        return {key: _joined([part[key] for part in parts], key) for key in first}
    if isinstance(first, list) and first and isinstance(first[0], dict):
        return [_joined(list(rows)) for rows in zip(*parts, strict=True)]
    if name in COUNTED:
        return sum(parts)
    known = [part for part in parts if isinstance(part, float)]
    return sum(known) / len(known) if known and any(part != first for part in parts) else first
