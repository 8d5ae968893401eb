"""Batches of little data."""


def small_batch(num_pairs: int) -> int:
    """Return a batch size, a power of two, of which so few train pairs fill four."""
    return int(2 ** max(0, num_pairs.bit_length() - 3))
