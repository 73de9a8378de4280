"""docs/diagnosis.md is what the rules and the catalogue make of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskmedic.domain.diagnosis import CATEGORIES
from taskmedic_cli import diagnosis_docs


def test_the_page_is_fresh() -> None:
    assert diagnosis_docs.main(["--check"]) == 0


def test_a_page_that_is_not_fresh_is_said_so_and_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "diagnosis.md"
    page.write_text(f"prose\n{diagnosis_docs.BEGIN}\nold\n{diagnosis_docs.END}\nmore prose\n")
    monkeypatch.setattr(diagnosis_docs, "PAGE", page)

    assert diagnosis_docs.main(["--check"]) == 1
    assert "is not fresh" in capsys.readouterr().err

    assert diagnosis_docs.main([]) == 0
    assert diagnosis_docs.main(["--check"]) == 0
    assert page.read_text().startswith("prose\n")
    assert page.read_text().endswith("\nmore prose\n")


def test_every_category_is_in_a_table_without_a_placeholder() -> None:
    text = diagnosis_docs.tables()

    assert all(f"| `{label}` |" in text for label in CATEGORIES)
    assert "{" not in text
