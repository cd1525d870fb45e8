"""Numbers that the paper prints, for charts and ledger to set beside ours. What we measure is in the experiments."""

# Table 1: accuracy and abstention in percent and the average certified radius in std, by sigma.
TABLE1 = {1.0: (96.36, 3.64, 0.56), 2.0: (92.76, 7.23, 0.63), 3.0: (89.04, 10.96, 0.65)}
# Figure 3 of the first version, as far as its text prints numbers; in percent. None: not printed.
FIGURE3 = (
    {"sigma": 0.0, "n": 0, "asr": 73.0, "paper_accuracy": 100.0},
    {"sigma": 0.03, "n": 100, "asr": 44.0, "paper_accuracy": 100.0},
    {"sigma": 0.1, "n": 100, "asr": 4.0, "paper_accuracy": 59.4},
    {"sigma": 0.1, "n": 10, "asr": 6.0, "paper_accuracy": None},
)
