"""Under which terms a data set may be used."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """The terms of a data set's owners, as far as they are known.

    Args:
        licence: What is allowed, in one line.
        owner: The address where the owners describe the data.
        redistributable: Whether anybody may pass the data on. If not, a person has to
            accept the terms by name before the data is fetched.
        advice: What else a person should know first.
    """

    licence: str = "no licence is stated"
    owner: str = ""
    redistributable: bool = False
    advice: str = ""

    def __str__(self) -> str:
        owner = f" ({self.owner})" if self.owner else ""
        advice = f". {self.advice}" if self.advice else ""
        return f"{self.licence}{owner}{advice}"
