"""Items of the ledger's table as plain values: conditional writes, consistent reads. Keys `pk` and `sk`."""

from __future__ import annotations

import time
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from taskmedic.aws.errors import translated

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


class Table:
    """One table. ``dynamodb`` is a low-level client."""

    def __init__(self, name: str, dynamodb: Any) -> None:
        self._name = name
        self._dynamodb = dynamodb

    def write_item(
        self,
        pk: str,
        sk: str,
        item: dict[str, Any],
        keep_s: int,
        condition: str = "",
        values: dict[str, Any] | None = None,
        names: dict[str, str] | None = None,
    ) -> bool:
        """Stores the item; False when ``condition`` does not hold."""
        whole = {"pk": pk, "sk": sk, "expires_at": int(time.time()) + keep_s, **item}
        request: dict[str, Any] = {
            "TableName": self._name,
            "Item": {name: _serializer.serialize(value) for name, value in whole.items()},
        }
        if condition:
            request |= {"ConditionExpression": condition, "ExpressionAttributeValues": values or {}}
        if names:
            request |= {"ExpressionAttributeNames": names}
        with translated("cannot write to the ledger", pk):
            try:
                self._dynamodb.put_item(**request)
            except ClientError as error:
                if _condition_failed(error):
                    return False
                raise
        return True

    def read_item(self, pk: str, sk: str) -> dict[str, Any]:
        """The item, read consistently; empty when there is none."""
        with translated("cannot read the ledger", pk):
            answer = self._dynamodb.get_item(TableName=self._name, Key=_key(pk, sk), ConsistentRead=True)
        return _plain(answer.get("Item", {}))

    def remove_item(
        self, pk: str, sk: str, condition: str, values: dict[str, Any], names: dict[str, str]
    ) -> None:
        """Removes the item; nothing happens when ``condition`` does not hold."""
        with translated("cannot write to the ledger", pk):
            try:
                self._dynamodb.delete_item(
                    TableName=self._name,
                    Key=_key(pk, sk),
                    ConditionExpression=condition,
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=values,
                )
            except ClientError as error:
                if not _condition_failed(error):
                    raise

    def newest_items(self, pk: str, first: str, last: str, limit: int | None = None) -> list[dict[str, Any]]:
        """The items of ``pk`` from sort key ``first`` to ``last``, oldest first; of many the newest."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._name,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={":pk": {"S": pk}, ":first": {"S": first}, ":last": {"S": last}},
            ConsistentRead=True,
            ScanIndexForward=False,
            PaginationConfig={"MaxItems": limit, "PageSize": limit},
        )
        with translated("cannot read the ledger", pk):
            found = [_plain(item) for page in pages for item in page["Items"]]
        return found[::-1]


def _key(pk: str, sk: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    """The item as plain JSON values; the table holds whole numbers only."""
    return {name: _whole(_deserializer.deserialize(value)) for name, value in item.items()}


def _whole(value: Any) -> Any:
    match value:
        case dict():
            return {name: _whole(inner) for name, inner in value.items()}
        case list():
            return [_whole(inner) for inner in value]
        case None | str() | bool():
            return value
        case _:
            return int(value)


def _condition_failed(error: ClientError) -> bool:
    return bool(error.response["Error"]["Code"] == "ConditionalCheckFailedException")
