"""ECR image references, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr[.\-]ecr(?:-fips)?\.(?P<region>[a-z0-9\-]{5,30})\.[a-z.\-]{5,40}/"
    r"(?P<repository>[a-z0-9._/\-]{1,256})(?::(?P<tag>[\w.\-]{1,128}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True)
class EcrImage:
    """An image in a private ECR registry. A digest counts more than a tag; without both it is ``latest``."""

    account: str
    region: str
    repository: str
    tag: str = "latest"
    digest: str = ""

    @classmethod
    def parse(cls, reference: str) -> EcrImage | None:
        """The parts of ``reference``; None when it is no image of a private ECR registry."""
        found = _ECR.fullmatch(reference)
        if found is None:
            return None
        parts = found.groupdict()
        return cls(
            parts["account"],
            parts["region"],
            parts["repository"],
            parts["tag"] or "latest",
            parts["digest"] or "",
        )

    @property
    def id(self) -> dict[str, str]:
        """As ECR's ``imageIds`` takes it."""
        return {"imageDigest": self.digest} if self.digest else {"imageTag": self.tag}
