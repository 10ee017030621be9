"""What trains with what: programs, tiles, data on the host, memory."""
