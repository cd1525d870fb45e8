"""The BMI threshold task: labels, split, encoding and units."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from close import assert_close_to_scale

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.streams import Purpose, numpy_generator
from rp_tutorial.data.tables.people import PeopleTable
from rp_tutorial.data.tables.sources import load_table
from rp_tutorial.data.tables.tasks import labelled_task, threshold_task


@pytest.fixture(scope="module")
def table() -> PeopleTable:
    return load_table("synthetic", rows=4000, seed=2)


@pytest.fixture(scope="module")
def task(table):
    return threshold_task(table, seed=1)


def small_table(**columns) -> PeopleTable:
    """A hand-made table with only these features."""
    frame = pd.DataFrame(columns)
    categorical = tuple(name for name in frame if not pd.api.types.is_numeric_dtype(frame[name]))
    numeric = tuple(name for name in frame if name not in categorical)
    return PeopleTable(frame, numeric, categorical, "bmi", "kg/m^2", "hand-made", "0" * 64)


def changed(table: PeopleTable, **columns) -> PeopleTable:
    return dataclasses.replace(table, frame=table.frame.assign(**columns))


def test_shapes_and_dtypes_are_those_the_nets_take(task):
    width = len(task.feature_names)
    assert task.x_train.shape == (2400, width)
    assert task.x_test.shape == (1600, width)
    assert task.x_train.dtype == task.x_test.dtype == torch.float32
    assert task.y_train.dtype == task.y_test.dtype == torch.int64
    assert task.y_train.shape == (2400,)
    assert task.test_attribute.shape == task.y_test.shape == (1600,)
    assert task.feature_names[task.attribute_column] == "bmi"
    assert len(set(task.feature_names)) == width


def test_label_is_the_attribute_above_the_training_rows_quantile(table, task):
    assert torch.equal(task.y_test, (task.test_attribute > task.threshold).long())
    train_attribute = task.attribute_of(task.x_train.double()).round(decimals=1)
    assert torch.equal(task.y_train, (train_attribute > task.threshold + 1e-6).long())
    assert task.threshold == pytest.approx(np.quantile(train_attribute, 0.9), abs=1e-6)
    both = torch.cat([train_attribute, task.test_attribute]).sort().values
    assert_close_to_scale(both, torch.tensor(np.sort(table.frame.bmi.to_numpy())))


def test_full_synthetic_table_reproduces_the_papers_threshold():
    task = threshold_task(load_table("synthetic"))
    assert len(task.x_train) == 60_000
    assert len(task.x_test) == 40_000
    assert abs(task.threshold - 33.4) <= 0.1 + 1e-9
    # 10 % less the ties at the threshold (.8 %); standard error of the share .15 points
    assert task.y_test.float().mean().item() == pytest.approx(0.096, abs=0.008)
    assert 4.9 <= task.attribute_std <= 5.1


def test_the_split_is_a_seeded_partition(table, task):
    again, other = threshold_task(table, seed=1), threshold_task(table, seed=2)
    assert torch.equal(task.x_train, again.x_train)
    assert torch.equal(task.test_attribute, again.test_attribute)
    assert not torch.equal(task.test_attribute, other.test_attribute)
    marked = changed(table, age=np.arange(len(table.frame)))  # an identifier that survives the scaling
    task = threshold_task(marked, seed=1)
    column = task.feature_names.index("age")
    ranks = torch.cat([task.x_train[:, column], task.x_test[:, column]])
    assert len(torch.unique(ranks)) == len(table.frame)


def test_features_are_standardised_on_the_training_rows(task):
    numeric = [i for i, name in enumerate(task.feature_names) if "=" not in name]
    x = task.x_train[:, numeric].double()
    assert x.mean(dim=0).abs().max() < 1e-5
    assert (x.std(dim=0, correction=0) - 1).abs().max() < 1e-4


def test_each_row_has_exactly_one_level_of_each_category(table, task):
    for name in table.categorical:
        levels = [i for i, feature in enumerate(task.feature_names) if feature.startswith(name + "=")]
        assert len(levels) == table.frame[name].nunique()
        assert (task.x_test[:, levels].sum(dim=1) == 1).all()
        assert task.x_test[:, levels].unique().tolist() == [0, 1]


def test_nothing_of_the_test_rows_enters_the_encoding(table):
    """Change the test rows beyond recognition: what was fitted, and every training tensor, stays."""
    before = threshold_task(table, seed=4)
    marked = threshold_task(changed(table, age=np.arange(len(table.frame))), seed=4)
    age = marked.x_test[:, marked.feature_names.index("age")].double()
    order = numpy_generator(Purpose.TABLE_SPLIT, 4).permutation(len(table.frame))
    test = order[2400:]
    assert np.array_equal(np.argsort(age.numpy()), np.argsort(test))  # these are the test rows
    frame = table.frame.copy()
    frame.loc[test, "income"] *= 1000
    frame.loc[test, "bmi"] += 7
    frame.loc[test, "plan_type"] = "unheard of"
    after = threshold_task(dataclasses.replace(table, frame=frame), seed=4)
    assert torch.equal(after.x_train, before.x_train)
    assert torch.equal(after.y_train, before.y_train)
    assert after.feature_names == before.feature_names
    assert (after.threshold, after.attribute_mean, after.attribute_std) == (
        before.threshold,
        before.attribute_mean,
        before.attribute_std,
    )
    plans = [i for i, name in enumerate(after.feature_names) if name.startswith("plan_type=")]
    assert (after.x_test[:, plans] == 0).all()


def test_the_leak_and_the_identifier_are_no_features_unless_asked(table, task):
    assert not {"risk_score", "is_high_risk", "person_id"} & set(task.feature_names)
    leaky = threshold_task(table.with_leaking(), seed=1)
    assert {"risk_score", "is_high_risk"} <= set(leaky.feature_names)
    assert torch.equal(leaky.y_test, task.y_test)


def test_units_go_there_and_back(task):
    assert task.to_std(task.attribute_mean) == 0
    assert task.to_unit(1.0) == pytest.approx(task.attribute_mean + task.attribute_std)
    values = torch.linspace(12, 50.4, 50, dtype=torch.float64)
    assert_close_to_scale(task.to_unit(task.to_std(values)), values)
    assert isinstance(task.to_std(values.numpy()), np.ndarray)
    assert torch.allclose(task.attribute_of(task.x_test).double(), task.test_attribute, rtol=0, atol=1e-4)
    # the trap: one std is about 5 kg/m^2
    assert task.to_unit(0.56) - task.to_unit(0.0) == pytest.approx(2.8, abs=0.1)


def test_with_attribute_overwrites_the_attribute_and_nothing_else(task):
    x = task.x_test[:3]
    original = x.clone()
    values = torch.tensor([20.0, 30.0])
    copies = task.with_attribute(x, values)
    assert copies.shape == (3, 2, x.shape[1])
    assert copies.dtype == torch.float32
    assert torch.allclose(task.attribute_of(copies), values.expand(3, 2), atol=1e-4)
    others = [i for i in range(x.shape[1]) if i != task.attribute_column]
    assert torch.equal(copies[..., others], x[:, None, others].expand(3, 2, -1))
    assert torch.equal(x, original)
    copies[0, 0] = 0
    assert torch.equal(task.x_test[:3], original)


def test_with_attribute_takes_a_grid_for_each_row_or_one_number(task):
    x = task.x_test[:3]
    grid = torch.tensor([[20.0, 21], [30, 31], [40, 41]])
    assert torch.allclose(task.attribute_of(task.with_attribute(x, grid)), grid, atol=1e-4)
    assert task.with_attribute(x, 30.0).shape == (3, 1, x.shape[1])
    own = task.test_attribute[:3, None]
    assert_close_to_scale(task.with_attribute(x, own)[:, 0], x, of=task.to_std(own).float())
    assert task.with_attribute(x, torch.empty(0)).shape == (3, 0, x.shape[1])


@pytest.mark.parametrize("shape", [(2, 5), (4, 5), (3, 2, 1)])
def test_with_attribute_refuses_values_of_another_shape(task, shape):
    with pytest.raises(InputError, match=r"^values: got .* \[G\] or \[3, G\]"):
        task.with_attribute(task.x_test[:3], torch.zeros(shape))


def test_with_attribute_refuses_rows_of_another_width(task):
    with pytest.raises(InputError, match=r"^x: got "):
        task.with_attribute(task.x_test[0], torch.zeros(2))
    with pytest.raises(InputError, match=r"^x: got "):
        task.with_attribute(task.x_test[:2, 1:], torch.zeros(2))


def test_a_constant_column_becomes_zero_not_nan():
    bmi = np.linspace(15, 45, 200)
    task = threshold_task(small_table(bmi=bmi, constant=np.full(200, 7.3), big=np.full(200, 1e9)))
    assert torch.isfinite(task.x_train).all()
    assert task.x_test[:, 1:].abs().max() < 1e-9


@pytest.mark.parametrize("quantile", [0.5, 0.75, 0.9])
def test_diabetes_and_other_quantiles_work(quantile):
    task = threshold_task(load_table("diabetes"), quantile=quantile)
    assert task.x_train.shape == (265, 10)
    assert task.y_train.float().mean().item() == pytest.approx(1 - quantile, abs=0.03)


def test_real_rows_give_the_papers_threshold(real_insurance_csv):
    task = threshold_task(load_table(str(real_insurance_csv)))
    assert task.x_train.shape[0] == 3000
    # the 90th percentile of 3,000 rows has standard error .16
    assert abs(task.threshold - 33.4) <= 0.5
    assert torch.isfinite(task.x_test).all()


def test_labels_of_a_single_class_are_refused():
    with pytest.raises(InputError, match=r"^data: hand-made: 0 of 120 training rows have bmi above 30 kg/m\^2"):
        threshold_task(small_table(bmi=np.full(200, 30.0), age=np.arange(200)))
    bmi = np.full(100, 20.0)
    bmi[np.random.default_rng(0).permutation(100)[:5]] = 40  # all five fall into the training rows
    with pytest.raises(InputError, match=r"0 of 40 test rows .*so all labels are the same"):
        threshold_task(small_table(bmi=bmi), seed=0)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("quantile", 0),
        ("quantile", 1),
        ("quantile", "0.9"),
        ("train_fraction", 1.0),
        ("train_fraction", 0.0001),
        ("seed", -1),
        ("seed", 1.5),
    ],
)
def test_bad_arguments_are_refused_by_name(table, argument, value):
    with pytest.raises(InputError, match=rf"^{argument}: got") as error:
        threshold_task(table, **{argument: value})
    assert "\n" not in str(error.value)


def test_a_task_of_any_label_is_encoded_like_the_threshold_task(table):
    label = (table.frame["bmi"] > 30).to_numpy() & (table.frame["hypertension"] == 1).to_numpy()
    task, other = labelled_task(table, label, meaning="both", seed=1), threshold_task(table, seed=1)
    assert torch.equal(task.x_test, other.x_test)
    assert int(task.y_train.sum()) + int(task.y_test.sum()) == int(label.sum())
    assert torch.equal(task.y_test == 1, (task.test_attribute > 30) & (hypertension(task) > 0))


def hypertension(task):
    """Standardised, so above 0 exactly where the flag is 1."""
    return task.x_test[:, task.feature_names.index("hypertension")]


@pytest.mark.parametrize("label", [np.zeros(4000, dtype=bool), np.zeros(3, dtype=bool), np.zeros(4000)])
def test_a_label_that_does_not_fit_is_refused_in_one_line(table, label):
    with pytest.raises(InputError) as caught:
        labelled_task(table, label, meaning="nothing")
    assert "\n" not in str(caught.value)
