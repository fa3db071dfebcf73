"""What is generated and which pieces of it are scored: one small record a protocol, and the scripts it makes.

A protocol says nothing of models and metrics. It turns what a test bed asks for (`testbed.Asked`) into scripts:
motions to generate, each a row of prompts with their frames, and pieces of those motions that stand for what was asked.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collage_motion.errors import CollageError
from collage_motion.features import ROOT_HEIGHT, ROOT_XZ, ROOT_YAW
from collage_motion.methods import METHODS, ON_CYCLES, ON_GRAPHS
from collage_motion.plan import Plan, Segment
from collage_motion.skeleton import FPS, N_FEATURES
from collage_motion.topology import Variables

from .testbed import Asked

REAL, SHORT = "real", "short"
"""The rows that are no method: real clips, and each caption as one window of its real length."""


@dataclass(frozen=True)
class Protocol:
    """How a protocol's motions are made of prompts.

    prompts: different ones a motion; repeats: of each. seconds: how long a motion lasts, None: as long as the
    real clips of its prompts together (`of_list`: their own seconds). loop: it closes. variables: what overlaps
    are told (`topology.chain`). least_s: real clips shorter than that are not asked for. of_list: a published list
    of prompts instead of the test split's captions, so there is nothing real to compare with. held: the motion
    is held to the path and to keyframes of the real clips. methods: those that can do it.
    """

    name: str
    says: str
    prompts: int = 1
    repeats: int = 1
    seconds: float | None = None
    loop: bool = False
    variables: Variables = "auto"
    least_s: float = 0.0
    of_list: str = ""
    held: bool = False
    methods: tuple[str, ...] = METHODS

    def quick(self) -> "Protocol":
        """The same in small, for a table that only shows that everything works."""
        seconds = None if self.seconds is None else min(self.seconds, 9.0)
        return replace(self, seconds=seconds, prompts=min(self.prompts, 8), repeats=min(self.repeats, 4))

    def record(self) -> dict[str, Any]:
        """All fields but the sentence, for JSON."""
        return {key: value for key, value in vars(self).items() if key not in ("says", "methods")}


SEAM_ROOM_S: Final = 3.0
"""Shortest segment beside a seam: half the 60-frame window on each side of it."""

PROTOCOLS: Final = {
    protocol.name: protocol
    for protocol in (
        Protocol("short", "one window a caption, as long as its real clip", methods=()),
        Protocol(
            "long",
            "24 s a caption, the prompt on overlaps too, scored on random crops as long as real clips",
            seconds=24.0,
            variables="prompt",
        ),
        Protocol(
            "compose",
            "32 captions a motion, each as long as its real clip; captions and transitions scored apart",
            prompts=32,
            least_s=SEAM_ROOM_S,
            # Naive denoising says all prompts in one sentence, and no text encoder here reads one of 32 prompts.
            methods=tuple(name for name in METHODS if name != "naive"),
        ),
        Protocol(
            "loop",
            "2 captions a loop, each as long as its real clip; the wrap is a transition like the others",
            prompts=2,
            loop=True,
            least_s=SEAM_ROOM_S,
            methods=ON_CYCLES,
        ),
        Protocol(
            "extrapolate",
            "one prompt of a published list 32 times over; only what can be seen without real clips",
            repeats=32,
            of_list="extrapolate",
        ),
        Protocol(
            "path",
            "3 captions a motion, held to the path of their real clips and to one pose of each",
            prompts=3,
            least_s=SEAM_ROOM_S,
            held=True,
            methods=ON_GRAPHS,
        ),
    )
}


@dataclass(frozen=True, eq=False)
class Held:
    """What a motion is held to: raw features (F, 263) where `mask` (F, 263) is true, and the frames held whole."""

    features: NDArray[np.float32]
    mask: NDArray[np.bool_]
    keyframes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Piece:
    """Frames [start, start + length) of a motion, which stand for number `asked` of what was asked."""

    asked: int
    start: int
    length: int


@dataclass(frozen=True, eq=False)
class Script:
    """One motion to generate: prompts with their frames, its seed, and the pieces of it that are scored.

    told: frames that the network is told of, where that is fewer than there are (the official evaluation samples
    196 frames whatever the length).
    """

    prompts: tuple[str, ...]
    frames: tuple[int, ...]
    seed: int
    pieces: tuple[Piece, ...]
    loop: bool = False
    told: int | None = None
    held: Held | None = None

    @property
    def n_frames(self) -> int:
        """Length of the canvas."""
        return sum(self.frames)

    @property
    def mark(self) -> str:
        """Sixteen letters that stand for what its motion is made of besides model and settings.

        Of what it is held to only the frames and channels: the values themselves may differ in their last digits
        from machine to machine.
        """
        held = None if self.held is None else (self.held.keyframes, np.packbits(self.held.mask).tobytes())
        words = repr((self.prompts, self.frames, self.seed, self.loop, self.told, held))
        return hashlib.sha256(words.encode()).hexdigest()[:16]

    @property
    def layout(self) -> tuple[Any, ...]:
        """What scripts that can be generated in one batch have in common: everything but words and values."""
        pattern = tuple(self.prompts.index(prompt) for prompt in self.prompts)
        held = b"" if self.held is None else np.packbits(self.held.mask).tobytes()
        return (self.frames, pattern, self.loop, self.told, held)

    def plan(self, fps: int) -> Plan:
        """The plan of this layout, `{k}` standing for the k-th of `words`: equal prompts have the same name."""
        segments = (
            Segment(f"{{{self.words.index(prompt)}}}", frames / fps)
            for prompt, frames in zip(self.prompts, self.frames, strict=True)
        )
        return Plan(tuple(segments), self.loop)

    @property
    def words(self) -> tuple[str, ...]:
        """The different prompts, in the order in which they first come."""
        return tuple(dict.fromkeys(self.prompts))


def get_protocol(name: str) -> Protocol:
    """The protocol of that name; raises CollageError."""
    if name not in PROTOCOLS:
        raise CollageError(f"protocol: got {name!r}; allowed: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def derived(*parts: object) -> int:
    """A seed of 64 bits that depends on these words and numbers alone: the first bytes of their SHA-256."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "big")


