"""Individuals of an audit over the seasons: known ones, and candidates for new ones."""
