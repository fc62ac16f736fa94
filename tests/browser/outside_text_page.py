"""A page of hostile text, as it is and as our pages show it; run by Streamlit."""

import plotly.graph_objects as go
import streamlit as st

from app.text import in_code, in_figure, in_markdown
from tests.hostile import PAYLOADS

for number, text in enumerate(PAYLOADS):
    with st.container(key=f"raw_{number}"):
        st.markdown(text)
    with st.container(key=f"words_{number}"):
        st.markdown(in_markdown(text))
    with st.container(key=f"listed_{number}"):
        st.markdown(f"- {in_markdown(text)}")
    with st.container(key=f"bold_{number}"):
        st.markdown(f"**{in_markdown(text)}**")
    with st.container(key=f"code_{number}"):
        st.markdown(in_code(text))
    with st.container(key=f"button_{number}"):
        st.button(in_markdown(text), key=f"press_{number}")
with st.container(key="figure"):
    figure = go.Figure(go.Bar(x=[in_figure(text) for text in PAYLOADS], y=[1] * len(PAYLOADS)))
    figure.update_xaxes(title=in_figure(PAYLOADS[10]), tickangle=90)
    st.plotly_chart(figure)
with st.container(key="footer"):
    st.caption("The end.")
