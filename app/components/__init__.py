"""Small pieces of the page that Streamlit has no widget for."""
