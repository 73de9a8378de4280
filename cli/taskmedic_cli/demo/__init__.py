"""The demo: scenes played on the local cloud, and how they are told."""
