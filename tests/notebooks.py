"""Execution of the notebooks in docs/notebooks.

``python -m tests.notebooks`` writes their outputs again.
"""

import signal
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs/notebooks").glob("*.ipynb"))
SIGNALS = (signal.SIGINT, signal.SIGTERM)
UNSTABLE = "application/vnd.jupyter.widget-view+json"


def executed(path: Path, folder: Path) -> NotebookNode:
    """Run a notebook in a folder; return it without progress bars and times."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(
        notebook,
        timeout=300,
        resources=resources,
        record_timing=False,
        coalesce_streams=True,
    )
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        client.execute()
    finally:  # it keeps its own, which ignore Ctrl-C
        for number, handler in handlers.items():
            signal.signal(number, handler)
    notebook.metadata.pop("language_info", None)  # the version of Python
    for cell in notebook.cells:
        cell.metadata.clear()
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _is_stable(output)]
    return notebook


def _is_stable(output: NotebookNode) -> bool:
    return output.get("name") != "stderr" and UNSTABLE not in output.get("data", {})


if __name__ == "__main__":
    for path in NOTEBOOKS:
        with tempfile.TemporaryDirectory() as folder:
            text = nbformat.writes(executed(path, Path(folder)))
        path.write_text(f"{text}\n", encoding="utf-8")
