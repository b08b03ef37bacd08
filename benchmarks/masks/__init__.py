"""How good masks are and what they cost."""
