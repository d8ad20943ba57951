"""Numbers -> figure: pure functions, tested without Streamlit."""
