"""Which training choice is better, by how much, and why? Honest comparisons, trained as one vmapped JAX program."""

__version__ = "0.1.0"
