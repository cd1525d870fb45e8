"""Which devices there are: an argument `device` is checked here, once, in one voice."""

import torch

from rp_tutorial.core.arguments import refuse


def check_device(device: str | torch.device) -> torch.device:
    """`device` as a torch.device that exists here, "cuda" with its number, or InputError with the names of those."""
    there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    there += ["mps"] * torch.backends.mps.is_available()
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        raise refuse("device", device, " or ".join(there)) from None
    kind = {"cuda": f"cuda:{found.index or 0}"}.get(found.type, found.type)
    if kind not in there:
        raise refuse("device", str(device), " or ".join(there))
    return torch.device(kind)


def device_name(device: str | torch.device) -> str:
    """What measurements of speed are of: the card's own name, or else the kind of the device."""
    place = torch.device(device)
    return torch.cuda.get_device_name(place) if place.type == "cuda" else place.type
