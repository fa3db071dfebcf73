"""What a reader of a report has to know besides its figures: notes beneath the table, reasons of settings."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from collage_motion.methods import METHODS

from . import provenance, rechecking
from .entrants import entrant
from .metrics import BATCH
from .protocols import REAL, SHORT
from .report import INTERVALS
from .running import Evaluation

if TYPE_CHECKING:
    from .command import Request


def reason(method: str, request: "Request") -> str:
    """Why a method has the settings that it has."""
    given = sorted(entrant(method).settings.keys() & request.settings.keys())
    if given and method != SHORT:
        return f"{', '.join(given)}: as the command says for all methods"
    return entrant(method).why


def notes(
    request: "Request",
    evaluation: Evaluation,
    drawn: Mapping[str, int],
    made_by: Sequence[Mapping[str, Any]],
    rechecked: Sequence[Mapping[str, Any]],
    meanings: Mapping[str, Any] | None,
) -> list[str]:
    """What a reader of the table has to know."""
    sizes = evaluation.sizes
    protocol = evaluation.protocol
    asked = (
        f"{max(1, sizes.samples // protocol.repeats)} motions"
        if protocol.of_list
        else f"{sizes.samples} captions"
    )
    times = f"{sizes.replications} replication{'s' if sizes.replications > 1 else ''}"
    said = [f"{times} of {asked}; {INTERVALS}"]
    if evaluation.protocol.of_list:
        said.append(
            "no real clips are of these prompts: real is those that were drawn, whatever they show, its windows of 60 "
            f"frames {drawn['places']} random places of them"
        )
    elif request.dataset is not None:
        said.append(f"FID against all {drawn['reference']} clips of the split, as published: it has no floor")
    else:
        said.append(
            f"FID against {drawn['reference']} real clips; its floor is that of {drawn['floor']} different ones of "
            "the half asked for"
        )
    for name, row in evaluation.given.items():
        said.append(
            f"motions of {name} were made elsewhere (folder {row.record['folder']}); transitions are looked for where "
            "the collage joins its windows"
        )
    if request.quick:
        said.insert(
            0,
            "a quick look (few steps, short motions): it shows that everything works, nothing else",
        )
    said += rechecking.said(rechecked)
    same = rechecking.same_code(rechecked, evaluation)
    if warning := provenance.mixed(made_by, same):
        said.insert(0, warning)
    if meanings is not None:
        usual = "" if meanings["batch"] == BATCH else f", not the usual {BATCH}"
        said.append(
            f"R-precision among {meanings['batch']} motions{usual}, asked for with {meanings['mean']:.1f} different "
            "meanings on average"
        )
    if REAL in evaluation.rows and protocol.methods and not protocol.of_list:
        said.append(
            f"the {drawn['places']} windows of 60 frames of real and short are at random places of the clips whose "
            "captions were asked for, those of 60 frames or more"
        )
    away = [method for method in METHODS if method not in evaluation.protocol.methods]
    if away and evaluation.protocol.methods:
        said.append(
            f"left out, as they cannot do what this protocol asks: {', '.join(away)} (see eval/README.md)"
        )
    if evaluation.testbed.classifier is None and request.dataset is None:
        said.append("no content accuracy: scripts/train_classifier.py makes the classifier")
    return said
