"""Why a task stopped: a pure function from a task, and what is known beside it, to a diagnosis."""

from taskmedic.domain.diagnosis.catalogue import CATEGORIES, Category
from taskmedic.domain.diagnosis.engine import diagnose
from taskmedic.domain.diagnosis.model import Confidence, Diagnosis, DiagnosisContext, EarlierStop, Evidence
from taskmedic.domain.diagnosis.rules import RULES, Rank, Rule

__all__ = [
    "CATEGORIES",
    "RULES",
    "Category",
    "Confidence",
    "Diagnosis",
    "DiagnosisContext",
    "EarlierStop",
    "Evidence",
    "Rank",
    "Rule",
    "diagnose",
]
