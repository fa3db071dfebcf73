"""Tokenizers of CLIP and DistilBERT from the files their projects publish, by the library `tokenizers`."""

import gzip
import html
import json
import re
import zlib
from pathlib import Path
from typing import Any, Final

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from collage_motion.errors import ModelError

START, END = "<|startoftext|>", "<|endoftext|>"
_MAX_BYTES: Final = 64 * 2**20
_WORDS: Final = (
    rf"{re.escape(START)}|{re.escape(END)}|'s|'t|'re|'ve|'m|'ll|'d|\p{{L}}+|\p{{N}}|[^\s\p{{L}}\p{{N}}]+"
)
"""How CLIP cuts a text into words before it cuts words into pieces."""


def clean_text(text: str) -> str:
    """A text as CLIP's tokenizer cleans it: mojibake mended, HTML entities read, white space and case folded.

    Only a text that is not ASCII needs the library ftfy; raises ModelError when it is not installed.
    """
    if not text.isascii():
        try:
            import ftfy
        except ImportError:
            raise ModelError(
                f"prompt {text[:40]!r} holds letters beyond ASCII, which CLIP's tokenizer reads through ftfy; "
                "pip install 'collage-motion[clip]'"
            ) from None
        text = ftfy.fix_text(text)
    return " ".join(html.unescape(html.unescape(text)).split()).lower()


def clip_tokenizer(path: Path, vocabulary: int) -> Tokenizer:
    """CLIP's byte-pair tokenizer of so many pieces, from `tokenizer.json`, `vocab.json` or OpenAI's list of merges.

    `vocab.json` needs `merges.txt` beside it. Raises ModelError for files that are broken or of another size.
    """
    if path.name == "tokenizer.json":
        tokenizer = _from_json(path)
    else:
        numbers, merges = (
            _pieces_of_json(path) if path.suffix == ".json" else _pieces_of_merges(path, vocabulary)
        )
        try:
            model = models.BPE(numbers, merges, end_of_word_suffix="</w>", unk_token=END)
        except Exception as error:  # tokenizers raises nothing more special
            raise ModelError(f"{path}: no byte-pair vocabulary ({error}); copy the file again") from None
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(f"(?i:{_WORDS})"), behavior="removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([START, END])
    got = tokenizer.get_vocab_size()
    marks = tokenizer.token_to_id(START), tokenizer.token_to_id(END)
    if got != vocabulary or marks != (vocabulary - 2, vocabulary - 1):
        raise ModelError(
            f"{path}: {got} pieces for weights with {vocabulary}; take both files from the same project"
        )
    return tokenizer


def wordpiece_tokenizer(path: Path, vocabulary: int) -> Tokenizer:
    """DistilBERT's lower-casing tokenizer with [CLS] and [SEP], from `tokenizer.json` or `vocab.txt`.

    Raises ModelError for files that are broken or of another size.
    """
    if path.suffix == ".json":
        tokenizer = _from_json(path)
    else:
        words = _read_text(path, path.read_bytes).splitlines()
        numbers = {word: number for number, word in enumerate(words)}
        tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        if missing := {"[UNK]", "[CLS]", "[SEP]"} - numbers.keys():
            raise ModelError(
                f"{path}: lacks {', '.join(sorted(missing))}; this is no vocabulary of DistilBERT"
            )
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[(word, numbers[word]) for word in ("[CLS]", "[SEP]")]
        )
    if (got := tokenizer.get_vocab_size()) != vocabulary:
        raise ModelError(
            f"{path}: {got} words for weights with {vocabulary}; take both files from the same project"
        )
    return tokenizer


def _from_json(path: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more special
        raise ModelError(f"{path}: no tokenizer file ({error}); copy the file again") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _read_text(path: Path, read: Any) -> str:
    try:
        data: bytes = read()
        if len(data) > _MAX_BYTES:
            raise ModelError(f"{path}: more than {_MAX_BYTES} bytes; this is no vocabulary")
        return data.decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); copy the file again") from None


def _pieces_of_json(path: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    merges_path = path.with_name("merges.txt")
    lines = _read_text(merges_path, merges_path.read_bytes).splitlines()
    merges = [_pair(line, merges_path) for line in lines if line and not line.startswith("#version")]
    try:
        numbers = json.loads(_read_text(path, path.read_bytes))
    except ValueError as error:
        raise ModelError(f"{path}: not JSON ({error}); copy the file again") from None
    if not isinstance(numbers, dict) or not all(type(number) is int for number in numbers.values()):
        raise ModelError(f"{path}: no object of pieces and numbers; copy the file again")
    return numbers, merges


def _pieces_of_merges(path: Path, vocabulary: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Numbers of all pieces from OpenAI's list, which begins with a title and is longer than what CLIP uses.

    First come the 256 bytes as printable letters, then the same as ends of words, then what each merge makes,
    then the two marks.
    """

    def unpack() -> bytes:
        with gzip.open(path) as file:
            return file.read(_MAX_BYTES + 1)

    count = vocabulary - 2 * 256 - 2
    lines = _read_text(path, unpack).split("\n")[1 : count + 1]
    merges = [_pair(line, path) for line in lines]
    if len(merges) != count:
        raise ModelError(f"{path}: {len(merges)} merges; {count} are needed; copy the file again")
    letters = _byte_letters()
    pieces = [
        *letters,
        *(f"{letter}</w>" for letter in letters),
        *("".join(pair) for pair in merges),
        START,
        END,
    ]
    return {piece: number for number, piece in enumerate(pieces)}, merges


def _pair(line: str, path: Path) -> tuple[str, str]:
    parts = line.split()
    if len(parts) != 2:
        raise ModelError(f"{path}: {line[:40]!r} is no pair of pieces; copy the file again")
    return parts[0], parts[1]


def _byte_letters() -> list[str]:
    """The letter of each byte in byte-level BPE, printable bytes first: they stand for themselves."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(others))]
