"""Every mistake in a runbook is said with file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmedic.domain.errors import RunbookInvalid
from taskmedic.domain.runbooks.loading import load_folder, load_text

WHOLE = """\
name: java-thread-dump
description: Thread dump of every Java container of a service, attached to the incident.
triggers:
  - pagerduty: {event: [incident.triggered], service: ["PABC123", "Checkout*"], title: "(?i)latency"}
  - task_stopped: {cluster: "prod-*", service: "*", category: ["container.oom_killed", "app.*"]}
options:
  cluster: {required: true}
  pid: {default: "1", pattern: "[0-9]+"}
  depth: {default: short, values: [short, full], enforced: true}
nodes:
  clusters: ["${option.cluster}"]
  services: [checkout]
  filter_behavior: include
  filter: "ECS:Container-Image: .*java.*"
dispatch: {threads: 10, keep_going: true, rank_attribute: "ECS:Availability-Zone", rank_order: ascending}
steps:
  - name: errors
    stopped_tasks: {since: 1h}
  - name: dump
    command: {script: "jstack ${option.pid}", timeout: 60s}
    on_failure: continue
  - name: replace
    stop_task: {reason: "hung, thread dump taken"}
report: {pagerduty_note: true, resolve: false}
"""
SHORT = "name: a\ndescription: A test's.\n"
STEP = "steps:\n  - name: one\n    stopped_tasks: {}\n"


def errors(text: str) -> list[str]:
    with pytest.raises(RunbookInvalid) as caught:
        load_text(text, "a.yaml")
    return caught.value.what.splitlines()


def test_the_runbook_of_the_design_page_is_read() -> None:
    book = load_text(WHOLE, "java-thread-dump.yaml")

    assert book.name == "java-thread-dump"
    assert [step.type for step in book.steps] == ["stopped_tasks", "command", "stop_task"]
    assert [step.on_failure for step in book.steps] == ["stop", "continue", "stop"]
    assert book.steps[0].to_json()["spec"]["since_s"] == 3600
    assert book.started_by() == "by hand, incident, stopped task"
    assert book.acts


def test_a_runbook_shows_itself_with_every_default() -> None:
    shown = load_text(SHORT + STEP, "a.yaml").to_json()

    assert shown["priority"] == 100
    assert shown["steps"][0] == {
        "name": "one",
        "type": "stopped_tasks",
        "on_failure": "stop",
        "spec": {
            **dict.fromkeys(("cluster", "service", "family", "region", "assume_role_arn", "external_id"), ""),
            "tasks": [],
            "log_lines": 50,
            "since_s": 3600,
        },
    }


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("description: x\n" + STEP, "a.yaml:1: name: missing"),
        (SHORT, "a.yaml:1: steps: missing"),
        (SHORT + "steps: []\n", "a.yaml:3: steps: List should have at least 1 item"),
        (SHORT + STEP + "colour: red\n", "a.yaml:6: colour: unknown field"),
        (SHORT.replace("name: a", "name: A b") + STEP, "a.yaml:1: name: String should match"),
        (SHORT + "priority: high\n" + STEP, "a.yaml:3: priority: Input should be a valid integer"),
        (SHORT + "options:\n  x: {enforced: true}\n" + STEP, "a.yaml:4: options.x: enforced needs values"),
        (
            SHORT + "options:\n  x:\n    pattern: '['\n" + STEP,
            "a.yaml:5: options.x.pattern: not a regular expression",
        ),
        (SHORT + "options:\n  x: {default: yes}\n" + STEP, "a.yaml:4: options.x.default: put it in quotes"),
        (
            SHORT + "options:\n  x: {default: b, pattern: '[0-9]'}\n" + STEP,
            "a.yaml:4: options.x.default: 'b' does not match the pattern [0-9]",
        ),
        (
            SHORT + "options:\n  x: {default: '${option.y}'}\n" + STEP,
            "a.yaml:4: options.x.default: ${option.y} is not known here",
        ),
        (
            SHORT + "steps:\n  - {name: one, stopped_tasks: {external_id: x}}\n",
            "a.yaml:4: steps[0].stopped_tasks: an external_id goes with an assume_role_arn",
        ),
        (
            SHORT + "triggers:\n  - {}\n" + STEP,
            "a.yaml:4: triggers[0]: give either pagerduty or task_stopped",
        ),
        (
            SHORT + "triggers:\n  - pagerduty: {title: '('}\n" + STEP,
            "a.yaml:4: triggers[0].pagerduty.title: not a regular",
        ),
        (
            SHORT
            + "triggers:\n  - pagerduty:\n      event: [incident.triggered, incident.annotated]\n"
            + STEP,
            "a.yaml:5: triggers[0].pagerduty.event: 'incident.annotated' starts nothing; known are",
        ),
        (SHORT + "steps:\n  - name: one\n", "a.yaml:4: steps[0]: a step is exactly one of find_nodes"),
        (
            SHORT + "steps:\n  - {name: one, stopped_tasks: {}, find_nodes: {}}\n",
            "a.yaml:4: steps[0]: a step is exactly one of",
        ),
        (
            SHORT + STEP + "  - name: one\n    stopped_tasks: {}\n",
            "a.yaml:3: steps: two steps have the name one",
        ),
        (
            SHORT + "steps:\n  - name: one\n    stopped_tasks:\n      since: soon\n",
            "a.yaml:6: steps[0].stopped_tasks.since: write a duration as 60s, 15m or 1h",
        ),
        (
            SHORT + "steps:\n  - {name: one, command: {script: top}}\n",
            "a.yaml:1: runbook: step one needs nodes: say where they come from",
        ),
        (SHORT + "nodes: {services: [a]}\n" + STEP, "a.yaml:3: nodes: the node source names no cluster"),
        (
            SHORT + "nodes: {clusters: [a], filter: 'ECS:Container-Immage: x'}\n" + STEP,
            "a.yaml:3: nodes: the node filter cannot be read (column 1): there is no node attribute",
        ),
        (
            SHORT + "nodes: {clusters: [a], limits: {first: true, random: 3}}\n" + STEP,
            "a.yaml:3: nodes: nodes.limits has first, random",
        ),
    ],
)
def test_a_mistake_in_the_form_is_said_with_file_line_and_field(text: str, error: str) -> None:
    assert any(line.startswith(error) for line in errors(text)), errors(text)


NODES = "nodes: {clusters: [a]}\n"


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("command: {script: top, argv: [top]}", "steps[0].command: give either script or argv"),
        ("command: {timeout: 60s}", "steps[0].command: give either script or argv"),
        ("command: {script: top, shell: false}", "steps[0].command: a script needs a shell"),
        ("command: {script: top, timeout: 1h}", "steps[0].command.timeout: Input should be less than"),
        ("command: {script: top, via: ssh}", "steps[0].command.via: Input should be 'exec'"),
        ("stop_task: {}", "steps[0].stop_task.reason: missing"),
        ("stop_task: {reason: x, max_tasks: 0}", "steps[0].stop_task.max_tasks: Input should be greater"),
        (
            "command: {script: 'kill ${option.pid}'}",
            "steps[0].command.script: ${option.pid}: there is no option pid",
        ),
        (
            "command: {script: 'kill ${opton.pid}'}",
            "steps[0].command.script: ${opton.pid}: unknown; known are",
        ),
        (
            "command: {script: 'echo ${trigger.clutser}'}",
            "steps[0].command.script: ${trigger.clutser}: known are",
        ),
        (
            "command: {script: 'echo ${node.ECS:Imge}'}",
            "steps[0].command.script: ${node.ECS:Imge}: there is no",
        ),
        (
            "command: {script: 'echo ${steps.later.summary}'}",
            "steps[0].command.script: ${steps.later.summary}: no",
        ),
        (
            "stop_task: {reason: '${node.name}'}",
            "steps[0].stop_task.reason: ${node.name}: ${node.…} is not known",
        ),
        (
            "command: {argv: [kill, '${option.pid}']}",
            "steps[0].command.argv[1]: ${option.pid}: there is no option",
        ),
    ],
)
def test_a_mistake_in_a_step_is_said_with_file_line_and_field(step: str, error: str) -> None:
    found = errors(SHORT + NODES + f"steps:\n  - name: one\n    {step}\n")

    assert any(line.startswith(f"a.yaml:6: {error}") for line in found), found


def test_custom_fields_of_the_report_may_name_the_report_and_the_steps() -> None:
    fields = "report: {custom_fields: {a: '${report.headline}', b: '${steps.one.data.count}'}}\n"

    assert load_text(SHORT + STEP + fields, "a.yaml").report.custom_fields
    (error,) = errors(SHORT + STEP + "report: {custom_fields: {a: '${report.headlin}'}}\n")
    assert error.startswith(
        "a.yaml:6: report.custom_fields.a: ${report.headlin}: known are ${report.headline}"
    )


def test_all_mistakes_are_said_at_once() -> None:
    assert len(errors("name: A\nsteps: [{name: one}]\nfoo: 1\n")) == 4


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("name: [a\n", "a.yaml:2: column 1: expected ',' or ']'"),
        ("- a\n- b\n", "a.yaml:1: a runbook is a mapping that begins with `name:`"),
        ("", "a.yaml:1: a runbook is a mapping"),
        (SHORT + "name: b\n" + STEP, "a.yaml:3: name: given twice"),
        ("name: !!python/object:os.system\n", "a.yaml:1: column 7: could not determine a constructor"),
        ("name: a\tb: c\n: :\n", "a.yaml:"),
    ],
)
def test_a_file_that_is_no_yaml_is_refused_with_its_line(text: str, error: str) -> None:
    assert errors(text)[0].startswith(error)


def test_a_file_too_long_is_refused() -> None:
    assert "longer than 64000 bytes" in errors("#" * 64_001)[0]


def with_script(script: str) -> str:
    """A runbook with an option x, whose only step runs ``script``, which begins on line 9."""
    lines = "".join(f"        {line}\n" for line in script.splitlines())
    head = f"{SHORT}options: {{x: {{default: y}}}}\n{NODES}steps:\n  - name: one\n"
    return f"{head}    command:\n      script: |\n{lines}"


@pytest.mark.parametrize(
    ("script", "place"),
    [
        ('echo "${option.x}"', "inside double quotes"),
        ("echo '${option.x}'", "inside single quotes"),
        ("echo `cat ${option.x}`", "inside back-ticks"),
        ("echo $'a\\'b${option.x}'", "inside $'…'"),
        ("# about ${option.x}", "in a comment"),
        ("cat <<EOF\n${option.x}\nEOF", "after a here-document"),
        ('echo "a\\"${option.x}"', "inside double quotes"),
    ],
)
def test_a_value_is_refused_where_quoting_it_would_not_hold(script: str, place: str) -> None:
    found = errors(with_script(script))

    assert len(found) == 1
    assert found[0].startswith(f"a.yaml:8: steps[0].command.script: ${{option.x}} stands {place}")


@pytest.mark.parametrize(
    "script",
    [
        "echo ${option.x}",
        "echo it\\'s ${option.x}",
        "echo 'a' ${option.x} \"b\"",
        "# a comment\necho ${option.x}",
        "echo a#b ${option.x}",
        'x=${option.x}; echo "$x"',
        "echo $(cat ${option.x})",
    ],
)
def test_a_value_stands_bare_wherever_the_shell_reads_words(script: str) -> None:
    assert load_text(with_script(script), "a.yaml").steps[0].type == "command"


def test_an_unquoted_option_must_be_the_whole_script() -> None:
    head = f"{SHORT}options: {{x: {{default: y}}}}\n{NODES}steps:\n"

    assert load_text(head + "  - {name: one, command: {script: '${unquotedoption.x}'}}\n", "a.yaml")
    (error,) = errors(head + "  - {name: one, command: {script: 'sh -c ${unquotedoption.x}'}}\n")
    assert "allowed only where the option is the whole script" in error


def test_two_files_with_one_name_are_refused(tmp_path: Path) -> None:
    for file in ("one.yaml", "two.yaml"):
        (tmp_path / file).write_text(SHORT + STEP)

    with pytest.raises(RunbookInvalid, match=r"two runbooks have the name a \(one.yaml and two.yaml\)"):
        load_folder(tmp_path)


def test_a_folder_without_runbooks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunbookInvalid, match="there are no runbooks"):
        load_folder(tmp_path)


@given(st.text(max_size=60))
def test_any_text_is_a_runbook_or_is_refused(text: str) -> None:
    with pytest.raises(RunbookInvalid):
        load_text(text, "a.yaml")
