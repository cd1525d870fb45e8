"""Five wrong solutions to each assignment: what replaces the right functions, and the points of the questions it costs.

A question that is not named keeps its full points. The functions are those that the checks are tried on.
"""

import answers_counting as counting

WRONG = {
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
}
