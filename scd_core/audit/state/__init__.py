"""What reports keep for the next one."""
