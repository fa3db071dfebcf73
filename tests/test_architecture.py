"""The house rules that a machine can check: imports point down, no torch on the word side."""

import ast
import subprocess
import sys
from fnmatch import fnmatch
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"collage_motion": ROOT / "collage_motion", "collage_motion.eval": ROOT / "eval"}

# A module imports what stands on its own line or above. Leaves come after the verbs: no verb knows a leaf.
LAYERS = (
    ("facts", {"errors", "skeleton", "yaml_tree"}),
    ("nouns", {"plan", "story", "counting", "ranges", "graph", "diagram", "card"}),
    ("nouns of numbers", {"motion", "schedule", "rotation", "noise", "tensor_files"}),
    ("second nouns", {"topology", "gradual", "word_vectors", "nearest", "lengths", "features", "extraction",
                      "denoiser", "padding", "weights"}),
    ("verbs", {"compose", "samplers", "conditioning", "methods", "kinematics"}),
    ("leaves", {"models", "text", "export", "data", "losses", "training", "settings"}),
    ("whole", {"pipeline", "bridging", "recordings"}),
    ("measures", {"eval"}),
    ("edge", {"cli", "__main__"}),
)  # fmt: skip
LEVEL = {name: level for level, (_, names) in enumerate(LAYERS) for name in names}

WORD_SIDE = (
    "errors", "skeleton", "yaml_tree", "plan", "story", "counting", "ranges", "graph", "diagram", "card", "topology",
    "gradual", "nearest", "lengths", "word_vectors", "settings",
)  # fmt: skip
MAY_KNOW_PLANS = {"plan", "story", "topology", "pipeline", "bridging", "eval", "cli"}
FORBIDDEN = (
    ("samplers", "graph"),
    ("samplers", "compose"),
    ("models", "samplers"),
    ("models", "graph"),
    ("denoiser", "graph"),
)
MAX_LINES = 330
TOP_LEVEL = {
    "setup.cfg", "pyproject.toml", "README.md", "LICENSE", ".gitignore", ".git", ".ci",
    "collage_motion", "eval", "third_party", "tests", "scripts",
}  # fmt: skip


def modules():
    """Dotted name and path of every module of the package."""
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join((package, *(part for part in parts if part != "__init__"))), path


def part_of(module):
    """The name by which the table knows a module: its first below the package; empty for the package."""
    return module.split(".")[1] if "." in module else ""


def imports(module, path):
    """The modules of this package that a file imports, wherever in the file, type-checking blocks aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in chain.from_iterable(map(ast.walk, block.body))
    }
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("collage_motion"))
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [base])])
            if base.startswith("collage_motion"):
                # `from package import name` may name a module or a thing in it
                yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def arrows():
    """(importing part, imported part, file) between different parts of the package."""
    return [
        (part_of(module), part_of(target), path)
        for module, path in modules()
        for target in imports(module, path)
        if part_of(module) and part_of(target) != part_of(module)
    ]


def test_every_module_has_its_place_in_the_table():
    unknown = {part_of(module) for module, _ in modules()} - set(LEVEL) - {""}
    assert not unknown, f"give {sorted(unknown)} a layer in LAYERS"


def test_no_import_points_up():
    wrong = [
        f"{path.relative_to(ROOT)}: {source} ({LAYERS[LEVEL[source]][0]}) imports {target}"
        for source, target, path in arrows()
        if target in LEVEL and LEVEL[target] > LEVEL[source]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_two_parts_import_each_other():
    edges = {(source, target) for source, target, _ in arrows() if {source, target} <= set(LEVEL)}
    level = dict.fromkeys(LEVEL, 0)
    for _ in range(len(level) + 1):
        for source, target in edges:
            level[source] = max(level[source], level[target] + 1)
    assert max(level.values()) <= len(level), f"a circle of imports among {sorted(edges)}"


def test_only_the_word_side_the_pipeline_and_the_edge_know_plans():
    wrong = {str(path.relative_to(ROOT)) for source, target, path in arrows() if target == "plan"} - {
        str(path.relative_to(ROOT)) for module, path in modules() if part_of(module) in MAY_KNOW_PLANS
    }
    assert not wrong


@pytest.mark.parametrize(("source", "target"), FORBIDDEN)
def test_samplers_know_no_graph_and_models_no_sampler(source, target):
    wrong = [str(path) for a, b, path in arrows() if (a, b) == (source, target)]
    assert not wrong


def test_the_walk_sees_imports():
    seen = {(source, target) for source, target, _ in arrows()}
    assert {("topology", "graph"), ("graph", "diagram"), ("graph", "errors"), ("card", "skeleton")} <= seen


def test_the_word_side_runs_without_torch():
    names = [*WORD_SIDE, "cli"]
    here = FOLDERS["collage_motion"]
    there = [f"collage_motion.{n}" for n in names if (here / f"{n}.py").exists() or (here / n).is_dir()]
    assert len(there) >= 8
    code = (
        "import sys, importlib\n"
        "sys.modules['torch'] = None\n"  # makes every import of torch fail
        f"for name in ['collage_motion', *{there!r}]: importlib.import_module(name)\n"
        "from collage_motion.topology import build\n"
        "from collage_motion.plan import plan_from_prompts\n"
        "from collage_motion.card import Limits\n"
        "assert 'walks' in str(build(plan_from_prompts(['walks', 'runs'], loop=True), Limits(10, 196, 20)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def test_modules_stay_small():
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for _, path in modules()}
    assert {name: size for name, size in sizes.items() if size > MAX_LINES} == {}


def test_nothing_is_called_utils():
    assert [str(path) for _, path in modules() if path.stem in ("utils", "helpers", "misc", "common")] == []


def test_the_library_prints_nothing():
    wrong = []
    for module, path in modules():
        if part_of(module) in ("cli", "__main__"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong


def test_the_library_asserts_nothing():
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for _, path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert not wrong


def test_the_top_level_holds_only_what_belongs_there():
    ignored = [
        line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split() if not line.startswith("#")
    ]
    found = {path.name for path in ROOT.iterdir()}
    extra = {name for name in found - TOP_LEVEL if not any(fnmatch(name, pattern) for pattern in ignored)}
    assert not extra
