"""The database that the stores share: its schema, and what one transaction is. Below `pricing` and `estimators`."""
