"""One HTML file about a run or a study."""

import warnings
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pyg_advinfonce.files import check_replaceable, output_file
from pyg_advinfonce.runs import read_run
from pyg_advinfonce.studies.paper.figures import styled
from pyg_advinfonce.studies.report.pages import run_page, study_page
from pyg_advinfonce.studies.report.read import is_study, read_study
from pyg_advinfonce.version import __version__

FOLDER = Path(__file__).parent
MARK = '<meta name="generator" content="advnce'


@styled
def write_report(
    folder: Path,
    out: Path | None = None,
    *,
    root: Path = Path("data"),
    cache_dir: Path | None = None,
) -> Path:
    """Write a page that needs no network, script or other file; return its path.

    Args:
        folder: A run's folder, one seed's, or a study's.
        out: The file (default: ``report.html`` in the folder); an earlier report there
            is replaced.
        root: Where the data sets lie; a run's figure of hardness by popularity is left
            out where its data is not found.
        cache_dir: Where processed data is kept.

    Raises:
        CheckpointError: If the folder holds neither, or a file is damaged.
        ConfigError: If ``out`` is another kind of file, or cannot be written.
        MissingExtraError: If matplotlib is not installed.

    Warns:
        UserWarning: If a figure is left out.
    """
    out = out or folder / "report.html"
    check_replaceable(out, "report of advnce", MARK)
    if is_study(folder):
        page = render("study.html.jinja", study_page(read_study(folder), folder))
    else:
        seeds = read_run(folder, partly=True)
        values = run_page(seeds, root=root, cache_dir=cache_dir)
        if values["missing"]:
            warnings.warn(f"left out: {values['missing']}", stacklevel=2)
        page = render("run.html.jinja", values)
    with output_file(out) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return out


def render(name: str, values: dict[str, object]) -> str:
    """Fill a template of this folder; every value is escaped unless it is markup."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(version=__version__, **values)
