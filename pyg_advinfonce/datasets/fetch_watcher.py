"""Whom a download tells how it goes."""


class FetchWatcher:
    """Told of everything that is fetched; this one says nothing."""

    def say(self, text: str) -> None:
        """Pass a line on to a person."""

    def start(self, file: str, size: int | None) -> None:
        """Take note of a file that begins, and its size in bytes where it is known."""

    def receive(self, num_bytes: int) -> None:
        """Take note of so many bytes of that file."""

    def finish(self) -> None:
        """Take note of that file's end, be it good or bad."""
