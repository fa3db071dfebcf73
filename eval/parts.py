"""How much an evaluation makes, whose work it is, and the motions that belong together."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final, Protocol

from collage_motion.errors import CollageError
from collage_motion.methods import OWN_SETTINGS
from collage_motion.settings import Settings

from .protocols import SHORT, Script

MULTIMODAL: Final = ".mm"
"""Behind a method's name: its folder of repeats for multimodality."""


class Watch(Protocol):
    """Who is told how far it is; `cli.messages.Progressing` is one."""

    def begin(self, stage: str) -> None: ...
    def step(self, done: int, total: int) -> None: ...
    def say(self, line: str) -> None: ...


@dataclass(frozen=True)
class Sizes:
    """How much is made: motions are as many as `samples` captions give."""

    replications: int
    samples: int
    multimodality: bool = False


@dataclass(frozen=True)
class Share:
    """Which of several processes this is; `torchrun` says so in RANK and WORLD_SIZE."""

    rank: int = 0
    processes: int = 1

    @classmethod
    def of_environment(cls) -> "Share":
        """This process's share; raises CollageError for numbers that do not fit."""
        texts = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
        try:
            rank, processes = map(int, texts)
        except ValueError:
            rank, processes = -1, 0
        if not 0 <= rank < processes:
            raise CollageError(
                f"RANK {texts[0]!r} of WORLD_SIZE {texts[1]!r}: not a process of several; start them with torchrun, or "
                "unset both"
            )
        return cls(rank, processes)


@dataclass(frozen=True, eq=False)
class Part:
    """All motions of one method in one replication, as they lie in one folder of the store."""

    method: str
    replication: int
    settings: Settings
    scripts: Sequence[Script]

    @property
    def record(self) -> dict[str, Any]:
        """What the samples depend on besides the run: all settings of the method, whatever the defaults are.

        Not the memory budget, on which nothing depends, and what only some methods have only where the method has it.
        """
        alone = self.method.removesuffix(MULTIMODAL) == SHORT
        away = {"max_tokens"} | {
            name
            for name in ("taper", "apart_above", "stagger_below", "spread")
            if alone or self.settings.method not in OWN_SETTINGS[name]
        }
        return {name: value for name, value in asdict(self.settings).items() if name not in away}

    @cached_property
    def marks(self) -> list[str]:
        """What stands for each motion's prompts, frames and noise."""
        return [script.mark for script in self.scripts]

    @property
    def frames(self) -> list[int]:
        """Length of each motion."""
        return [script.n_frames for script in self.scripts]
