"""The record of all problems (bench/record.csv): it is whole, and the comparison of two says what was lost."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from problems import names

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def record():
    """The bench as a module."""
    sys.path.insert(0, str(ROOT / "bench"))
    try:
        import record
    finally:
        sys.path.remove(str(ROOT / "bench"))
    return record


@pytest.fixture(scope="module")
def stored(record):
    return record.load(str(record.RECORD))[1]


def test_every_problem_stands_in_the_record_by_its_routes(record, stored):
    by_route = {route: {name for at, name in stored if at == route} for route in record.ROUTES}
    assert {name for name in by_route["values 4"] if "@" not in name} == set(names())
    assert all(by_route.values())


def test_the_record_is_sorted_and_small(record, stored):
    text = record.RECORD.read_text()
    assert text.splitlines()[2:] == record.text(stored).splitlines()[2:]
    assert len(text) < 400_000


def test_a_row_is_what_its_run_gives(record, stored):
    row = record.run("helical_valley", record.case("helical_valley"), "values 4")
    kept = stored["values 4", "helical_valley"]
    assert (row.status, row.lost, row.numbers) == (kept.status, kept.lost, kept.numbers)
    assert record.Row.of(row.cells()).cells() == row.cells()


def test_a_record_against_itself_shows_nothing(record, stored, capsys):
    assert record.compare(stored, stored, most=5)
    said = capsys.readouterr().out
    for loss in record.LOSSES:
        assert f"\n{loss}: 0\n" in said


@pytest.mark.parametrize(
    ("change", "loss", "stands"),
    [
        ({"error": 1e-2}, "more than 3 times the error", False),
        ({"error": math.inf, "lost": 6}, "more numbers lost", False),
        ({"worst": 7.0}, "wrong without a word, and was not", True),
        ({"evaluations": 10**6}, "more than 1.05 times the evaluations", True),
    ],
)
def test_a_loss_is_listed_first(record, stored, capsys, change, loss, stands):
    key = "values 4", "helical_valley"
    old = {key: stored[key] for key in sorted(stored) if key[0] == "values 4"}
    assert record.compare(old, old | {key: replace(old[key], **change)}, most=5) == stands
    lines = capsys.readouterr().out.splitlines()
    assert "helical_valley" in lines[lines.index(f"{loss}: 1") + 1]
