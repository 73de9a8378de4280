"""Runbooks: their models, how they are loaded, and how their text is completed."""
