"""The exceptions a user can meet: each message is one line saying what, where, got, allowed and the cure."""


class CollageError(Exception):
    """Any failure caused by an input from outside; the command line prints it and exits with 2."""


class PlanError(CollageError):
    """A plan, a prompt or a duration that cannot be used."""


class GraphError(CollageError):
    """A factor graph whose regions do not fit together."""


class ModelError(CollageError):
    """A model, a checkpoint, a card or a text encoder that is missing, broken or does not fit."""


class DataError(CollageError):
    """A motion-capture file, an archive or a prepared data file that cannot be read."""


class OutputError(CollageError):
    """An output that cannot be written: unknown suffix, existing file, folder in the way, full disk."""
