"""A Streamlit app with one slider and nothing else: what a rerun costs at the least."""

import streamlit as st

st.select_slider("Step", options=list(range(100)), key="cursor")
