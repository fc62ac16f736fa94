"""One measurement from the queue to the store, on this machine or a cluster."""
