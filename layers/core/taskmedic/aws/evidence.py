"""Evidence in S3: what was collected, kept whole. The bucket's own rule ends its life."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from taskmedic.aws.errors import translated
from taskmedic.domain.printable import printable


@dataclass(frozen=True)
class EvidenceRef:
    """Where one piece of evidence lies."""

    title: str
    bucket: str
    key: str

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def to_json(self) -> dict[str, str]:
        return {"title": self.title, "bucket": self.bucket, "key": self.key, "uri": self.uri}


class EvidenceStore:
    """Writes to and reads from one bucket."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def put_bytes(self, key: str, body: bytes, *, title: str, content_type: str) -> EvidenceRef:
        """Stores ``body`` under ``key``; an object of that key is replaced."""
        with translated("cannot store the evidence", f"s3://{self._bucket}/{key}"):
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)
        return self.ref(key, title)

    def put_text(self, key: str, text: str, *, title: str) -> EvidenceRef:
        """Stores a page of text, UTF-8, without what would steer the terminal that shows it."""
        return self.put_bytes(
            key, printable(text).encode(), title=title, content_type="text/plain; charset=utf-8"
        )

    def put_json(self, key: str, value: Any, *, title: str) -> EvidenceRef:
        """Stores ``value`` as JSON; times and other strangers as their text, a lone surrogate as ``?``."""
        text = json.dumps(value, indent=1, default=str, ensure_ascii=False)
        body = text.encode(errors="replace")
        return self.put_bytes(key, body, title=title, content_type="application/json")

    def ref(self, key: str, title: str) -> EvidenceRef:
        """The reference to an object that is there."""
        return EvidenceRef(title=title, bucket=self._bucket, key=key)

    def keys_below(self, prefix: str) -> set[str]:
        """All keys that begin with ``prefix``."""
        with translated("cannot list the evidence", f"s3://{self._bucket}/{prefix}"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            return {item["Key"] for page in pages for item in page.get("Contents", [])}

    def get_json(self, key: str) -> Any:
        """What was stored as JSON under ``key``."""
        with translated("cannot read the evidence", f"s3://{self._bucket}/{key}"):
            return json.loads(self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read())
