"""The table of composers: tasks, what is measured on motions whose answer is known, cost, pooling, the search."""

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from beds import CONTENTS, body
from numpy.typing import NDArray
from synthetic_motion import standing, stepping
from test_first_system import as_clip, as_motion
from tiny_model import write_tiny_model

from collage_motion.data.captions import known_content
from collage_motion.errors import CollageError, DataError, OutputError, PlanError
from collage_motion.eval import composer_search as search
from collage_motion.eval import composers, composers_report
from collage_motion.eval.charts import draw_times
from collage_motion.eval.classifier import ContentClassifier, ContentNet
from collage_motion.methods import METHODS
from collage_motion.models import Model, load_model
from collage_motion.plan import Plan, Segment
from collage_motion.settings import Settings

USUAL = 0.01


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


class ByHeight(ContentClassifier):
    """Answers by the height of the pelvis in the first frame: 1 m is the first content."""

    def classify(self, motions: Sequence[NDArray[np.floating]]) -> list[str]:
        return [self.contents[round(float(joints[0, 0, 1])) % len(self.contents) - 1] for joints in motions]


JUDGE = ByHeight(ContentNet(len(CONTENTS)), CONTENTS, {})


def figures(joints: NDArray[np.floating], contents: tuple[str, ...]) -> composers.Row:
    size = len(joints) // len(contents)
    segments = [(k * size, (k + 1) * size) for k in range(len(contents))]
    task = composers.Task(Plan(tuple(Segment(content) for content in contents)), contents)
    return composers.quality(as_motion(joints), segments, task, JUDGE, USUAL)


# --- tasks ---


@pytest.mark.parametrize("seconds", [3.0, 10.0, 33.0, 300.0])
def test_a_task_fills_its_length_with_contents_that_change(seconds: float) -> None:
    task = composers.task_of(CONTENTS, seconds, seed=3)
    assert task.plan.seconds == pytest.approx(seconds)
    assert len(task.contents) == max(1, round(seconds / 5))
    assert all(a != b for a, b in zip(task.contents, task.contents[1:], strict=False))
    assert [known_content(segment.prompt) for segment in task.plan.segments] == list(task.contents)
    assert len(set(task.contents)) == min(len(task.contents), len(CONTENTS))  # again only after all others
    assert composers.task_of(CONTENTS, seconds, seed=3) == task
    assert composers.task_of(CONTENTS, seconds, seed=4) != task


def test_two_contents_take_turns_and_one_is_refused() -> None:
    for seed in range(20):
        contents = composers.task_of(("walk", "bow"), 50, seed).contents
        assert set(contents[::2]) | set(contents[1::2]) == {"walk", "bow"}
        assert len(set(contents[::2])) == len(set(contents[1::2])) == 1
    with pytest.raises(DataError, match=r"a task of 0 s with 2 contents; allowed: above 0 s"):
        composers.task_of(("walk", "bow"), 0, 0)
    with pytest.raises(DataError, match="with 1 contents"):
        composers.task_of(("walk",), 10, 0)


def test_naive_is_told_as_many_prompts_as_its_encoder_reads(model: Model) -> None:
    short = composers.task_of(CONTENTS, 15, 0).plan
    assert composers.readable(short, model) == (short, 3)
    prompts = [f"a person walks forward {number} times and then turns left" for number in range(12)]
    long = Plan(tuple(Segment(prompt) for prompt in (*prompts, prompts[1])))
    told, count = composers.readable(long, model)
    assert 2 < count < 12 and told.seconds == long.seconds
    said = [segment.prompt for segment in told.segments]
    assert said == [*prompts[:count], *[prompts[count - 1]] * (12 - count), prompts[1]]
    model.bind((", then ".join(prompts[:count]),))
    with pytest.raises(PlanError):
        model.bind((", then ".join(prompts[: count + 1]),))
    with pytest.raises(PlanError):
        composers.readable(Plan((Segment("walk " * 100),)), model)


# --- what is measured ---


def test_a_teleport_at_a_seam_raises_jerk_and_one_elsewhere_does_not() -> None:
    smooth = stepping(20, 240)
    calm = figures(smooth, ("walk", "run"))
    for place, seen in ((120, True), (60, False)):
        broken = smooth.copy()
        broken[place:] += np.array([0.5, 0, 0])
        row = figures(broken, ("walk", "run"))
        assert (row["peaks"][0] > 5 * calm["peaks"][0]) == seen
        assert (row["areas"][0] > 2 * calm["areas"][0]) == seen
        assert row["curve"] == pytest.approx(calm["curve"]) or seen
    assert max(figures(broken, ("walk", "run"))["curve"]) == figures(broken, ("walk", "run"))["peaks"][0]


def test_a_sliding_foot_raises_slide() -> None:
    joints = standing(200)
    still = figures(joints, ("walk", "run"))
    joints[:, (10, 11), 0] += 0.01 * np.arange(200)[:, None]  # 0.2 m/s
    sliding = figures(joints, ("walk", "run"))
    assert still["slide_m"] == 0.0
    assert sliding["slide_m"] / sliding["slide_s"] == pytest.approx(0.2)


