"""Models that are no torch nets behind the oracles: fitted scikit-learn classifiers, and any function that labels."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, in_one_line, refuse
from rp_tutorial.oracles.smoothing import Smoothing


class LabelNet(nn.Module):
    """A function from a table to labels, as a net whose logits are 1 for the label and 0 for all others.

    label: takes float64 [B, ...], as a data frame if `columns` are named. classes: all labels there are; class c of an
    oracle is classes[c]. Raises InputError for a label that is none of them.
    """

    def __init__(self, label: Callable[[Any], Any], classes: Sequence[Any], columns: Sequence[str] | None) -> None:
        super().__init__()
        self.label, self.columns = label, None if columns is None else list(columns)
        with in_one_line("classes", "a list of all labels of the model"):
            self.classes = pd.Index(np.asarray(classes))
        if not self.classes.is_unique:
            raise refuse("classes", list(self.classes), "each label once")

    def forward(self, x: Tensor) -> Tensor:
        table = x.double().cpu().numpy()
        found = self.label(table if self.columns is None else pd.DataFrame(table, columns=self.columns))
        label = self.classes.get_indexer(pd.Index(np.asarray(found)))
        if (label < 0).any():
            new = np.asarray(found)[label < 0][0]
            raise refuse("classes", list(self.classes), f"all labels of the model, {new!r} too")
        return nn.functional.one_hot(torch.as_tensor(label), len(self.classes)).to(x)


def smooth(
    model: Any,
    *,
    sigma: float,
    classes: Sequence[Any] | None = None,
    num_classes: int | None = None,
    threads: int | None = None,
    **options: Any,
) -> Smoothing:
    """The smoothed classifier of any model, with the certificates of `Smoothing`, whose further `options` these are.

    model: a torch net, with `num_classes`; a fitted scikit-learn classifier or pipeline, smoothed in the unit of the
    table it was fitted to; or a function that takes a float64 array [B, d] and gives B labels, with `classes`, all
    labels there are, or with `num_classes`, if its labels are 0, 1, ... Class c of a certificate is model.classes_[c]
    or classes[c]. x may be an array or a data frame of numbers. A model that is no net runs in one thread, unless
    `threads` says otherwise.
    Raises InputError for anything else, and as `Smoothing` does.

    >>> smoothing = rp.smooth(lambda x: x[:, 0] > 0, sigma=0.5, classes=[False, True])
    >>> smoothing.certify([[2.0], [-2.0]], n0=50, n=1000, alpha=0.001).label
    array([1, 0])

    Chapter: practice/own-model.
    """
    if isinstance(model, nn.Module):
        if classes is not None or num_classes is None:
            given = f"{type(model).__name__} {'with classes' if classes is not None else 'without num_classes'}"
            raise refuse("model", given, "a torch net beside num_classes=, which is all it needs")
        return Smoothing(model, num_classes=num_classes, sigma=sigma, threads=threads, **options)
    label, own = getattr(model, "predict", model), getattr(model, "classes_", None)
    if own is not None and classes is not None:
        raise refuse("classes", classes, "left out, as the model has its own")
    if own is None and classes is None and num_classes is not None:
        classes = range(count("num_classes", num_classes, minimum=2))
    known = classes if own is None else own
    if not callable(label) or known is None:
        given = type(model).__name__ + (" without classes" if callable(label) else "")
        raise refuse("model", given, "a torch net, a fitted classifier with classes_, or a function beside classes=")
    net = LabelNet(label, known, getattr(model, "feature_names_in_", None))
    if num_classes not in (None, len(net.classes)):
        raise refuse("num_classes", num_classes, f"{len(net.classes)}, as many as there are, or left out")
    return Smoothing(
        net, num_classes=len(net.classes), sigma=sigma, threads=1 if threads is None else threads, **options
    )
