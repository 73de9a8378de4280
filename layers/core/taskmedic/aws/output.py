"""The whole output of a command goes to S3 while the command runs, however long it is."""

from __future__ import annotations

import io
from concurrent.futures import Executor, Future
from typing import Any

from taskmedic.aws.errors import translated
from taskmedic.aws.evidence import EvidenceRef

PART_BYTES = 5 * 1024 * 1024  # the least that S3 takes as a part that is not the last


class S3Output:
    """Collects bytes and stores them as one object: in one piece when short, else in parts as they come.

    Holds at most one part, and those that are under way to S3. Not thread-safe: one writer.

    Args:
        executor: Uploads the parts. ``finish`` waits for it and must not be called on one of its threads.
    """

    def __init__(self, s3: Any, bucket: str, key: str, executor: Executor) -> None:
        self._s3 = s3
        self._place = {"Bucket": bucket, "Key": key}
        self._executor = executor
        self._buffer = io.BytesIO()
        self._upload_id: Future[str] | None = None
        self._parts: list[Future[dict[str, Any]]] = []

    def write(self, data: bytes) -> None:
        """Takes the next bytes. Never blocks and never raises: what S3 refuses comes out of ``finish``."""
        self._buffer.write(data)
        if self._buffer.tell() >= PART_BYTES:
            self._send_part()

    def finish(self, title: str) -> EvidenceRef | None:
        """Stores what is left and says where the object lies; None when there was no output. Blocks.

        Raises:
            AwsError: S3 refused.
        """
        with translated("cannot store the output", f"s3://{self._place['Bucket']}/{self._place['Key']}"):
            if self._upload_id is None:
                if not self._buffer.tell():
                    return None
                self._s3.put_object(
                    **self._place, Body=self._buffer.getvalue(), ContentType="text/plain; charset=utf-8"
                )
            else:
                self._complete(self._upload_id)
        return EvidenceRef(title=title, bucket=self._place["Bucket"], key=self._place["Key"])

    def _complete(self, upload_id: Future[str]) -> None:
        try:
            if self._buffer.tell():
                self._send_part()
            parts = [part.result() for part in self._parts]
            self._s3.complete_multipart_upload(
                **self._place, UploadId=upload_id.result(), MultipartUpload={"Parts": parts}
            )
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Gives up; parts already in S3 are removed. Blocks."""
        for part in self._parts:
            part.cancel()
        if self._upload_id is not None and not self._upload_id.cancel() and not self._upload_id.exception():
            self._s3.abort_multipart_upload(**self._place, UploadId=self._upload_id.result())

    def _send_part(self) -> None:
        if self._upload_id is None:
            self._upload_id = self._executor.submit(self._begin)
        self._parts.append(
            self._executor.submit(
                self._upload, self._upload_id, len(self._parts) + 1, self._buffer.getvalue()
            )
        )
        self._buffer = io.BytesIO()

    def _begin(self) -> str:
        answer = self._s3.create_multipart_upload(**self._place, ContentType="text/plain; charset=utf-8")
        return str(answer["UploadId"])

    def _upload(self, upload_id: Future[str], number: int, body: bytes) -> dict[str, Any]:
        answer = self._s3.upload_part(
            **self._place, UploadId=upload_id.result(), PartNumber=number, Body=body
        )
        return {"ETag": answer["ETag"], "PartNumber": number}
