"""Transfer learning with frozen early layers (TL-DMI): early layers never see the private people.

They are learnt from public images (`training/pretrain.py`), and `fit_classifier` leaves frozen layers as they are.
"""

from rp_tutorial.core.arguments import refuse
from rp_tutorial.models.facenet import IRClassifier


def freeze_early(net: IRClassifier, units: int) -> IRClassifier:
    """`net`, of which the stem and the first `units` units take no gradients. NO privacy guarantee comes with it.

    The later layers are trained on the private images and may remember them. Raises InputError for a number of units
    that the net does not have. Source: Ho et al. 2024 (CVPR). Chapter: comparisons/frontier.

    >>> net = rp.training.freeze_early(rp.models.SmallFaceNet(4), 2)
    >>> sorted({name.rsplit(".", 2)[0] for name, p in net.named_parameters() if p.requires_grad})[-1]
    'output_layer'
    >>> any(p.requires_grad for p in net.input_layer.parameters())
    False
    """
    stem, body, _ = net.ir_parts()
    if isinstance(units, bool) or units not in range(len(body) + 1):
        raise refuse("units", units, f"0 to {len(body)}, which is all of them")
    for part in (stem, *body[:units]):
        part.requires_grad_(False)
    return net
