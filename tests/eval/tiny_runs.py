"""Small runs of the evaluation with a tiny network: what asks for them, and what is looked at afterwards."""

from collage_motion.eval.command import Request


class Silent:
    """A watch that remembers what it was told."""

    def __init__(self):
        self.stages, self.lines, self.steps = [], [], []

    def begin(self, stage):
        self.stages.append(stage)

    def step(self, done, total):
        self.steps.append((done, total))

    def say(self, line):
        self.lines.append(line)


def small(place, folder):
    """A small run of one method."""
    return Request(
        folder, "long", "collage", 2, 32, str(place / "tiny"), None, place / "judge", device="cpu", quick=True,
        settings={"steps": 1},
    )  # fmt: skip


def figures(report):
    """All values of a report that do not depend on the clock."""
    return {
        (row["method"], name): figure["values"]
        for row in report["rows"]
        for name, figure in row.items()
        if name != "method" and "seconds" not in name
    }


def samples(folder):
    """Its files of motions and when they were written."""
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("samples/**/*.npz"))}


def command_line(request, *more):
    """What asks for such a run in a process of its own."""
    return [
        "-m", "collage_motion", "eval", "--quick", "--protocol", "long", "--methods", request.methods, "-o",
        str(request.output), "--model", request.model, "--evaluator", str(request.evaluator), "--steps", "1",
        "--device", "cpu", *more,
    ]  # fmt: skip
