"""How well the audit finds planted errors."""
