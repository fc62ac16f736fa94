"""From a config to a `ModelSpec`."""
