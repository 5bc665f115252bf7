"""The one exception class of the library's own."""


class SourceError(ValueError):
    """A source of ELMo weights cannot be found, read or trusted.

    The message names the source, what was expected, what was found and what to
    do. Nothing has been loaded and nothing half-written is left behind when it is
    raised.
    """
