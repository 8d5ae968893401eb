"""Whether two results differ by more than chance."""
