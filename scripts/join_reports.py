"""Put the rows of an earlier report beside a new one, of methods that the new one lacks.

    python scripts/join_reports.py new/long.json results/long.json -o folder

Both must be of one protocol, seed, size, model and judge. Writes long.json, long.csv, long.md and long.png.
"""

import argparse
from pathlib import Path

from collage_motion.cli import script
from collage_motion.eval.joining import joined, read_report
from collage_motion.eval.plots import can_plot, plot
from collage_motion.eval.report import markdown, outputs, write_report


def main() -> None:
    """Read, join, write, show."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("new", type=Path, help="JSON of the report whose rows count")
    parser.add_argument(
        "earlier", type=Path, help="JSON of the report that lends the rows the other one lacks"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder to write into"
    )
    options = parser.parse_args()
    report = joined(read_report(options.new), read_report(options.earlier))
    options.output.mkdir(parents=True, exist_ok=True)
    name = str(report["protocol"]["name"])
    write_report(report, None, options.output, name)
    if can_plot():
        plot(report, outputs(options.output, name)["png"])
    print(markdown(report), end="")


if __name__ == "__main__":
    script(main)
