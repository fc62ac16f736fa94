"""Measuring a running server, and reading reports of others."""
