"""Configuration: settings, presets and options.

Names are imported on first use, so that presets load neither pydantic nor torch.
"""

from typing import TYPE_CHECKING

from pyg_advinfonce.lazy import lazy_names

if TYPE_CHECKING:
    from pyg_advinfonce.config.config import (
        IN_MEMORY,
        NAMED,
        Config,
        Sections,
        Train,
        check_loader,
        flatten,
        is_same_data_name,
        packaged,
        paper_numbers,
        parse_assignment,
        read_toml,
        settings_text,
        unflatten,
    )
    from pyg_advinfonce.config.options import (
        FROM_TRAIN,
        check_keys,
        loss_target,
        model_targets,
        set_by_train,
        setting_values,
        settings,
        settings_toml,
    )
    from pyg_advinfonce.config.presets import PRESETS

_HOME = {
    "Config": "config",
    "FROM_TRAIN": "options",
    "IN_MEMORY": "config",
    "NAMED": "config",
    "PRESETS": "presets",
    "Sections": "config",
    "Train": "config",
    "check_keys": "options",
    "check_loader": "config",
    "paper_numbers": "config",
    "packaged": "config",
    "parse_assignment": "config",
    "read_toml": "config",
    "flatten": "config",
    "is_same_data_name": "config",
    "loss_target": "options",
    "model_targets": "options",
    "set_by_train": "options",
    "setting_values": "options",
    "settings": "options",
    "settings_text": "config",
    "settings_toml": "options",
    "unflatten": "config",
}

__all__ = [
    "FROM_TRAIN",
    "IN_MEMORY",
    "NAMED",
    "PRESETS",
    "Config",
    "Sections",
    "Train",
    "check_keys",
    "check_loader",
    "flatten",
    "is_same_data_name",
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
    "settings_toml",
    "unflatten",
]


__getattr__, __dir__ = lazy_names(__name__, _HOME)
