"""Training: one step and one segment of ONE replica; `sweep` vmaps and compiles MANY. No I/O, no config."""
