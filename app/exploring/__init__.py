"""What is built on plans: comparisons and recommendations. No Streamlit."""
