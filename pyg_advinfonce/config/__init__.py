"""Configuration: settings, presets and options.

Names are imported on first use, so that presets load neither pydantic nor torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyg_advinfonce.config.config import (
        NAMED,
        Config,
        Sections,
        Train,
        check_loader,
        flatten,
        packaged,
        paper_numbers,
        parse_assignment,
        read_toml,
        settings_text,
        unflatten,
    )
    from pyg_advinfonce.config.options import (
        FROM_TRAIN,
        loss_target,
        model_targets,
        set_by_train,
        setting_values,
        settings,
    )
    from pyg_advinfonce.config.presets import PRESETS

_HOME = {
    "Config": "config",
    "FROM_TRAIN": "options",
    "NAMED": "config",
    "PRESETS": "presets",
    "Sections": "config",
    "Train": "config",
    "check_loader": "config",
    "paper_numbers": "config",
    "packaged": "config",
    "parse_assignment": "config",
    "read_toml": "config",
    "flatten": "config",
    "loss_target": "options",
    "model_targets": "options",
    "set_by_train": "options",
    "setting_values": "options",
    "settings": "options",
    "settings_text": "config",
    "unflatten": "config",
}

__all__ = [
    "FROM_TRAIN",
    "NAMED",
    "PRESETS",
    "Config",
    "Sections",
    "Train",
    "check_loader",
    "flatten",
    "loss_target",
    "model_targets",
    "packaged",
    "paper_numbers",
    "parse_assignment",
    "read_toml",
    "set_by_train",
    "setting_values",
    "settings",
    "settings_text",
    "unflatten",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