def test_every_segment_is_judged_on_its_own_frames() -> None:
    joints = standing(300)
    joints[100:200, :, 1] += 1.0
    joints[200:, :, 1] += 4.0
    row = figures(joints, CONTENTS[:3])
    assert (row["contents"], row["answers"]) == (list(CONTENTS[:3]), [*CONTENTS[:2], CONTENTS[4]])
    pooled = composers_report.pooled([{**row, **COST}])
    assert (pooled["accuracy"], pooled["segments"], pooled["seams"]) == (pytest.approx(2 / 3), 3, 2)


def test_one_segment_has_no_seam() -> None:
    row = figures(stepping(20, 100), ("walk",))
    assert row["seams"] == 0 and "curve" not in row
    assert "peak_p50" not in composers_report.pooled([{**row, **COST}])


COST = {
    "calls": 20, "rounds": 20, "rows": 60, "frames": 9000, "wall_s": 2.0, "cpu_s": 1.5, "memory_b": 3 * 2**20,
    "prompts_told": None,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", composers.COMPOSERS)
def test_every_composer_makes_its_cell(model: Model, name: str) -> None:
    settings = Settings(steps=4, guidance=1.0, **composers.COMPOSERS[name])
    row = composers.measure_cell(model, JUDGE, settings, 20.0, 1, USUAL)
    assert "error" not in row
    assert row["seams"] == len(row["peaks"]) == len(row["areas"]) == 3
    assert len(row["curve"]) == 57 and len(row["answers"]) == 4
    assert row["wall_s"] > 0 and row["cpu_s"] > 0 and (row["memory_b"] is None or row["memory_b"] >= 0)
    if name in ("replacement", "reconstruction"):
        assert row["rounds"] > 4 * 4  # window by window
    else:
        assert row["rounds"] == (8 if name == "handshake" else 4)
    assert row["prompts_told"] == (4 if name == "naive" else None)
    again = composers.measure_cell(model, JUDGE, settings, 20.0, 1, USUAL)
    assert (again["curve"], again["slide_m"]) == (row["curve"], row["slide_m"])


def test_what_cannot_be_made_is_a_row_that_says_why(model: Model) -> None:
    row = composers.measure_cell(model, JUDGE, Settings(overlap=6.0), 10.0, 0, USUAL)
    assert row.keys() == {"error"} and "overlap" in row["error"]
    made = {**figures(stepping(20, 200), ("walk", "run")), **COST}
    pooled = composers_report.pooled([row, made])
    assert (pooled["seeds"], pooled["failed"], pooled["seams"]) == (2, 1, 1)
    assert composers_report.pooled([row]) == {"seeds": 1, "failed": 1, "error": row["error"]}


def test_every_method_is_in_the_table() -> None:
    assert {str(options["method"]) for options in composers.COMPOSERS.values()} == set(METHODS)
    assert set(composers.KNOBS) <= set(composers.COMPOSERS)
    for name, options in search.candidates(composers.COMPOSERS):
        Settings(**{**composers.COMPOSERS[name], **options})


# --- real clips, pooling, tables ---


@pytest.fixture(scope="module")
def real() -> composers.Real:
    rng = np.random.default_rng(0)
    clips = [as_clip(CONTENTS[k % 6], body(80, rng)) for k in range(12)]
    for k, clip in enumerate(clips):
        clip.joints[:, :, 1] += k % 6  # as the judge knows them
        clip.joints[20 + 3 * k :, 20, 0] += 0.1
    return composers.measure_real(clips, JUDGE)


def test_real_clips_give_the_same_figures(real: composers.Real) -> None:
    assert real.curves.shape == (composers.REAL_WINDOWS, 57)
    assert real.curves.mean() == pytest.approx(real.usual_jerk, rel=0.2)
    assert (real.accuracy, real.clips) == (1.0, 12)
    assert real.header() == {"clips": 12, "usual_jerk": float(f"{real.usual_jerk:.6g}")}
    one, many = composers_report.real_row(real, 1), composers_report.real_row(real, 60)
    # The mean curve of one place is its own curve, that of sixty is nearly flat.
    assert one["peak_of_mean"] > 1.2 * many["peak_of_mean"] > many["peak_of_mean"]
    assert one["area_of_mean"] == pytest.approx(one["area_p50"], rel=0.3)
    assert one["peak_p95"] == many["peak_p95"] >= one["peak_p50"]
    assert "peak_p50" not in composers_report.real_row(real, 0)


def cell(composer: str, seed: int, seconds: float = 10.0, **options: float) -> dict[str, object]:
    return {
        "device": "cpu 1 thread",
        "composer": composer,
        "options": options,
        "seconds": seconds,
        "seed": seed,
    }


def test_seams_of_all_seeds_are_pooled(real: composers.Real) -> None:
    calm = {**figures(stepping(20, 360), ("walk", "run", "bow")), **COST}
    broken = stepping(20, 240)
    broken[120:] += np.array([0.5, 0, 0])
    jumpy = {**figures(broken, ("walk", "run")), **COST, "wall_s": 4.0, "memory_b": 9 * 2**20}
    cells = [(cell("collage", 0), calm), (cell("collage", 1), jumpy), (cell("blend", 0, blend=0.25), calm)]
    rows = composers_report.summary(cells, real)
    assert [row["composer"] for row in rows] == ["real clips", "collage", "blend"]
    row = rows[1]
    curve = (2 * np.array(calm["curve"]) + np.array(jumpy["curve"])) / 3
    assert row["peak_of_mean"] == pytest.approx(curve.max())
    assert row["area_of_mean"] == pytest.approx(np.abs(curve - USUAL).sum())
    assert row["peak_p50"] == pytest.approx(np.median(calm["peaks"] + jumpy["peaks"]))
    assert row["peak_p95"] > 10 * row["peak_p50"]
    assert (row["seeds"], row["seams"], row["wall_s"], row["memory_mb"]) == (2, 3, 3.0, 9.0)
    text = composers_report.markdown(rows, real.usual_jerk)
    assert "## 10 s of motion, cpu 1 thread" in text and "| blend blend=0.25 | 1 | 2 |" in text
    table = list(csv.DictReader(io.StringIO(composers_report.comma_separated(rows))))
    assert [line["composer"] for line in table] == ["real clips", "collage", "blend"]
    assert float(table[1]["peak_p95"]) == pytest.approx(row["peak_p95"])
    assert table[2]["options"] == "blend=0.25" and table[2]["prompts_told"] == ""


def test_lengths_devices_and_settings_stay_apart(real: composers.Real) -> None:
    row = {**figures(stepping(20, 200), ("walk", "run")), **COST}
    cells = [
        (cell("collage", 0, 30.0), row),
        (cell("collage", 0, 10.0), row),
        ({**cell("collage", 0, 10.0), "device": "cuda"}, row),
        (cell("collage", 0, 10.0, overlap=2.0), row),
        (cell("naive", 0, 10.0), {"error": "cannot"}),
    ]
    rows = [r for r in composers_report.summary(cells, real) if r["composer"] != "real clips"]
    found = [(r["device"], r["seconds"], r["composer"], r["options"]) for r in rows]
    assert found == [
        ("cpu 1 thread", 10.0, "collage", {}),
        ("cpu 1 thread", 10.0, "collage", {"overlap": 2.0}),
        ("cpu 1 thread", 10.0, "naive", {}),
        ("cpu 1 thread", 30.0, "collage", {}),
        ("cuda", 10.0, "collage", {}),
    ]
    assert "naive: 1 of 1 seeds failed: cannot" in composers_report.markdown(rows, USUAL)


# --- the search ---


def tried(accuracy: float, area: float) -> composers.Row:
    answers = ["walk"] * round(10 * accuracy) + ["bow"] * round(10 * (1 - accuracy))
    seams = {"seams": 1, "curve": [0.1] * 57, "peaks": [0.1], "areas": [area], "usual_jerk": USUAL}
    return {**COST, "contents": ["walk"] * 10, "answers": answers, "slide_m": 1, "slide_s": 9, **seams}


def test_the_search_takes_the_least_area_among_what_does_as_it_was_told() -> None:
    cells = [
        (cell("blend", 1000, blend=0.25), tried(1.0, 3.0)),
        (cell("blend", 1000, blend=0.5), tried(0.9, 2.0)),
        (cell("blend", 1000, blend=0.75), tried(0.5, 0.1)),  # smooth, but not what was asked for
        (cell("collage", 1000, overlap=1.0), {"error": "no"}),
        (cell("collage", 1000, overlap=2.0), tried(0.2, 5.0)),
    ]
    rows = search.results(cells)
    assert search.winners(rows) == {"collage": {"overlap": 2.0}, "blend": {"blend": 0.5}}
    text = search.markdown(rows)
    assert text.count("chosen |") == 2 and "| blend | blend=0.5 | 1 | 1 | 90% | 2.00 |" in text
    # More seeds of a setting count together.
    cells.append((cell("blend", 1001, blend=0.5), tried(0.9, 6.0)))
    assert search.winners(search.results(cells))["blend"] == {"blend": 0.25}
    assert search.results([]) == []


# --- the chart ---


@pytest.mark.slow
def test_the_chart_has_a_line_for_each_composer_and_device(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [
        {"device": device, "seconds": seconds, "composer": name, "wall_s": seconds / 3}
        for device in ("cpu 1 thread", "cuda")
        for seconds in (10.0, 30.0)
        for name in ("collage", "naive")
    ]
    path = draw_times(
        [*rows, {"device": "cpu 1 thread", "seconds": 10.0, "composer": "real clips"}], tmp_path / "t.png"
    )
    assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000
    with pytest.raises(OutputError, match="exists already"):
        draw_times(rows, path)
    with pytest.raises(CollageError, match="chart: no row has a time"):
        draw_times([], tmp_path / "u.png")


def test_without_matplotlib_the_cure_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(CollageError, match=r"install it with: pip install 'collage-motion\[eval\]'"):
        draw_times(
            [{"device": "cpu", "seconds": 1.0, "composer": "collage", "wall_s": 1.0}], tmp_path / "t.png"
        )
