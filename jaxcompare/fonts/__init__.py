"""Letters that are shipped with the package: files only, and `subset`, which made them."""
