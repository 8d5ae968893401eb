"""Builders of the published data sets from what their owners publish."""
