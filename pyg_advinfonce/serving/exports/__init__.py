"""One file format a module, each a function of the tables and a path."""
