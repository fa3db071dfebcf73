"""The README is true: its plan, its commands and its Python run, and its links lead somewhere."""

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from tiny_model import write_tiny_model

from collage_motion.card import find_models, load_card
from collage_motion.cli import main
from collage_motion.data.captions import ACTIONS
from collage_motion.eval.measuring import identity
from collage_motion.eval.report import COLUMNS, shown
from collage_motion.models import load_model
from collage_motion.plan import read_plan
from collage_motion.topology import build

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def commands():
    return [
        line for block in blocks("sh") for line in block.splitlines() if line.startswith("collage-motion ")
    ]


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A newcomer in an empty folder with the plan of the README, and a model called default."""
    if "default" not in find_models():  # then a small random one stands in
        folder = write_tiny_model(tmp_path / "home" / "models" / "default")
        card = json.loads((folder / "card.json").read_text())
        (folder / "card.json").write_text(json.dumps(card | {"actions": ACTIONS}))
        monkeypatch.setenv("COLLAGE_MOTION_HOME", str(tmp_path / "home"))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (plan,) = blocks("yaml")
    (folder / "plan.yaml").write_text(plan, encoding="utf-8")
    return folder


def test_the_plan_is_one(reader):
    plan = read_plan("plan.yaml")
    assert plan.loop and len(plan.segments) == 4
    assert build(plan, load_card()).cyclic


@pytest.mark.slow
@pytest.mark.parametrize("line", commands())
def test_the_commands_run(reader, line, capfd):
    arguments = shlex.split(line)[1:]
    outputs = {name for flag, name in pairwise(arguments) if flag == "-o"}
    quick = ["--steps", "2"] if arguments[0] in ("generate", "bridge", "edit") else []
    given = {
        name for name in ("walk.npz", "run.bvh") if name in arguments and name not in outputs
    }  # motions that a line before made
    for name in given:
        assert main(["generate", f"a person {name[:-4]}s::3", "--steps", "2", "-o", name]) == 0
    assert main([*arguments, *quick]) == 0
    assert "warning" not in capfd.readouterr().err  # every prompt is one that the model knows
    assert {path.name for path in reader.iterdir()} - {"plan.yaml"} == outputs | given


@pytest.mark.slow
def test_the_python_runs(reader, capsys):
    (program,) = blocks("python")
    exec(compile(program, "README.md", "exec"), {})
    assert capsys.readouterr().out == "(140, 22, 3)\n"
    assert (reader / "motion.bvh").is_file()


def anchors(text):
    """What a link may name after `#` in a page: its headings as GitHub writes them."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }


@pytest.mark.parametrize(
    "page", ["README.md", "eval/README.md", "eval/results/README.md", "third_party/README.md"]
)
def test_links_and_folders_exist(page):
    path = ROOT / page
    shown = re.sub(r"<!--.*?-->", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)]+)\)", shown):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link
    for name in re.findall(r"`((?:scripts|collage_motion|eval|tests|third_party)/[\w/.]*)", shown):
        assert (ROOT / name).exists(), name


def test_it_has_commands_to_try():
    assert len(commands()) >= 5
    assert sum(line.startswith("collage-motion generate") for line in commands()) >= 3


# Protocols whose full runs are published, the pages and sections of their tables, and rows that must be there.
RESULTS = "eval/results/README.md"
PUBLISHED = {
    "long": (
        "README.md",
        "### Long motion against real motion",
        {"naive", "replacement", "reconstruction", "consensus", "handshake"},
    ),
    "compose": (RESULTS, "## Many prompts against real motion", {"consensus", "handshake", "blend"}),
    "loop": (RESULTS, "## Loops against real motion", {"consensus", "handshake"}),
}
# Runs that are still to be made again with the shipped weights, and with which they were made; their sections say so.
EARLIER = {"long": "47cb0e7a753404c5"}
PLAIN = {
    "fid",
    "fid_floor",
    "r_precision_1",
    "r_precision_2",
    "r_precision_3",
    "mm_dist",
    "diversity",
    "peak_jerk",
    "area_under_jerk",
    "transition_fid",
    "foot_slide",
}


@pytest.fixture(params=PUBLISHED)
def published(request):
    """The name of a protocol and the report of its full run."""
    return request.param, json.loads(
        (ROOT / "eval" / "results" / f"{request.param}.json").read_text(encoding="utf-8")
    )


def test_the_tables_are_those_of_the_published_runs(published):
    protocol, report = published
    page, heading, methods = PUBLISHED[protocol]
    rows = {row["method"]: row for row in report["rows"]}
    names = {heading: name for name, heading in COLUMNS.items()}
    section = (ROOT / page).read_text(encoding="utf-8").split(f"\n{heading}\n")[1]
    header, _, *lines = re.search(r"^\| method \|.*?\n\n", section, re.MULTILINE | re.DOTALL)[0].splitlines()
    figures = [names[heading.strip()] for heading in header.split("|")[2:-1]]
    assert len(figures) > 8 and "fid_above_floor" in figures
    told = {cells[1].strip(): cells[2:-1] for cells in (line.split("|") for line in lines if line)}
    assert list(told) == list(rows) and {"real", "short", "collage"} | methods == set(told)
    for method, cells in told.items():
        for figure, cell in zip(figures, cells, strict=True):
            value = rows[method].get(figure)
            assert cell.strip() == ("-" if value is None else shown(value["mean"], value["ci95"])), (
                method,
                figure,
            )


def test_the_ratios_of_long_motion_are_those_of_the_published_run():
    report = json.loads((ROOT / "eval" / "results" / "long.json").read_text(encoding="utf-8"))
    section = TEXT.split(f"{PUBLISHED['long'][1]}\n")[1].split("\n### ")[0]
    table = re.search(r"^\| ratio \|.*?\n\n", section, re.MULTILINE | re.DOTALL)[0]
    told = [[cell.strip() for cell in line.split("|")[1:3]] for line in table.strip().splitlines()[2:]]

    def says(text, value):
        return round(value, len(text.partition(".")[2])) == float(text)

    assert len(told) == len(report["comparisons"]) >= 8
    for (_, here), ratio in zip(told, report["comparisons"], strict=True):
        mean, _, interval = here.partition(" ± ")
        assert says(mean, ratio["mean"]) and says(interval, ratio["ci95"]), ratio["figure"]
    names = [name for name, _ in told]
    assert [n for n in names if "FID(" in n or "R@3" in n or "diversity" in n] == [
        ratio["figure"] for ratio in report["comparisons"][: len(names) - 2]
    ]


def test_the_published_runs_are_whole_and_of_the_shipped_model(published):
    protocol, report = published
    page, heading, _ = PUBLISHED[protocol]
    assert report["replications"] >= 5 and report["samples"] >= 256 and not report["quick"]
    assert not report["commit"].endswith("+") and not any("WARNING" in note for note in report["notes"])
    assert all(row["largest_difference"] == 0.0 for row in report["rechecked"])
    shipped = identity(load_model("default"))["weights"]
    assert report["model"]["weights"] == EARLIER.get(protocol, shipped) and shipped not in EARLIER.values()
    section = (ROOT / page).read_text(encoding="utf-8").split(f"\n{heading}\n")[1].split("\n## ")[0]
    assert ("the weights before these" in section) == (protocol in EARLIER)
    for row in report["rows"]:
        assert all(
            len(value["values"]) == report["replications"] for name, value in row.items() if name != "method"
        )
        assert row.keys() >= PLAIN
