"""What a division was made from, and how: two equal recipes give equal splits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Recipe:
    """How splits are made.

    Args:
        source: The sha256 of each file they are made from, by what it holds.
        options: All that decides the outcome, in what JSON has.
    """

    source: Mapping[str, str]
    options: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """The start of the recipe's sha256."""
        text = json.dumps(self.as_dict(), sort_keys=True)
        return sha256(text.encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "format": FORMAT_VERSION,
            "source": dict(self.source),
            "options": dict(self.options),
        }
