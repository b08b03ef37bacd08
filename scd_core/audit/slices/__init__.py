"""The table `error_slices`: which slices err more than they should."""
