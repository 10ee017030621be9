"""What trains with what: programs, their tiles, data on the host, cadence of measurements, memory.

`engine` trains what `planning` lays out. May be imported by `execution`, `tensorboard` and the commands.
"""
