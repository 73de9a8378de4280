"""The taxonomy: every category with what it means, what it says and what to do."""

from __future__ import annotations

from collections.abc import Mapping

from taskmedic.domain.diagnosis.catalogue.container import APP, CONTAINER
from taskmedic.domain.diagnosis.catalogue.image import IMAGE
from taskmedic.domain.diagnosis.catalogue.model import PLAIN_WORDS, Advice, Category, Line, Telling, fields_of
from taskmedic.domain.diagnosis.catalogue.orchestration import ORCHESTRATION
from taskmedic.domain.diagnosis.catalogue.resources import RESOURCES

CATEGORIES: Mapping[str, Category] = {
    category.label: category for category in (*IMAGE, *RESOURCES, *CONTAINER, *APP, *ORCHESTRATION)
}

__all__ = ["CATEGORIES", "PLAIN_WORDS", "Advice", "Category", "Line", "Telling", "fields_of"]
