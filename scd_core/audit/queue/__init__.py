"""The drawn list of what to label next."""
