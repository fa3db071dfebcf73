"""More words of the captions, as plain data: the styles, who is spoken of, and two lists of English."""

from typing import Final

STYLE_ALIASES: Final[dict[str, str]] = {
    "masculinity": "masculine", "old": "elderly", "tired": "exhausted", "children": "childish",
}  # fmt: skip
"""Labels of the two sets that mean the same."""

STYLES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "normal": {
        "adverbs": ("calmly", "casually", "naturally"),
        "tails": ("normally", "as usual", "in a normal way", "at a normal pace", "in an ordinary manner"),
        "people": (),
    },
    "happy": {
        "adverbs": ("happily", "cheerfully", "joyfully", "merrily"),
        "tails": ("in a good mood", "full of joy", "in a happy way", "with a happy bounce"),
        "people": ("a happy person", "a cheerful man", "a joyful woman"),
    },
    "sad": {
        "adverbs": ("sadly", "gloomily", "sorrowfully", "dejectedly"),
        "tails": ("with the head hanging low", "in a sad mood", "full of sorrow", "with drooping shoulders"),
        "people": ("a sad person", "a gloomy man", "a depressed woman"),
    },
    "angry": {
        "adverbs": ("angrily", "furiously", "crossly"),
        "tails": ("in anger", "full of rage", "in an angry mood", "with clenched fists", "in a temper"),
        "people": ("an angry person", "a furious man", "an angry woman"),
    },
    "proud": {
        "adverbs": ("proudly", "confidently", "boastfully"),
        "tails": ("with the chest out", "full of pride", "with the head held high", "in a proud manner"),
        "people": ("a proud person", "a confident man", "a proud woman"),
    },
    "not-confident": {
        "adverbs": ("timidly", "nervously", "hesitantly", "shyly"),
        "tails": ("without confidence", "in an insecure way", "full of doubt", "in a timid manner"),
        "people": ("a shy person", "an insecure man", "a timid woman"),
    },
    "masculine": {
        "adverbs": (),
        "tails": (
            "in a masculine way", "like a strong man", "in a manly way", "in a macho manner",
            "with broad shoulders", "like a tough guy from a western", "with masculine movements",
        ),
        "people": ("a masculine person", "a manly man", "a muscular man"),
    },
    "feminine": {
        "adverbs": ("gracefully", "elegantly"),
        "tails": (
            "in a feminine way", "like a lady", "in a ladylike manner", "like a fashion model",
            "with feminine grace", "with swaying hips",
        ),
        "people": ("a feminine person", "a graceful woman", "an elegant lady"),
    },
    "childish": {
        "adverbs": ("childishly", "playfully"),
        "tails": ("like a child", "like a little kid", "in a childish way", "as a small child would"),
        "people": ("a child", "a little kid", "a small boy", "a little girl"),
    },
    "elderly": {
        "adverbs": ("feebly", "frailly"),
        "tails": (
            "like an old man", "like an old woman", "with a bent back", "as if very old",
            "like an elderly person", "with the stiffness of old age",
        ),
        "people": ("an old man", "an elderly person", "an old woman", "a grandfather", "an elderly lady"),
    },
    "exhausted": {
        "adverbs": ("wearily", "tiredly", "sluggishly"),
        "tails": ("without any energy", "in exhaustion", "as if exhausted", "out of breath",
            "as if very tired"),
        "people": ("a tired person", "an exhausted man", "a weary woman", "an exhausted person"),
    },
    "active": {
        "adverbs": ("energetically", "actively", "vigorously", "briskly"),
        "tails": ("full of energy", "with lots of energy", "in a lively way", "with great vigor"),
        "people": ("an energetic person", "an active man", "a lively woman"),
    },
    "youthful": {
        "adverbs": ("youthfully", "springily"),
        "tails": ("like a teenager", "in a youthful way", "like a young person", "with youthful energy",
                  "with a spring in the body"),
        "people": ("a young person", "a young man", "a young woman", "a teenager", "a youth"),
    },
    "musical": {
        "adverbs": ("theatrically", "rhythmically"),
        "tails": (
            "like an actor in a musical", "as if on a stage", "to a tune", "like a musical performer",
            "in the rhythm of a song", "as if dancing in a show",
        ),
        "people": ("a stage performer", "a musical actor", "a dancer"),
    },
    "giant": {
        "adverbs": ("heavily", "ponderously"),
        "tails": ("like a giant", "as if huge and heavy", "like a big monster", "with enormous weight",
                  "like a lumbering giant"),
        "people": ("a giant", "a huge heavy man", "an enormous person"),
    },
    "chimpira": {
        "adverbs": ("cockily", "insolently"),
        "tails": ("like a thug", "like a street punk", "with a tough swagger", "like a small-time gangster",
                  "in a rowdy way", "like a hoodlum"),
        "people": ("a thug", "a young hoodlum", "a street punk"),
    },
}  # fmt: skip
"""How it is done: adverbs stand before the verb or at the end, tails at the end, people are the subject."""

SUBJECTS: Final[tuple[tuple[str, str], ...]] = (
    ("a person", "their"), ("the person", "their"), ("someone", "their"), ("this person", "their"),
    ("a man", "his"), ("the man", "his"), ("he", "his"), ("a woman", "her"), ("the woman", "her"),
    ("she", "her"), ("a figure", "the"), ("the figure", "the"), ("somebody", "their"), ("a character", "the"),
)  # fmt: skip
"""Who does it, with the possessive that goes with it."""

DOUBLED: Final = frozenset(
    ("run", "jog", "step", "trot", "put", "cut", "hit", "jab", "spin", "bid", "sit", "get", "swim", "hop",
     "slip", "grab", "shrug", "stop", "chop", "drop", "skip", "rub", "scrub", "tip", "let", "cup")
)  # fmt: skip
"""Verbs that double their last letter before -ing."""

SWAPPED: Final[tuple[tuple[str, str], ...]] = (
    ("left", "right"), ("lefts", "rights"), ("leftward", "rightward"), ("leftwards", "rightwards"),
    ("leftmost", "rightmost"), ("lefthand", "righthand"), ("lefty", "righty"),
    ("leftie", "rightie"), ("clockwise", "counterclockwise"), ("clockwise", "anticlockwise"),
    ("clockwise", "counter-clockwise"), ("clockwise", "anti-clockwise"),
)  # fmt: skip
"""Words that change places when a motion is mirrored; of several partners the first is the one written."""
