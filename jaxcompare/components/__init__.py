"""What can be compared: activations, losses, optimizers and schedules, precisions, networks."""
