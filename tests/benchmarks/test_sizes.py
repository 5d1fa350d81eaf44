"""The table of what lengths cost, with tiny ones."""

import pytest

from benchmarks import sizes


def test_both_tables_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    sizes.main(["--runs", "1", "--pictures", "1", "--edges", "8", "11", "--tokens", "4", "7"])
    printed = capsys.readouterr().out
    assert [line.split("|")[1].strip() for line in printed.splitlines() if line.startswith("| ")] == [
        "edge", "8", "11", "tokens", "4", "7",
    ]  # fmt: skip
    assert "are kept of 64 lengths" in printed
