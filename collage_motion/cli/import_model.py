"""`collage-motion models import`: a released MDM checkpoint becomes an installed model."""

import re
from pathlib import Path, PurePosixPath
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer

from collage_motion.card import models_home, read_card
from collage_motion.cli.messages import Progressing, warn
from collage_motion.cli.options import Overwrite
from collage_motion.errors import ModelError
from collage_motion.text.sources import SOURCES

Files = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="CHECKPOINT [ARGS.JSON]",
        help="The checkpoint (modelNNNNNNNNN.pt) and its args.json, which by default lies beside it. With --from, "
        "args.json alone.",
        show_default=False,
    ),
]
Name = Annotated[str, typer.Option(metavar="NAME", help="What to call the model.", show_default=False)]
Stats = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder with Mean.npy and Std.npy of the project HumanML3D: checkpoints hold no statistics.",
        show_default=False,
    ),
]
Text = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="The text encoder's files, a folder or ViT-B-32.pt.  [default: where `models list` says]",
        show_default=False,
    ),
]
Source = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="URL", help="Download the checkpoint from this https address.", show_default=False
    ),
]
Sha256 = Annotated[
    str | None,
    typer.Option(
        "--sha256",
        metavar="HEX",
        help="What the downloaded file must have as its sha256.",
        show_default=False,
    ),
]


def import_model(
    files: Files = None,
    name: Name = "",
    stats: Stats = None,
    text: Text = None,
    source: Source = None,
    sha256: Sha256 = None,
    overwrite: Overwrite = False,
) -> None:
    """Install a released MDM checkpoint; nothing in it is executed."""
    checkpoint, arguments = _named(list(files or []), source, sha256)
    with Progressing() as progress:
        progress.begin("reading")
        from collage_motion.models.checkpoint import check_import, import_checkpoint

        check_import(checkpoint, arguments, name=name, stats=stats, overwrite=overwrite, text_path=text)
        if source is not None:
            _download(source, checkpoint, sha256, progress)
            progress.begin("importing")
        folder = import_checkpoint(
            checkpoint,
            arguments,
            name=name,
            stats=stats,
            overwrite=overwrite,
            text_path=text,
            source=source,
        )
    if source is not None:
        checkpoint.unlink()  # our own copy; the model holds all of it that is needed
    card = read_card(folder)
    typer.echo(f"imported {name} into {folder} (checkpoint's sha256 {card.training['sha256']})")
    try:
        SOURCES[card.text["encoder"]].find(text)
    except ModelError as error:
        warn(f"before it can be used: {error}")


def _named(files: list[Path], source: str | None, sha256: str | None) -> tuple[Path, Path | None]:
    """Where the checkpoint is, or will be once it is downloaded, and the args.json if one was named."""
    most = 2 if source is None else 1
    if len(files) > most or (source is None and not files):
        wanted = (
            "a checkpoint and perhaps its args.json" if source is None else "args.json alone, with --from"
        )
        raise ModelError(f"files: got {len(files)}; allowed: {wanted}")
    if source is None:
        if sha256 is not None:
            raise ModelError("--sha256 belongs to --from; a file that is here already is not checked")
        return files[0], files[1] if len(files) > 1 else None
    from collage_motion.models.download import check_address

    check_address(source)
    named = PurePosixPath(unquote(urlsplit(source).path)).name
    file = re.sub(r"[^A-Za-z0-9._-]", "_", named)[-80:].lstrip(".") or "checkpoint.pt"
    return models_home().parent / "downloads" / file, files[0] if files else None


def _download(source: str, target: Path, sha256: str | None, progress: Progressing) -> None:
    from collage_motion.models.download import download

    progress.begin(f"downloading {target.name}")
    download(source, target, sha256=sha256, progress=lambda done, total: progress.step(done, total or done))
