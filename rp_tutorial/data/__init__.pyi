from .faces.drawn import synthetic_faces
from .faces.sources import load_faces
from .faces.task import FaceTask, from_text, to_bytes, to_float, to_text
from .tables.insurance import LEAKING, InsuranceTable, load_at_most, load_table
from .tables.synthetic import generate, risk_score
from .tables.tasks import AttributeTask, ThresholdTask, labelled_task, threshold_task

__all__ = [
    "LEAKING",
    "AttributeTask",
    "FaceTask",
    "InsuranceTable",
    "ThresholdTask",
    "from_text",
    "generate",
    "labelled_task",
    "load_at_most",
    "load_faces",
    "load_table",
    "risk_score",
    "synthetic_faces",
    "threshold_task",
    "to_bytes",
    "to_float",
    "to_text",
]
