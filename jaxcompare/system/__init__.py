"""What the machine offers: cores, memory, files. Standard library only."""
