"""Which training choice is better, by how much, and why? Honest comparisons, trained as one vmapped JAX program.

Import what you need: `jaxcompare.compare.compare(config)` trains a whole comparison and returns its tables;
`jaxcompare.train.make_train_step` is one replica's pure step, `jaxcompare.sweep.make_step` the jitted step of many. Importing
the package itself imports nothing else.
"""

__version__ = "0.1.0"
