"""Turn motion-capture archives into the one file that training reads (name it in COLLAGE_DATA)."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from collage_motion.cli import script
from collage_motion.data.preparation import prepare


def main() -> None:
    """Read the arguments, prepare the file, print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE", help=".tar.xz of BVH files")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help=".npz to write")
    parser.add_argument("--seed", type=int, default=0, help="seed of the split (default 0)")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    arguments = parser.parse_args()
    percentage = TextColumn("{task.percentage:.0f} %")
    columns = (TextColumn("{task.description}"), BarColumn(), percentage, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks = {path: bars.add_task(path.name, total=None) for path in arguments.archives}

        def show(path: Path, done: int, total: int) -> None:
            bars.update(tasks[path], completed=done, total=total)

        report = prepare(
            arguments.archives, arguments.output, arguments.overwrite, arguments.seed, progress=show
        )
    print(report)


if __name__ == "__main__":
    script(main)
