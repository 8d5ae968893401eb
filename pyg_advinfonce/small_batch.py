"""Batches of little data."""


def small_batch(num_pairs: int) -> int:
    """Return a batch size, a power of two, of which so few train pairs fill some.

    Four to seven, but a batch has two pairs at least, to contrast with one another.
    """
    return min(num_pairs, int(2 ** max(1, num_pairs.bit_length() - 3)))
