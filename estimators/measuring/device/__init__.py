"""Measuring on an attached device: the worker and what it times."""
