"""Models that are no torch nets, tables that are no tensors, and noise that is not the same for every feature."""

import numpy as np
import pandas as pd
import pytest
import torch
from close import assert_close_to_scale
from scipy import stats
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from user_nets import build

from rp_tutorial.attacks.distinguishing import play
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.oracles.adapters import smooth
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.smoothing import Smoothing, VoteOracle

ERROR, N, SIGMA = 1e-6, 3000, 0.7
rng = np.random.default_rng(0)
TABLE = pd.DataFrame(rng.normal(size=(300, 3)), columns=["age", "bmi", "children"])
LABEL = np.where(TABLE["bmi"] + 0.5 * TABLE["age"] > 0, "high", "low")
MODELS = {
    "logistic": lambda: LogisticRegression(),
    "forest": lambda: RandomForestClassifier(20, random_state=0),
    "neighbours": lambda: KNeighborsClassifier(),
    "pipeline by name": lambda: make_pipeline(
        make_column_transformer((StandardScaler(), ["age", "bmi"]), remainder="drop"), LogisticRegression()
    ),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["data frame", "array", "tensor"])
def test_a_classifier_of_scikit_learn_is_smoothed_as_a_plain_loop_would(name, kind):
    model = MODELS[name]().fit(TABLE, LABEL)
    rows = TABLE.iloc[:3]
    x = {"data frame": rows, "array": rows.to_numpy(), "tensor": torch.tensor(rows.to_numpy())}[kind]
    smoothing = smooth(model, sigma=SIGMA, seed=1)
    counts = smoothing.certify(x, n0=20, n=N, alpha=0.01).counts
    noise = np.random.default_rng(7).normal(size=(N, 3)) * SIGMA
    for row, found in zip(rows.to_numpy(), counts, strict=True):
        labels = model.predict(pd.DataFrame(row + noise, columns=TABLE.columns))
        high = int((labels == "high").sum())
        assert stats.fisher_exact([[found[0], found[1]], [high, N - high]]).pvalue > ERROR / 12
    assert set(VoteOracle(smoothing, n=11)(x).tolist()) <= {0, 1}


def test_the_game_is_played_on_rows_of_a_table():
    oracle = VoteOracle(smooth(MODELS["logistic"]().fit(TABLE, LABEL), sigma=SIGMA, seed=1), n=11)
    sure = TABLE["bmi"].argsort().to_numpy()
    x, neighbour = TABLE.iloc[sure[-1]], TABLE.iloc[sure[0]]
    assert play(oracle, x, neighbour, rounds=200).advantage == 0.5
    assert play(oracle, x.to_numpy(), x.to_numpy(), rounds=200).low <= 0


def test_a_function_is_smoothed_with_the_classes_that_are_named():
    smoothing = smooth(lambda x: np.where(x[:, 0] > 0, 30, 10), sigma=1.0, classes=[10, 20, 30], seed=0)
    assert smoothing.certify([[3.0], [-3.0]], n0=20, n=500, alpha=0.01).label.tolist() == [2, 0]
    with pytest.raises(InputError, match=r"^classes: got \[10, 20\], allowed is all labels of the model, .*30"):
        smooth(lambda x: np.where(x[:, 0] > 0, 30, 10), sigma=1.0, classes=[10, 20]).vote([[3.0]], n=5)


def test_a_number_of_classes_names_the_labels_0_1_and_so_on():
    def step(x):
        return np.digitize(x[:, 0], [-1.0, 1.0])

    named = smooth(step, sigma=1.0, classes=[0, 1, 2], seed=0)
    counted = smooth(step, sigma=1.0, num_classes=3, seed=0, threads=2)
    x = [[3.0], [-3.0], [0.0]]
    assert named.counts(x, 200).tolist() == counted.counts(x, 200).tolist()
    model = LogisticRegression().fit(TABLE, LABEL)
    assert smooth(model, sigma=1.0, num_classes=2).num_classes == 2


@pytest.mark.parametrize(
    ("model", "options", "argument"),
    [
        (lambda x: x[:, 0] > 0, {"num_classes": 1}, "num_classes"),
        (lambda x: x[:, 0] > 0, {"num_classes": "two"}, "num_classes"),
        (lambda x: x[:, 0] > 0, {"classes": [False, True], "num_classes": 3}, "num_classes"),
        (lambda x: x[:, 0] > 0, {"classes": [False, True], "threads": 0}, "threads"),
        (LogisticRegression().fit(TABLE, LABEL), {"num_classes": 3}, "num_classes"),
        (LogisticRegression().fit(TABLE, LABEL), {"classes": ["high", "low"]}, "classes"),
        (nn.Linear(3, 2), {"classes": [0, 1]}, "model"),
        (nn.Linear(3, 2), {}, "model"),
    ],
)
def test_options_that_do_not_go_together_are_refused_in_one_line(model, options, argument):
    with pytest.raises(InputError, match=rf"^{argument}: got [^\n]*$"):
        smooth(model, sigma=1.0, **options)


