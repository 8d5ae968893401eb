"""What ``torchrun`` says to the processes that it starts, without torch."""

import os


def is_launched() -> bool:
    """Whether ``torchrun`` has started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def is_first_process() -> bool:
    """Whether this process is the first one of its launch, or alone."""
    return not is_launched() or os.environ["RANK"] == "0"


def num_restarts() -> int:
    """Return how often ``torchrun --max-restarts`` has started this process again."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def launch_id() -> str:
    """Return what the starts and restarts of a launch have in common, else ''."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return ""
    return f"{os.environ['TORCHELASTIC_RUN_ID']} {os.getppid()}"
