"""Tasks about an attribute: from a table to tensors a net is trained on, and back to the attribute's unit.

`threshold_task` has the paper's label (section 5): does the attribute exceed its 90th percentile? `table_task` has the
label that the table's own schema says, `labelled_task` takes any. Encoding and scaling are fitted on the
training rows alone. Nets, attacks and noise live elsewhere.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from rp_tutorial.core.arguments import InputError, open_unit, refuse
from rp_tutorial.core.streams import Purpose, numpy_generator
from rp_tutorial.data.tables.people import PeopleTable


@dataclasses.dataclass(frozen=True)
class AttributeTask:
    """Encoded rows with a label of two classes, and the way between two units of one attribute.

    x_train, x_test: float32 [N, d], standardised; y_train, y_test: int64 [N].
    Mind the unit. Inside `x` the attribute is in standard deviations of the training rows ("std"), and so are sigma
    and every certified radius; one std of BMI is about 5 kg/m^2. `attribute_mean`, `attribute_std` and
    `test_attribute` (float64 [N], the test rows' own values) are in `unit`. Convert with `to_std` and `to_unit`;
    a *radius* or a difference is only multiplied by `attribute_std`.
    """

    x_train: torch.Tensor
    y_train: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    feature_names: tuple[str, ...]
    attribute_column: int
    attribute_mean: float
    attribute_std: float
    unit: str
    test_attribute: torch.Tensor

    def to_std(self, values):
        """Attribute values in `unit` -> standardised. Numbers, arrays or tensors; the shape stays."""
        return (values - self.attribute_mean) / self.attribute_std

    def to_unit(self, values):
        """Standardised attribute values -> in `unit`. Numbers, arrays or tensors; the shape stays."""
        return values * self.attribute_std + self.attribute_mean

    def attribute_of(self, x: torch.Tensor) -> torch.Tensor:
        """The attribute of encoded rows [..., d] in `unit`, [...], to float32 accuracy."""
        return self.to_unit(x[..., self.attribute_column])

    def with_attribute(self, x: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Copies of the rows with the attribute overwritten: what a label-only adversary sends.

        x: [B, d]. values, in `unit` (not std): [G], the same for every row, or [B, G]. Result: [B, G, d], on x's
        device and in its dtype; a single number counts as [1].
        Raises InputError if the shapes do not fit.
        """
        if x.dim() != 2 or x.shape[1] != len(self.feature_names):
            raise refuse("x", tuple(x.shape), f"a tensor of shape [B, {len(self.feature_names)}]")
        values = torch.as_tensor(values, device=x.device)
        grid = torch.atleast_1d(values)
        if grid.dim() > 2 or (grid.dim() == 2 and grid.shape[0] != x.shape[0]):
            raise refuse("values", tuple(values.shape), f"a tensor of shape [G] or [{x.shape[0]}, G]")
        copies = x[:, None, :].repeat(1, grid.shape[-1], 1)  # [B, G, d]
        copies[..., self.attribute_column] = self.to_std(grid).to(x.dtype)
        return copies


@dataclasses.dataclass(frozen=True)
class ThresholdTask(AttributeTask):
    """The label is "attribute > threshold"; `threshold` is in `unit`."""

    threshold: float


def threshold_task(
    table: PeopleTable, *, quantile: float = 0.9, train_fraction: float = 0.6, seed: int = 0
) -> ThresholdTask:
    """The task "is the attribute above this quantile of the training rows?", split at random by `seed`.

    Nothing of the test rows enters the encoding, the scaling or the threshold. A category that only the test rows
    have becomes all zeros; a constant numeric column becomes 0. Defaults are the paper's: 90th percentile, 60/40.
    Raises InputError if the training or the test rows would all have the same label.

    >>> task = rp.threshold_task(rp.load_table("synthetic", rows=1000))
    >>> task.x_train.shape, task.feature_names[task.attribute_column], task.unit
    (torch.Size([600, 81]), 'bmi', 'kg/m^2')

    Chapter: foundations/side-channel.
    """
    quantile = open_unit("quantile", quantile)
    return _above(table, lambda attribute: float(np.quantile(attribute, quantile)), train_fraction, seed)


def table_task(table: PeopleTable, *, train_fraction: float = 0.6, seed: int = 0) -> AttributeTask:
    """The task that the table's schema says: its rule about the attribute (a `ThresholdTask`), or its label column.

    Encoding and split as in `threshold_task`, and the same InputError; further for a table without a schema.
    """
    rule = table.label
    if rule is None:
        raise refuse("table", table.source, "one that was loaded with a schema, which says what is decided")
    split = {"train_fraction": train_fraction, "seed": seed}
    if rule.quantile is not None:
        return threshold_task(table, quantile=rule.quantile, **split)
    if rule.above is not None:
        return _above(table, lambda attribute: rule.above, **split)
    label = table.frame[rule.column].to_numpy(dtype=float) == 1
    meaning = f"1 in {rule.column}" if rule.positive is None else f"{rule.positive!r} in {rule.column}"
    return labelled_task(table, label, meaning=meaning, **split)


def labelled_task(
    table: PeopleTable, label: np.ndarray, *, meaning: str, train_fraction: float = 0.6, seed: int = 0
) -> AttributeTask:
    """The task of a given label, bool [rows of the table]; encoding and split as in `threshold_task`.

    `meaning` says what a label of 1 means, for the error message. Raises InputError as `threshold_task`.
    """
    label = np.asarray(label)
    if label.dtype != bool or label.shape != (len(table.frame),):
        raise refuse("label", f"{label.dtype} of shape {label.shape}", f"one bool for each of {len(table.frame)} rows")
    split = _split(len(table.frame), open_unit("train_fraction", train_fraction), seed)
    return AttributeTask(**_encoded(table, label, split, meaning))


def _above(
    table: PeopleTable, threshold_of: Callable[[np.ndarray], float], train_fraction: float, seed: int
) -> ThresholdTask:
    """The label "attribute > threshold", where the training rows' attribute says the threshold."""
    split = _split(len(table.frame), open_unit("train_fraction", train_fraction), seed)
    attribute = table.frame[table.attribute].to_numpy(dtype=float)
    threshold = threshold_of(attribute[split[0]])
    meaning = f"{table.attribute} above {threshold:g} {table.unit}"
    return ThresholdTask(**_encoded(table, attribute > threshold, split, meaning), threshold=threshold)


def _encoded(table: PeopleTable, label: np.ndarray, split: tuple[np.ndarray, np.ndarray], meaning: str) -> dict:
    """The fields that every task has."""
    train, test = split
    _refuse_single_label(table, label, train, test, meaning)
    encoder = _encoder(table).fit(table.frame.iloc[train])
    column = table.numeric.index(table.attribute)
    scaler = encoder.named_transformers_["numeric"]
    attribute = table.frame[table.attribute].to_numpy(dtype=float)
    return {
        "x_train": torch.tensor(encoder.transform(table.frame.iloc[train]), dtype=torch.float32),
        "y_train": torch.from_numpy(label[train].astype(np.int64)),
        "x_test": torch.tensor(encoder.transform(table.frame.iloc[test]), dtype=torch.float32),
        "y_test": torch.from_numpy(label[test].astype(np.int64)),
        "feature_names": tuple(map(str, encoder.get_feature_names_out())),
        "attribute_column": column,
        "attribute_mean": float(scaler.mean_[column]),
        "attribute_std": float(scaler.scale_[column]),
        "unit": table.unit,
        "test_attribute": torch.from_numpy(attribute[test]),
    }


def _split(n_rows: int, train_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    n_train = round(train_fraction * n_rows)
    if not 0 < n_train < n_rows:
        raise refuse("train_fraction", train_fraction, f"a share that leaves rows on both sides of {n_rows}")
    order = numpy_generator(Purpose.TABLE_SPLIT, seed).permutation(n_rows)
    return order[:n_train], order[n_train:]


def _refuse_single_label(table: PeopleTable, label, train, test, meaning: str) -> None:
    for name, rows in (("training", train), ("test", test)):
        above = int(label[rows].sum())
        if above in (0, len(rows)):
            raise InputError(
                f"data: {table.source}: {above} of {len(rows)} {name} rows have {meaning}, so all labels are the "
                "same; allowed are data with both labels in both splits"
            )


def _encoder(table: PeopleTable) -> ColumnTransformer:
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False, feature_name_combiner="{}={}".format)
    parts = [
        ("numeric", StandardScaler(), list(table.numeric)),  # a constant column is divided by 1, not by 0
        ("categorical", one_hot, list(table.categorical)),
    ]
    return ColumnTransformer(parts, verbose_feature_names_out=False)
