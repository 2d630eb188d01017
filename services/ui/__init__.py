"""The web page for people (Streamlit). Speaks only HTTP to the gateway."""
