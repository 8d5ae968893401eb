"""Methods: an encoder and an objective, put together by name."""
