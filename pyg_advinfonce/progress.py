"""Progress of long work, reported to a listener."""


class Progress:
    """A listener to long work; this one shows nothing.

    Work reports lines, and parts that are done step by step: a file in bytes, a
    training in epochs. One part is open at a time. Subclasses show them.
    """

    def say(self, text: str) -> None:
        """Receive a line."""

    def start(self, label: str, total: int | None = None, *, unit: str = "") -> None:
        """Begin a part.

        Args:
            label: What is done.
            total: The number of steps, None if it is not known.
            unit: What a step is: ``B`` for bytes, ``epoch``.
        """

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count steps of the open part, with a note on its state."""

    def finish(self) -> None:
        """End the open part, if there is one; it may be called twice."""
