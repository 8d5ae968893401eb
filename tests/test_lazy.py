from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

import pytest

from pyg_advinfonce import config, datasets, runs
from pyg_advinfonce.datasets import base, published
from pyg_advinfonce.lazy import lazy_names


def test_a_name_is_imported_when_it_is_used():
    get, names = lazy_names("pyg_advinfonce.config", {"PRESETS": "presets"})
    assert get("PRESETS") is config.PRESETS
    assert "PRESETS" in names()
    with pytest.raises(AttributeError, match=r"config' has no attribute 'PRESET'"):
        get("PRESET")


@pytest.mark.parametrize("face", [config, datasets, base, published, runs])
def test_no_module_hides_a_name_of_its_package(face):
    for module in iter_modules(face.__path__):
        import_module(f"{face.__name__}.{module.name}")
    assert [n for n in face.__all__ if isinstance(getattr(face, n), ModuleType)] == []
    assert set(face.__all__) <= set(dir(face))
