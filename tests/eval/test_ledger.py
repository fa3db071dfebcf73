"""Rows of a long measurement: they stay, whole, and only rows of the same measurement are gone on with."""

import json
from pathlib import Path

import pytest

from collage_motion.errors import DataError, OutputError
from collage_motion.eval.ledger import Ledger

HEADER = {"measurement": "test", "settings": {"steps": 3}}


def test_rows_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    first = Ledger(path, HEADER)
    first.append({"name": "a", "seed": 1}, {"value": 1 / 3, "many": [1, 2]})
    first.append({"name": "b", "seed": 1}, {"value": 2.0})
    again = Ledger(path, HEADER)
    assert len(again) == 2
    assert {"seed": 1, "name": "a"} in again  # whatever the order of the names
    assert {"name": "a", "seed": 2} not in again
    assert again.row({"name": "a", "seed": 1}) == {"value": 1 / 3, "many": [1, 2]}
    assert list(again) == list(first)
    with pytest.raises(KeyError):
        again.row({"name": "c"})


def test_a_row_that_a_kill_cut_short_is_as_if_it_had_not_been_measured(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    ledger = Ledger(path, HEADER)
    for seed in range(3):
        ledger.append({"seed": seed}, {"value": seed})
    whole = path.read_bytes()
    for cut in range(1, len(whole.splitlines()[-1]) + 1):
        path.write_bytes(whole[:-cut])
        again = Ledger(path, HEADER)
        assert [cell["seed"] for cell, _ in again] == [0, 1]
        again.append({"seed": 2}, {"value": 2})
        assert path.read_bytes() == whole


def test_a_header_that_a_kill_cut_short_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    Ledger(path, HEADER)
    whole = path.read_bytes()
    path.write_bytes(whole[:10])
    assert len(Ledger(path, HEADER)) == 0
    assert path.read_bytes() == whole


def test_rows_of_another_measurement_are_refused_unless_they_may_go(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    Ledger(path, HEADER).append({"seed": 0}, {})
    other = HEADER | {"settings": {"steps": 4}}
    message = r"was measured with settings\.steps 3, now it is 4; choose another folder or pass --overwrite"
    with pytest.raises(DataError, match=message):
        Ledger(path, other)
    assert len(Ledger(path, HEADER)) == 1
    assert len(Ledger(path, other, overwrite=True)) == 0
    assert json.loads(path.read_text()) == {"header": other}


@pytest.mark.parametrize("content", ["dear diary\n", '{"cell": {}, "row": {}}\n', '{"header": {}}\n[]\n'])
def test_other_files_are_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=r"not the rows of a measurement|was measured with"):
        Ledger(path, HEADER)
    assert path.read_text() == content


def test_places_that_cannot_be_written_are_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        Ledger(tmp_path / "missing" / "rows.jsonl", HEADER)
    with pytest.raises(OutputError, match="cannot be read"):
        Ledger(tmp_path, HEADER)
