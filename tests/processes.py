"""Programs in several processes that know each other, as ``torchrun`` starts them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECONDS = 300


def start(size, *words, **environment):
    """Start a program ``size`` times; one process alone is a plain one.

    Args:
        size: Number of processes.
        *words: Arguments of Python.
        **environment: Further environment variables.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = []
    for rank in range(size):
        own = {
            **{k: v for k, v in os.environ.items() if not k.startswith("TORCHELASTIC")},
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "WORLD_SIZE": str(size),
            "RANK": str(rank),
            **environment,
        }
        found.append(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", *map(str, words)],
                env=own,
                cwd=ROOT,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
    return found


def wait(processes, seconds=SECONDS):
    """Wait until all end, and return code, output and errors of each."""
    found = []
    try:
        for process in processes:
            out, err = process.communicate(timeout=seconds)
            found.append((process.returncode, out, err))
    finally:
        for process in processes:
            process.kill()
    return found


def run(size, *words, **environment):
    """Run a program in ``size`` processes that must succeed."""
    found = wait(start(size, *words, **environment))
    assert all(code == 0 for code, _, _ in found), found
    return found
