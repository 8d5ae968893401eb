"""Data sets: folders of split files, and a simulator that needs no file."""
