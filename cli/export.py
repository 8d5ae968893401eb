"""``advnce export``: a trained run's embeddings as one file."""

from pathlib import Path

import typer

from .options import (
    CacheDir,
    CustomLoss,
    CustomModel,
    DataRoot,
    Device,
    Threads,
    import_custom,
    use_threads,
)


def export(
    run: Path = typer.Argument(
        help="A run's folder, or the folder of one of its seeds if it has several."
    ),
    out: Path = typer.Option(
        help="The file to write; an existing one is replaced.", show_default=False
    ),
    to: str | None = typer.Option(
        None,
        metavar="safetensors|npz|parquet|faiss|onnx",
        help="The format (default: the suffix of --out).",
    ),
    card: bool = typer.Option(
        False,
        "--card",
        help="Also write a model card for a model hub, README.md in the folder of "
        "--out.",
    ),
    data_root: Path = DataRoot,
    cache_dir: Path | None = CacheDir,
    device: str = Device,
    threads: int | None = Threads,
    model: str | None = CustomModel,
    loss: str | None = CustomLoss,
) -> None:
    """Write embeddings whose dot products rank as one file."""
    from pyg_advinfonce.runs import trained_seed

    trained_seed(run)  # an error comes before torch is imported
    from pyg_advinfonce.runs import card_path, load_run, write_card
    from pyg_advinfonce.serving import find_format

    use_threads(threads)
    find_format(out, to)
    if card:
        card_path(out)  # an error comes before the file is written
    custom = import_custom(model=model, loss=loss)
    trained = load_run(
        run, root=data_root, cache_dir=cache_dir, device=device, **custom
    )
    typer.echo(trained.export(out, to))
    if card:
        typer.echo(write_card(run, out, root=data_root))
