"""Long, composed and looped human motion from text.

    from collage_motion import generate, plan_from_prompts, write

    motion = generate(plan_from_prompts(["a person walks::4", "a person waves::3"]), seed=1)
    write(motion, "motion.bvh")

The names below are loaded when they are first used, so that reading a plan does not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collage_motion.bridging import bridge, edit, morph, motion_from_joints
    from collage_motion.errors import CollageError
    from collage_motion.export import read_npz, write
    from collage_motion.models import load_model
    from collage_motion.motion import Motion
    from collage_motion.pipeline import generate, generate_many, generate_tree
    from collage_motion.plan import Plan, Segment, plan_from_prompts, read_plan, write_plan
    from collage_motion.recordings import read_motion
    from collage_motion.settings import Settings
    from collage_motion.topology import Branch

__version__ = "0.1.0"

_HOMES = {
    "Branch": "topology",
    "CollageError": "errors",
    "Motion": "motion",
    "Plan": "plan",
    "Segment": "plan",
    "Settings": "settings",
    "bridge": "bridging",
    "edit": "bridging",
    "generate": "pipeline",
    "generate_many": "pipeline",
    "generate_tree": "pipeline",
    "load_model": "models",
    "morph": "bridging",
    "motion_from_joints": "bridging",
    "plan_from_prompts": "plan",
    "read_motion": "recordings",
    "read_npz": "export",
    "read_plan": "plan",
    "write": "export",
    "write_plan": "plan",
}

__all__ = [
    "Branch",
    "CollageError",
    "Motion",
    "Plan",
    "Segment",
    "Settings",
    "__version__",
    "bridge",
    "edit",
    "generate",
    "generate_many",
    "generate_tree",
    "load_model",
    "morph",
    "motion_from_joints",
    "plan_from_prompts",
    "read_motion",
    "read_npz",
    "read_plan",
    "write",
    "write_plan",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