def listed_prompts(name: str) -> list[tuple[str, float]]:
    """Prompts and seconds of a published list."""
    text = files(__package__).joinpath("prompts", f"{name}.json").read_text(encoding="utf-8")
    return [(str(row["prompt"]), float(row["seconds"])) for row in json.loads(text)["prompts"]]


def short_scripts(
    asked: Sequence[Asked], protocol: str, seed: int, replication: int, canvas: int | None
) -> list[Script]:
    """One window a caption, as long as its real clip; on canvases of `canvas` frames if given."""
    return [
        Script(
            (row.caption,),
            (canvas or row.n_frames,),
            derived(seed, protocol, replication, number),
            (Piece(number, 0, row.n_frames),),
            told=row.n_frames if canvas else None,
        )
        for number, row in enumerate(asked)
    ]


def scripts_of(protocol: Protocol, asked: Sequence[Asked], seed: int, replication: int) -> list[Script]:
    """The motions of one replication, the first using the first rows of `asked`, and so on.

    Sample `k` depends on (seed, protocol, replication, k) and on what it is asked for; rows too few for another motion
    are left over.
    """
    made = []
    for number in range(len(asked) // protocol.prompts):
        rows = asked[number * protocol.prompts : (number + 1) * protocol.prompts]
        own = derived(seed, protocol.name, replication, number)
        first = number * protocol.prompts
        if protocol.seconds is not None:
            made.append(_cropped(protocol, rows[0], own, first))
        else:
            made.append(_composed(protocol, rows, own, first))
    return made


def listed_scripts(protocol: Protocol, count: int, seed: int, replication: int) -> list[Script]:
    """As `scripts_of`, for `count` prompts of a published list in its order, going round at its end.

    Each replication begins elsewhere, where the widest stretch between earlier beginnings lies (van der Corput's
    sequence): so few prompts a replication reach the whole list soon, and which ones does not depend on their count.
    """
    prompts = listed_prompts(protocol.of_list)
    first = int(_spread(replication) * len(prompts))
    made = []
    for number in range(count):
        prompt, seconds = prompts[(first + number) % len(prompts)]
        own = derived(seed, protocol.name, replication, number)
        frames = (round(seconds * FPS),) * protocol.repeats
        made.append(Script((prompt,) * protocol.repeats, frames, own, ()))
    return made


def _spread(number: int) -> float:
    """Van der Corput's sequence in base 2: 0, 1/2, 1/4, 3/4, 1/8, ..."""
    place, unit = 0.0, 0.5
    while number:
        place += unit * (number & 1)
        number, unit = number >> 1, unit / 2
    return place


def _cropped(protocol: Protocol, row: Asked, seed: int, number: int) -> Script:
    """One prompt for `seconds`, of which a random stretch as long as the real clip counts."""
    n_frames = max(round((protocol.seconds or 0.0) * FPS), row.n_frames)
    start = derived(seed, "crop") % (n_frames - row.n_frames + 1)
    return Script((row.caption,), (n_frames,), seed, (Piece(number, start, row.n_frames),))


def _composed(protocol: Protocol, rows: Sequence[Asked], seed: int, first: int) -> Script:
    frames = tuple(row.n_frames for row in rows)
    starts = np.concatenate(([0], np.cumsum(frames)[:-1]))
    pieces = tuple(
        Piece(first + k, int(start), length)
        for k, (start, length) in enumerate(zip(starts, frames, strict=True))
    )
    held = _held(rows, starts) if protocol.held else None
    return Script(tuple(row.caption for row in rows), frames, seed, pieces, protocol.loop, held=held)


def _held(rows: Sequence[Asked], starts: NDArray[np.int64]) -> Held:
    """The root's way over all frames (features are steps, so clips follow one another), and the middle poses."""
    features = np.concatenate([row.features for row in rows])
    mask = np.zeros((len(features), N_FEATURES), dtype=np.bool_)
    for group in (ROOT_YAW, ROOT_XZ, ROOT_HEIGHT):
        mask[:, group] = True
    keyframes = tuple(int(start) + row.n_frames // 2 for start, row in zip(starts, rows, strict=True))
    mask[list(keyframes)] = True
    return Held(features, mask, keyframes)
