"""What large audits cost."""
