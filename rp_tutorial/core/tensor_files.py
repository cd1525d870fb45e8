"""Tensors and plain containers as bytes and back, without ever running code that a file brings along."""

from io import BytesIO
from typing import Any

import torch


def as_bytes(content: Any) -> bytes:
    """What `torch.save` writes."""
    memory = BytesIO()
    torch.save(content, memory)
    return memory.getvalue()


def from_bytes(content: bytes) -> Any:
    """Tensors, on the CPU, and plain containers; an exception of torch's choice for bytes that are anything else."""
    return torch.load(BytesIO(content), map_location="cpu", weights_only=True)
