"""Doing it: training, caches, the run folder, devices, progress, tables."""
