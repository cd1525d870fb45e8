"""How the net behind a defence can be trained otherwise than the target of all comparisons, each way by its name.

A recipe registers itself; from then on any release can stand on a net of it (`Defense(..., net=name)`). It changes the
loss, the layers or where training begins, never the private images or how often they are seen. The recipes of the
literature are in `inversion_defenses.py`, nets with DP-SGD in `private_nets.py`.
"""

from collections.abc import Callable
from typing import Any

from rp_tutorial.core.registry import Registry
from rp_tutorial.models.facenet import FaceClassifier
from rp_tutorial.training.objectives import Objective

# The lab and an untrained net of the target's family -> the net that is to be trained, and the objective.
Recipe = Callable[[Any, Any], tuple[FaceClassifier, Objective]]
TRAINED_NETS: Registry[Recipe] = Registry("net", "rp_tutorial.experiments.faces")


def trained_net(name: str) -> Callable[[Recipe], Recipe]:
    """Registers a way to train the net behind a defence: `@trained_net("mine")` above `def mine(lab, net)`.

    The function gets an untrained net of the target's family, and returns the net to be trained, whose layers without
    gradients stay as they are, and its objective. Experiments that compare defences meet it without being asked.
    No promise comes with a way to train. Raises InputError for a name that is taken.

    >>> @rp.trained_net("doubled loss")
    ... def doubled(lab, net):
    ...     return net, lambda net, x, y, progress: 2 * torch.nn.functional.cross_entropy(net(x), y)
    >>> rp.experiments.Defense("none", net="doubled loss").label
    'none, net trained with doubled loss'

    Chapter: comparisons/frontier.
    """
    return TRAINED_NETS.registering(name, lambda recipe: recipe)
