"""How the page tells that a call failed."""

import streamlit as st

from shared.client.errors import ClientError, GatewayUnreachable, ProblemResponse


def show_error(error: ClientError, absent: str = "job") -> None:
    """Show `error`; `absent` is what a 404 says that there is none of."""
    if isinstance(error, GatewayUnreachable):
        st.error("**The gateway is not reachable.** Try again in a moment.")
    elif isinstance(error, ProblemResponse) and error.refuses_key:
        st.error("**The gateway refused this page's key.**")
    elif isinstance(error, ProblemResponse) and error.status == 404:
        st.warning(f"**There is no such {absent}**, or it belongs to another tenant.")
        return
    elif isinstance(error, ProblemResponse):
        st.error(f"**{error.problem.title}.**")
    else:
        st.error("**That did not work.**")
    st.text(str(error))
