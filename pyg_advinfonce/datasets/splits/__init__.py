"""Ways to divide interactions into train, valid and test, and the folder they go to."""
