"""The warning for data that can be used but should be looked at."""


class DataWarning(UserWarning):
    """Data is usable, but is not what its name or its files promise."""
