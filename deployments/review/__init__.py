"""The review's server: one local page, its pictures and its JSON interface."""
