"""A command's whole output on its way to S3: any length, little memory, nothing left behind on failure."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from taskmedic.aws.output import PART_BYTES, S3Output
from taskmedic.domain.errors import AccessDenied


class FakeS3:
    """One bucket; a part is put together with the others only when the upload is completed."""

    def __init__(self, *, refuse_part: int = 0) -> None:
        self.refuse_part = refuse_part
        self.objects: dict[str, bytes] = {}
        self.parts: dict[int, bytes] = {}
        self.aborted = 0

    def put_object(self, *, Key: str, Body: bytes, **_: Any) -> None:  # noqa: N803
        self.objects[Key] = Body

    def create_multipart_upload(self, **_: Any) -> dict[str, str]:
        return {"UploadId": "u-1"}

    def upload_part(self, *, PartNumber: int, Body: bytes, UploadId: str, **_: Any) -> dict[str, str]:  # noqa: N803
        assert UploadId == "u-1"
        if PartNumber == self.refuse_part:
            error = {"Code": "AccessDenied", "Message": "no"}
            raise ClientError({"Error": error}, "UploadPart")  # type: ignore[typeddict-item]
        self.parts[PartNumber] = Body
        return {"ETag": f"e-{PartNumber}"}

    def complete_multipart_upload(self, *, Key: str, MultipartUpload: Any, **_: Any) -> None:  # noqa: N803
        numbers = [part["PartNumber"] for part in MultipartUpload["Parts"]]
        assert numbers == sorted(numbers)
        self.objects[Key] = b"".join(self.parts[number] for number in numbers)

    def abort_multipart_upload(self, **_: Any) -> None:
        self.aborted += 1


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


def test_short_output_is_one_object(executor: Executor) -> None:
    s3 = FakeS3()
    output = S3Output(s3, "evidence", "a.txt", executor)
    output.write(b"hello ")
    output.write(b"there\n")

    place = output.finish("Output")

    assert place
    assert place.uri == "s3://evidence/a.txt"
    assert s3.objects == {"a.txt": b"hello there\n"}
    assert not s3.parts


def test_no_output_is_no_object(executor: Executor) -> None:
    s3 = FakeS3()

    assert S3Output(s3, "evidence", "a.txt", executor).finish("Output") is None
    assert not s3.objects


def test_long_output_leaves_in_parts_while_it_comes(executor: Executor) -> None:
    s3 = FakeS3()
    output = S3Output(s3, "evidence", "a.txt", executor)
    chunks = [bytes([number % 251]) * 500_000 for number in range(25)]

    for chunk in chunks:
        output.write(chunk)
    output.finish("Output")

    assert s3.objects == {"a.txt": b"".join(chunks)}
    assert len(s3.parts) == 3
    assert all(len(s3.parts[number]) >= PART_BYTES for number in (1, 2))  # S3 takes no smaller ones


def test_what_s3_refuses_comes_out_at_the_end_and_the_parts_are_removed(executor: Executor) -> None:
    s3 = FakeS3(refuse_part=2)
    output = S3Output(s3, "evidence", "a.txt", executor)
    for _ in range(3):
        output.write(b"x" * PART_BYTES)

    with pytest.raises(AccessDenied, match=r"cannot store the output \(s3://evidence/a.txt\)"):
        output.finish("Output")

    assert not s3.objects
    assert s3.aborted == 1
