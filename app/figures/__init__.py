"""Results as plotly figures. Pure."""
