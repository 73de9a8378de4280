"""Whatever a task says and a container logs is diagnosed, printed and stored."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.stopped.fake_aws import NOW, FakeAws, orders_definition, orders_task

from taskmedic.aws.evidence import EvidenceStore
from taskmedic.aws.stopped import Query, collect
from taskmedic.domain.diagnosis.page import page

TASK = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
ANYTHING = st.text(st.one_of(st.characters(), st.characters(categories=["Cc", "Cs"])), max_size=40)


@given(reason=ANYTHING, lines=st.lists(ANYTHING, max_size=3))
def test_any_text_is_diagnosed_printed_and_stored(reason: str, lines: list[str]) -> None:
    aws = FakeAws(orders_task(TASK).stopped(reason).container("app", 1, reason=reason))
    aws.definitions = {"orders:7": orders_definition()}
    aws.logs = {("/ecs/orders", f"ecs/app/{TASK}"): lines}
    store = EvidenceStore(aws.get("s3"), "evidence")

    (case,) = collect(Query(cluster="prod"), aws, now=NOW).cases  # type: ignore[arg-type]  # stands in for Clients
    store.put_text("page", page(case.group, case.moments), title="")
    store.put_json("documents", case.documents, title="")

    shown = aws.objects["page"].decode()
    assert not [c for c in shown if unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t"]
    stored = json.loads(aws.objects["documents"].decode())
    assert stored["tasks"][0]["taskArn"].endswith(TASK)
    # A reason may by chance be a benign one, for which no log is read.
    assert len(stored["logs"].get("app", [])) in {0, len(lines)}
