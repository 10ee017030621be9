"""What is asked: names, settings, the parser of configs, overrides, claims, errors. Standard library only."""
