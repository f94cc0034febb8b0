"""Brokenseal: who read the mail, which messages, since when, how sure that is, and what the logs cannot tell."""

__version__ = "0.1.0"
