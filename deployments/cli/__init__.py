"""The command `trapaudit`."""
