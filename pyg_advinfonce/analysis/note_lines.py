"""What is to be borne in mind of a table of comparisons."""

from collections.abc import Mapping, Sequence


def note_lines(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """Return each note once, with the comparisons that it is of unless it is of all.

    Args:
        notes: The notes of every comparison, by its name.
    """
    lines = []
    for note in dict.fromkeys(note for own in notes.values() for note in own):
        names = [name for name, own in notes.items() if note in own]
        whose = "" if len(names) == len(notes) else f": {', '.join(names)}"
        lines.append(f"{note}{whose}")
    return lines
