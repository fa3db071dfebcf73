"""An earlier report lends rows to a new one only where both measured the same."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from collage_motion.errors import DataError
from collage_motion.eval.comparisons import comparisons
from collage_motion.eval.joining import joined, read_report
from collage_motion.eval.report import row_of

ROOT = Path(__file__).resolve().parent.parent.parent


def report_of(**fids: list[float]) -> dict[str, Any]:
    rows = [
        row_of(method, [{"fid_above_floor": value, "fid": value + 0.3, "diversity": 8.0} for value in values])
        for method, values in fids.items()
    ]
    return {
        "format": "collage-motion-eval-report 1", "title": "24 s a caption", "protocol": {"name": "long"},
        "testbed": {"name": "own"}, "seed": 0, "quick": False, "replications": 3, "samples": 64,
        "model": {"weights": "ab", "card": "cd"}, "judge": {"files": {"evaluator": "ef", "classifier": fids and "x"}},
        "settings": {method: {"steps": 10} for method in fids}, "commit": "0123456789", "device": "cpu 1 thread",
        "finished": "2026-11-24T04:09:45+00:00", "sizes": {"places": 20}, "rows": rows, "j_avg": 0.04,
        "made_by": [{"commit": "0123456789", "device": "cpu 1 thread", "motions": 192}],
        "comparisons": comparisons(rows), "jerk_curves": {method: [0.1] * 57 for method in fids}, "notes": ["three"],
    }  # fmt: skip


NEW = report_of(real=[0.0, 0.0, 0.0], short=[1.0, 1.1, 0.9], collage=[1.2, 1.3, 1.1])
EARLIER = report_of(
    real=[0.0, 0.0, 0.0], collage=[2.2, 2.3, 2.1], naive=[12.0, 14.0, 13.0], replacement=[3.0, 3.1, 2.9]
)


def test_rows_that_are_missing_are_added_in_order_and_compared() -> None:
    found = joined(NEW, EARLIER)
    assert [row["method"] for row in found["rows"]] == ["real", "short", "collage", "naive", "replacement"]
    assert found["rows"][2] == NEW["rows"][2] and found["rows"][3] == EARLIER["rows"][2]
    ratios = {ratio["figure"]: ratio["mean"] for ratio in found["comparisons"]}
    assert ratios["FID(naive) / FID(collage)"] == pytest.approx(13.0 / 1.2)
    assert found["notes"][-1].startswith(
        "naive, replacement: of a run of commit 0123456 on cpu 1 thread, finished 2026"
    )
    assert found["joined"]["methods"] == ["naive", "replacement"] and set(found["jerk_curves"]) == set(
        found["settings"]
    )
    assert report_of(real=[0.0, 0.0, 0.0], short=[1.0, 1.1, 0.9], collage=[1.2, 1.3, 1.1]) == NEW


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("seed",), 1, "reports: seed is 0 and 1"),
        (("samples",), 32, "reports: samples is 64 and 32"),
        (("model", "weights"), "zz", "weights of the model differ"),
        (("judge", "files", "evaluator"), "zz", "files of the judge differ"),
        (
            ("rows", 0, "diversity", "values"),
            [8.0, 8.0, 8.1],
            "diversity of the real clips is 8 and 8.1 in replication 2; they were not",
        ),
    ],
)
def test_what_was_not_measured_alike_is_refused(place: tuple[Any, ...], value: object, message: str) -> None:
    other = copy.deepcopy(EARLIER)
    inner: Any = other
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    with pytest.raises(DataError, match=message):
        joined(NEW, other)
    with pytest.raises(DataError, match="nothing to join"):
        joined(EARLIER, {**EARLIER, "rows": EARLIER["rows"][:2]})


def test_a_classifier_of_another_machine_is_named() -> None:
    other = copy.deepcopy(EARLIER)
    other["judge"]["files"]["classifier"] = "another"
    found = joined(NEW, other)
    assert len(found["rows"]) == 5 and found["joined"]["classifier"] == "another"
    assert "another classifier" in found["notes"][-1]
    assert "another classifier" not in joined(NEW, EARLIER)["notes"][-1]


@pytest.mark.slow
def test_the_script_writes_a_whole_report(tmp_path: Path) -> None:
    for name, report in (("new", NEW), ("earlier", EARLIER)):
        (tmp_path / f"{name}.json").write_text(json.dumps(report))
    script = [sys.executable, str(ROOT / "scripts" / "join_reports.py")]

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*script, *map(str, arguments)], capture_output=True, text=True, check=False)

    folder = tmp_path / "out"
    done = run(tmp_path / "new.json", tmp_path / "earlier.json", "-o", folder)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in folder.iterdir()} == {"long.json", "long.csv", "long.md", "long.png"}
    assert read_report(folder / "long.json") == json.loads(json.dumps(joined(NEW, EARLIER)))
    assert "| naive" in done.stdout
    (tmp_path / "new.json").write_text("[]")
    wrong = run(tmp_path / "new.json", tmp_path / "earlier.json", "-o", folder)
    assert wrong.returncode == 2 and "new.json: no report of `collage-motion eval`" in wrong.stderr
