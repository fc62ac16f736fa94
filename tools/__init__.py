"""What only maintainers run: commands that add rows to the facts tables, or build a table anew from its source."""
