"""The paper's figures: what they show as a table, and a drawing of it.

Each module has a function that trains and returns a tidy table, ``draw``, which turns
such a table into a figure, and ``reproduce``, which does both and writes PNG, SVG and
CSV. Drawing needs matplotlib (extra ``[plot]``).
"""
