"""Whether data are those of a training."""

from pathlib import Path

from pyg_advinfonce.errors import CheckpointError


def check_data(what: Path, trained_on: str, found: str) -> None:
    """Compare the data that something was trained on with what is there, in a line.

    Raises:
        CheckpointError: If they differ.
    """
    if trained_on != found:
        raise CheckpointError(
            f"{what} was trained on other data: {trained_on}; found {found}"
        )
