"""``taskmedic run``: runs a command in containers, straight from here."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click

from taskmedic.aws.clients import Clients
from taskmedic.aws.exec import ExecRunner
from taskmedic.aws.host_command import HostRunner
from taskmedic.domain.command import CommandSpec
from taskmedic.domain.dispatch import NodeResult, summarise
from taskmedic.domain.nodes import NAME, Node
from taskmedic.domain.runbooks.fields import seconds
from taskmedic.domain.selection import Rank, ranked
from taskmedic.steps.dispatcher import DispatchRules, dispatch
from taskmedic.steps.on_node import LocalLocks, OnNode
from taskmedic_cli.common import source_options
from taskmedic_cli.run_output import JsonView, LiveView, ManyView, View
from taskmedic_cli.targets import target_nodes

WORKERS = 24  # threads for boto3's blocking calls


class Duration(click.ParamType[float]):
    """``60s``, ``15m``, ``1h``: seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return float(seconds(value)) if isinstance(value, str) else float(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@source_options
@click.option(
    "--threads", type=click.IntRange(1, 500), default=1, show_default=True, help="Containers at a time."
)
@click.option("--keep-going", is_flag=True, help="Go on with the others when the command fails in one.")
@click.option("--first-success", is_flag=True, help="One container after the other, until one succeeds.")
@click.option("--timeout", type=Duration(), default="60s", show_default=True, help="For each container.")
@click.option("--total-timeout", type=Duration(), help="For all of them together.")
@click.option("--rank-attribute", default=NAME, help="Node attribute that gives the order.")
@click.option("--rank-order", type=click.Choice(["ascending", "descending"]), default="ascending")
@click.option("--no-shell", is_flag=True, help="Start the program itself, for images without a shell.")
@click.option(
    "--via",
    type=click.Choice(["exec", "ec2_host", "auto"]),
    default="exec",
    show_default=True,
    help="ECS Exec; docker exec on the EC2 host; or the host where ECS Exec is off.",
)
@click.option("--json", "as_json", is_flag=True)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    command: tuple[str, ...],
    threads: int,
    keep_going: bool,
    first_success: bool,
    timeout: float,
    total_timeout: float | None,
    rank_attribute: str,
    rank_order: str,
    no_shell: bool,
    via: str,
    as_json: bool,
    **flags: Any,
) -> None:
    """Runs COMMAND in every container that the flags mean.

    One word is a script for the container's shell: taskmedic run --cluster prod -- 'df -h | head'. Several
    words are a program and its arguments, as with kubectl exec. Ctrl-C ends the commands in the containers.
    """
    one_word = len(command) == 1 and not no_shell
    spec = CommandSpec(
        script=command[0] if one_word else "",
        argv=() if one_word else command,
        shell=not no_shell,
        timeout_s=timeout,
    )
    rank = Rank.from_json({"rank_attribute": rank_attribute, "rank_order": rank_order})
    rules = DispatchRules(threads=threads, keep_going=keep_going, first_success=first_success)
    clients, nodes = target_nodes(flags)
    nodes = ranked(nodes, rank)
    view = _view(nodes, as_json)
    interrupted = False
    cut_off: dict[str, str] = {}
    try:
        with view:
            asyncio.run(_dispatched(nodes, spec, rules, clients, view, via, total_timeout, cut_off))
    except (KeyboardInterrupt, asyncio.CancelledError):
        interrupted = True
    results = view.results
    summed = summarise(results, first_success=first_success)
    if cut := _cut_short(view, len(nodes), interrupted=interrupted):
        click.echo(f"taskmedic: {cut} after {len(results)} of {len(nodes)}{_ended(cut_off)}", err=True)
    elif len(nodes) > 1:
        click.echo(f"taskmedic: {summed.line}", err=True)
    sys.exit(0 if summed.succeeded and not cut else 1)


def _cut_short(view: View, total: int, *, interrupted: bool) -> str:
    """Why not all was done and shown, or nothing. A reader that has left is no failure once all is done."""
    match view.write_error:
        case None:
            return "interrupted" if interrupted else ""
        case BrokenPipeError():
            return "nobody reads the output any more," if len(view.results) < total else ""
        case error:
            return f"the output cannot be written ({error.strerror or error}),"


def _ended(cut_off: Mapping[str, str]) -> str:
    """What is known of the sessions that were cut off: by node, why one may still be there, or nothing."""
    if not cut_off:
        return ""
    left = [f"\ntaskmedic: {name}: {why}" for name, why in cut_off.items() if why]
    return f"; ended {len(cut_off) - len(left)} of {len(cut_off)} sessions" + "".join(left)


def _view(nodes: Sequence[Node], as_json: bool) -> View:
    if as_json:
        return JsonView(len(nodes))
    return LiveView() if len(nodes) == 1 else ManyView(len(nodes))


async def _dispatched(
    nodes: Sequence[Node],
    spec: CommandSpec,
    rules: DispatchRules,
    clients: Clients,
    view: View,
    via: str,
    total_s: float | None,
    cut_off: dict[str, str],
) -> list[NodeResult]:
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    # As Ctrl-C, which asyncio turns into a cancellation: all of them end the commands in the containers.
    with contextlib.suppress(NotImplementedError):  # Windows has no such signal
        loop.add_signal_handler(signal.SIGTERM, task.cancel)

    def end() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and all commands with it
            loop.call_soon_threadsafe(task.cancel)

    view.when_unwritable = end
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="aws") as executor:
        on_node = OnNode(
            spec_for=lambda _: spec,
            exec_runner=ExecRunner(clients, executor),
            host_runner=HostRunner(clients, executor),
            locks=LocalLocks(),
            owner=uuid.uuid4().hex,
            output_for=view.output_for,
            executor=executor,
            via=via,
            on_cut_off=lambda node, left_open: cut_off.update({node.name: left_open}),
            all_until=time.monotonic() + total_s if total_s else math.inf,
        )
        return await dispatch(nodes, on_node, rules, on_result=view.add)
