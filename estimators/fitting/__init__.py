"""What only maintainers run: fits, cross-validation and the records the Accuracy page reads."""
