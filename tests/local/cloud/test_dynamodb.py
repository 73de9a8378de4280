"""Items come back from DynamoDB as they were written, in the order of their keys."""

from __future__ import annotations

import pytest

ITEM = {
    "pk": {"S": "kept"},
    "sk": {"S": "whole"},
    "number": {"N": "1.5"},
    "bytes": {"B": b"\x00\x01"},
    "list": {"L": [{"S": "x"}, {"M": {"k": {"NULL": True}}}]},
    "strings": {"SS": ["a", "b"]},
    "blobs": {"BS": [b"1", b"2"]},
    "false": {"BOOL": False},
    "empty": {"S": ""},
    "empty map": {"M": {}},
}


@pytest.fixture
def table(cloud):
    return cloud.deployment.outputs["LedgerTableName"]


def test_an_item_of_every_type_comes_back_whole(aws, table):
    dynamodb = aws("dynamodb")
    dynamodb.put_item(TableName=table, Item=ITEM)

    key = {"pk": ITEM["pk"], "sk": ITEM["sk"]}
    assert dynamodb.get_item(TableName=table, Key=key)["Item"] == ITEM
    assert dynamodb.scan(TableName=table)["Items"] == [ITEM]


def test_a_query_is_in_the_order_of_the_range_key(aws, table):
    for name in ("c", "a", "b"):
        aws("dynamodb").put_item(TableName=table, Item={"pk": {"S": "p"}, "sk": {"S": name}})

    found = aws("dynamodb").query(
        TableName=table, KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "p"}}
    )["Items"]

    assert [item["sk"]["S"] for item in found] == ["a", "b", "c"]
