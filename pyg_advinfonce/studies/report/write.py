"""The HTML report of a run or a study."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pyg_advinfonce.files import check_replaceable, output_file
from pyg_advinfonce.runs import read_run
from pyg_advinfonce.studies.paper.figures import styled
from pyg_advinfonce.studies.report.pages import comparison_page, run_page, study_page
from pyg_advinfonce.studies.report.read import is_study, read_study
from pyg_advinfonce.version import __version__

FOLDER = Path(__file__).parent
MARK = '<meta name="generator" content="advnce'


@styled
def write_report(
    folder: Path | str,
    out: Path | str | None = None,
    *,
    root: Path | str | None = None,
    cache_dir: Path | str | None = None,
) -> Path:
    """Write a self-contained page without scripts; return its path.

    Args:
        folder: The folder of a run, a seed or a study.
        out: The file (default: ``report.html`` in the folder); an earlier report is
            replaced.
        root: The folder of the data sets; without its data a run's report omits the
            figures by popularity and activity.
        cache_dir: The folder of processed data.

    Raises:
        CheckpointError: If the folder holds neither a run nor a study, or a file is
            damaged.
        ConfigError: If ``out`` is a file of another kind, or cannot be written.
        MissingExtraError: If matplotlib is not installed.

    Warns:
        UserWarning: If a figure is omitted.
    """
    folder = Path(folder)
    out = None if out is None else Path(out)
    root = None if root is None else Path(root)
    cache_dir = None if cache_dir is None else Path(cache_dir)
    out = out or folder / "report.html"
    check_replaceable(out, "report of advnce", MARK)
    if is_study(folder):
        page = render("study.html.jinja", study_page(read_study(folder), folder))
    else:
        seeds = read_run(folder, partly=True)
        values = run_page(seeds, root=root, cache_dir=cache_dir)
        for missing in filter(None, (values["missing"], values["no_groups"])):
            warnings.warn(f"omitted: {missing}", stacklevel=2)
        page = render("run.html.jinja", values)
    with output_file(out) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return out


@styled
def write_comparison(
    folders: Sequence[Path | str], out: Path | str | None = None
) -> Path:
    """Write one page about several runs on the same data; return its path.

    Args:
        folders: The folders of at least two runs; the others are compared with the
            first.
        out: The file (default: ``report.html`` beside the first run); an earlier
            report is replaced.

    Raises:
        CheckpointError: If a folder holds no finished run.
        ConfigError: If the runs cannot be compared, or ``out`` is a file of another
            kind or cannot be written.
        MissingExtraError: If matplotlib is not installed.
    """
    runs = [Path(folder) for folder in folders]
    out = runs[0].resolve().parent / "report.html" if out is None else Path(out)
    check_replaceable(out, "report of advnce", MARK)
    page = render("comparison.html.jinja", comparison_page(runs))
    with output_file(out) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return out


def render(name: str, values: dict[str, object]) -> str:
    """Fill a template of this folder; values are escaped unless they are markup."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(version=__version__, **values)
