"""Progress reports of long-running work."""


class Progress:
    """Interface of a progress listener; this base class ignores all reports.

    Work reports lines of text, and parts with steps: the bytes of a file, the epochs of
    a training. One part is open at a time.
    """

    def say(self, text: str) -> None:
        """Receive a line of text."""

    def start(self, label: str, total: int | None = None, *, unit: str = "") -> None:
        """Begin a part.

        Args:
            label: Name of the part.
            total: Number of steps, or None if unknown.
            unit: Unit of a step: ``B`` for bytes, ``epoch``.
        """

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Advance the open part, with a note on its state."""

    def within(self, share: float) -> None:
        """Receive the share of the open part's next step that is done."""

    def finish(self) -> None:
        """End the open part, if any; repeated calls have no effect."""
