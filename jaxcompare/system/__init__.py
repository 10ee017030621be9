"""What the machine offers: cores, memory, files. Standard library and platformdirs only; every folder may import it."""
