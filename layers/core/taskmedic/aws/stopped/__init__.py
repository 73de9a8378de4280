"""Stopped tasks: found, read about, and diagnosed. See ``collector.collect``."""

from taskmedic.aws.stopped.collector import Case, Collection, collect
from taskmedic.aws.stopped.tasks import Query

__all__ = ["Case", "Collection", "Query", "collect"]
