"""What reaches a terminal: words as they are, and nothing that steers it."""

from __future__ import annotations

import json
import sys

import pytest
from rich.table import Table
from rich.text import Text

from taskmedic.domain.errors import AwsRefused
from taskmedic.domain.printable import printable
from taskmedic_cli import main
from taskmedic_cli.common import console, print_json
from taskmedic_cli.demo.story import Story

SECRET = "arn:aws:secretsmanager:eu-west-1:1:secret:orders/db-a1b2c3"
HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31mred\x7f\r\ud800\n"


def a_page_with(text: str) -> None:
    page = console()
    page.print(text)
    table = Table(text)
    table.add_row(text)
    page.print(table)
    page.print(Text(text))


def test_a_secrets_arn_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    a_page_with(SECRET)
    assert capsys.readouterr().out.count(SECRET) == 4


def test_control_characters_never_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    a_page_with(HOSTILE)
    shown = capsys.readouterr().out
    assert shown.count("red") == 4
    assert shown == printable(shown)


def test_styles_reach_it_all_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    console().print("[red]bad[/]")
    assert capsys.readouterr().out == "\x1b[31mbad\x1b[0m\n"


def test_json_is_escaped_and_the_same_to_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"reason": HOSTILE, "name": "日本語"})
    shown = capsys.readouterr().out
    assert shown == printable(shown)
    assert json.loads(shown) == {"reason": HOSTILE, "name": "日本語"}
    assert "日本語" in shown


def test_an_error_of_aws_cannot_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(**_: object) -> None:
        raise AwsRefused("cannot list the tasks", why=f"{HOSTILE}two")

    monkeypatch.setattr(main, "cli", failing)
    with pytest.raises(SystemExit):
        main.main()
    shown = capsys.readouterr().err
    assert "cannot list the tasks" in shown
    assert shown == printable(shown)


def test_the_frames_of_the_demo_keep_words_between_colons(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    Story(console()).output({"head": SECRET, "outcome": "exited", "exit_code": 0, "node": SECRET})
    assert capsys.readouterr().out.count(SECRET) == 2
