import os
from collections.abc import Callable
from pathlib import Path

import pytest

MakeFolder = Callable[..., Path]


@pytest.fixture(autouse=True)
def user_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the tests out of the user's own cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    return tmp_path / "user-cache" / "pyg_advinfonce"


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Write split files into a folder under a root, e.g. ``train="0 1 2"``."""

    def make(name: str = "root/toy", **texts: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        for stem, text in texts.items():
            (folder / f"{stem}.txt").write_bytes(text.encode())
        return folder

    return make


@pytest.fixture
def toy(make_folder: MakeFolder) -> Path:
    """The root over a folder ``toy`` of three users and four items."""
    return make_folder(
        train="0 0 1\n1 1 2\n2 3\n", valid="0 2\n1 0\n", test="0 3\n2 0\n"
    ).parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = os.environ.get("ADVNCE_TEST_DATA")
    if not folder:
        pytest.skip("ADVNCE_TEST_DATA does not name a folder of real data")
    return Path(folder)
