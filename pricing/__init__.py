"""What machines cost: offers from AWS or owned hardware, and the arithmetic of a month."""
