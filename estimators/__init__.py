"""Sizes, speeds and quality of language models, from their configuration alone. Pure; no pricing, no Streamlit."""
