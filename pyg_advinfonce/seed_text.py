"""Seeds in few words."""

from collections.abc import Iterable


def seed_text(seeds: Iterable[int]) -> str:
    """Return ``0-4, 7`` for the seeds 0, 1, 2, 3, 4 and 7."""
    spans: list[list[int]] = []
    for seed in sorted(seeds):
        if spans and spans[-1][1] == seed - 1:
            spans[-1][1] = seed
        else:
            spans.append([seed, seed])
    return ", ".join(f"{a}-{b}" if a < b else f"{a}" for a, b in spans)
