"""trapaudit's library: everything that looks at pixels or at tables, and nothing that knows Prefect."""

__version__ = "0.2.0"