@pytest.mark.parametrize("classes", [[[0, 1], [1, 0]], [True, True, False]])
def test_classes_that_are_no_list_of_different_labels_are_refused_in_one_line(classes):
    with pytest.raises(InputError, match=r"^classes: got [^\n]*$"):
        smooth(lambda x: x[:, 0] > 0, sigma=1.0, classes=classes)


@pytest.mark.parametrize("model", [None, 3, "net", LogisticRegression, lambda x: x])
def test_what_is_no_model_is_refused_in_one_line(model):
    with pytest.raises(InputError, match=r"^(model|net): got [^\n]*$"):
        smooth(model, sigma=1.0).vote([[1.0]], n=3)


def test_arrays_and_data_frames_become_the_nets_dtype_and_other_things_one_line():
    net = build("plain")
    x = np.random.default_rng(1).normal(size=(4, 6))
    expected = PlainOracle(net, num_classes=3)(torch.tensor(x).float())
    assert torch.equal(PlainOracle(net, num_classes=3)(x), expected)
    assert torch.equal(PlainOracle(net.double(), num_classes=3)(pd.DataFrame(x)), expected)
    for bad in (pd.DataFrame({"a": ["x"]}), "text", None, [[1.0], [1.0, 2.0]]):
        with pytest.raises(InputError, match=r"^x: got [^\n]*$"):
            PlainOracle(net, num_classes=3)(bad)


SCALES = {"one feature": [0.0, 2.0, 0.0], "each its own": [0.5, 2.0, 1.0],
          "covariance": [[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 2.0]]}  # fmt: skip


@pytest.mark.parametrize("opaque", [False, True])
@pytest.mark.parametrize("scale", SCALES)
def test_certificates_with_a_noise_scale_fail_no_more_often_than_alpha(scale, opaque):
    """At a half-space w x > b the ideal radius is (w x - b) / |A^T w|, by the norm of the certificate."""
    weight, trials, alpha = torch.tensor([1.0, -0.7, 0.3]), 20_000, 0.05
    a = torch.tensor(SCALES[scale])
    a = torch.diag(a) if a.ndim == 1 else a
    net = nn.Sequential(nn.Linear(3, 2, bias=False), nn.Identity())
    with torch.no_grad():
        net[0].weight.copy_(torch.stack([0 * weight, weight]))
    net = nn.Sequential(nn.Identity(), net) if opaque else net
    distance = 0.6
    x = weight / weight.norm() ** 2 * distance * (a.T @ weight).norm()
    smoothing = Smoothing(net, num_classes=2, sigma=1.0, seed=3, noise_scale=SCALES[scale])
    found = smoothing.certify(x.expand(trials, 3), n0=11, n=150, alpha=alpha)
    wrong = (found.label != ABSTAIN) & ((found.label != 1) | (found.radius > distance * (1 + 1e-5)))
    assert wrong.sum() <= stats.binom.isf(ERROR, trials, alpha)
    assert wrong.sum() >= stats.binom.ppf(ERROR, trials, 0.2 * alpha)
    assert found.norm.startswith("|A^-1")


def test_noise_on_one_feature_costs_one_normal_a_vote_and_leaves_the_others():
    smoothing = Smoothing(build("plain"), num_classes=3, sigma=1.0, seed=3, noise_scale=[0, 0, 1.0, 0, 0, 0])
    smoothing.vote(torch.zeros(1, 6), n=3)
    assert smoothing._votes._view.factor.shape[0] == 1
    one = build("plain")[0].weight[:, 2]
    assert_close_to_scale(smoothing._votes._view.factor[0].abs(), one.abs())


@pytest.mark.parametrize("scale", [[1.0], [0.0] * 6, [-1.0] * 6, "wide", [[1.0] * 6], ["bmi"], [[1.0], [1.0, 2.0]]])
def test_a_noise_scale_that_does_not_fit_is_refused_in_one_line(scale):
    scale = np.eye(5) if scale == "wide" else scale
    with pytest.raises(InputError, match=r"^noise_scale: got [^\n]*$"):
        Smoothing(build("plain"), num_classes=3, sigma=1.0, noise_scale=scale).vote(torch.zeros(1, 6), n=3)
