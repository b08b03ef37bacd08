"""Comparators: other ways to make an evidence map, in the same form as the mask engine's."""
