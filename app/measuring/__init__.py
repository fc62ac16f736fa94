"""Measurements started, kept and laid beside the estimates; the accuracy tables. No Streamlit."""
