"""Live prices from AWS: the only package that imports boto3, and only once a price is asked for."""
