"""Five wrong solutions to each assignment: what replaces the right functions, and the points of the questions it costs.

A question that is not named keeps its full points. The functions are those that the checks are tried on.
"""

import answers_attributes as attributes
import answers_counting as counting
import answers_guarantees as guarantees
import answers_inversion as inversion
import answers_release as release

WRONG = {
    "attribute": {
        "gaps filled": ({"compatible": attributes.compatible_between_ends}, {"compatible": 0}),
        "a belief without a prior, and bits of a length": (
            {"belief": attributes.posterior_without_prior, "bits": attributes.bits_of_length},
            {"belief": 0, "bits": 0},
        ),
        "scores averaged in place of labels": ({"Vote": attributes.MajorityOfScores}, {"vote": 0}),
        "noise on everything, and nats": (
            {"Vote": attributes.majority_everywhere, "bits": attributes.nats},
            {"vote": 0, "bits": 0},
        ),
        "the same noise every time, asked about nobody": (
            {"Vote": attributes.MajorityOfTheSameNoise, "compatible": attributes.compatible_of_nobody},
            {"vote": 0, "compatible": 0},
        ),
    },
    "certificates": {
        "the normal approximation as a bound": ({"lower_bound": counting.normal_bound}, {"bound": 0, "certify": 0}),
        "sigma as a variance": (
            {"noisy_counts": counting.counts_of_variance, "radius": counting.radius_of_variance},
            {"counts": 0, "radius": 0, "certify": 0},
        ),
        "a one-sided test": ({"predict": counting.predict_one_sided}, {"predict": 0}),
        "the first votes reused": ({"certify": counting.certificate_reused}, {"certify": 0}),
        "one noise for all copies, and two questions left out": (
            {"noisy_counts": counting.counts_of_one_noise, "predict": None, "certify": None},
            {"counts": 0, "predict": 0, "certify": 0},
        ),
    },
    "deployable": {
        "ties counted as won": (
            {"losing_probability": guarantees.quantile_with_ties},
            {"quantile": 0, "radius": 0},
        ),
        "total variation for advantage, and it composes linearly": (
            {"advantage": guarantees.total_variation, "composed": guarantees.composition_linear},
            {"advantage": 0, "composition": 0},
        ),
        "the certified radius deployed": ({"deployable_radius": guarantees.deployable_as_certified}, {"radius": 0}),
        "an audit judged by its own rehearsal": ({"audit": guarantees.audit_on_its_rehearsal}, {"audit": 0}),
        "an audit that takes silence for nothing, and a certificate that never fails": (
            {"audit": guarantees.audit_deaf_to_silence, "composed": guarantees.composition_without_certificate},
            {"audit": 0, "composition": 0},
        ),
    },
    "inversion": {
        "towards the outside": ({"push": inversion.push_towards}, {"push": 0, "walk": 0}),
        "a lone point pushes like a wall, and the walk stays": (
            {"push": inversion.push_by_outside_alone, "walk": inversion.walk_nowhere},
            {"push": 0, "walk": 0},
        ),
        "twice the budget": ({"walk": inversion.walk_beyond_its_budget}, {"walk": 0}),
        "silence believed, and one noise for all pictures": (
            {"believed": inversion.repeated_with_silence, "Remembers": inversion.RemembersOneNoise},
            {"believed": 0, "memory": 0},
        ),
        "a memory without a secret": ({"Remembers": inversion.RemembersWithoutSecret}, {"memory": 0}),
    },
    "release": {
        "the plain net": ({"mechanism": release.plain}, {"mechanism": 2}),
        "a constant, and an attacker that tosses a coin": (
            {"mechanism": release.constant, "attacker": release.attacker_by_coin},
            {"mechanism": 0, "attacker": 0},
        ),
        "silence near the line": ({"mechanism": release.careful}, {"mechanism": 2}),
        "an attacker deaf to silence, and too many votes": (
            {"mechanism": release.too_many_votes, "attacker": release.attacker_deaf_to_silence},
            {"mechanism": 2, "attacker": 0},
        ),
        "lies to everybody alike, and an attacker of the first symbol": (
            {"mechanism": release.only_lies, "attacker": release.attacker_of_the_first},
            {"mechanism": 0, "attacker": 0},
        ),
    },
}
