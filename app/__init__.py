"""The Rightsize dashboard, its JSON interface and its command line."""
