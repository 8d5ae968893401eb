"""Data sets: folders of split files, tables, and a simulator that needs no file."""
