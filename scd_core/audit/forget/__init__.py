"""Forgetting pictures: what of an audit is meant, and its removal."""
