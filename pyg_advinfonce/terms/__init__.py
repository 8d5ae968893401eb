"""Terms: the parts of an objective."""
