from .claim import Claim, Measurement, verdict
from .documents import published, read_documents
from .paper_claims import FIGURE3, TABLE1
from .verdicts import render, table

__all__ = [
    "FIGURE3",
    "TABLE1",
    "Claim",
    "Measurement",
    "published",
    "read_documents",
    "render",
    "table",
    "verdict",
]
