"""Recognising that memory ran out."""


def is_out_of_memory(error: BaseException) -> bool:
    """Tell what Python, CUDA and torch's allocator for the CPU raise from the rest."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or any(w in str(error) for w in words)
