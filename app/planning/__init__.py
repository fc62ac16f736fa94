"""From a scenario or a question to plans: every way weighed, bought, ranked and explained. No Streamlit."""
