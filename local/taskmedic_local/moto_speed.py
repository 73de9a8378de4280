"""Two places in moto's DynamoDB that take most of the local cloud's time when a service crashes in a loop.

Both answer as before. Without them a storm of 200 executions, which all read and write one ledger, takes
twice the processor's time.
"""

from __future__ import annotations

from typing import Any

from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models.table import Table

_PLAIN = {"S", "N", "BOOL", "NULL"}  # types whose value JSON has too


def apply() -> None:
    """Puts them in force in this process; a second call changes nothing."""
    if Table.all_items is not _all_items:
        setattr(Table, "all_items", _all_items)  # noqa: B010 - a method of moto's
        _skip_attribute_values(BaseJSONSerializer)


def _all_items(self: Any) -> list[Any]:
    """Every item in the order of its keys: by their values at once, not by comparing moto's objects."""
    if not self.range_key_attr:
        return sorted(self.items.values(), key=lambda item: item.hash_key.cast_value)
    items = [item for of_hash in self.items.values() for item in of_hash.values()]
    return sorted(items, key=lambda item: (item.hash_key.cast_value, item.range_key.cast_value))


def _skip_attribute_values(serializer: Any) -> None:
    """``{"S": "text"}`` is its own JSON: moto looks for each of ten types under six names in it."""
    serialize = serializer._serialize_type_structure

    def serialize_structure(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name == "AttributeValue" and isinstance(value, dict) and value.keys() <= _PLAIN:
            self._default_serialize(serialized, value, shape, key)
        else:
            serialize(self, serialized, value, shape, key)

    serializer._serialize_type_structure = serialize_structure
