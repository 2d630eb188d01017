"""The side bar: is the gateway well, which model judges, how to read a verdict."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from services.ui.results import connected
from services.ui.words import HOW_TO_READ
from shared.client.config import ClientConfig
from shared.client.errors import ClientError
from shared.contracts.wire.jobs import Health

# Seconds a health answer is shown again: reruns are many, and each would ask.
_FRESH_SECONDS = 5

_STATUS = {
    "ok": (":green[●]", "Ready"),
    "degraded": (":orange[●]", "Ready, but verdicts may be late"),
    "unavailable": (":red[●]", "Takes no photos now"),
    "unreachable": (":red[●]", "Not reachable"),
}


@st.cache_data(ttl=_FRESH_SECONDS, show_spinner=False, max_entries=16)
def _health(url: str, _api_key: str) -> Health | str:
    """Return the gateway's health, or why it cannot be told."""
    try:
        with connected(ClientConfig(url, _api_key)) as client:
            return client.health()
    except ClientError as error:
        return str(error)


def show(config: ClientConfig) -> DeltaGenerator:
    """Draw the side bar; returns the empty place of the model's version, for `show_model`."""
    with st.sidebar:
        st.subheader("Gateway")
        _show_health(_health(config.url, config.api_key))
        st.caption(f"`{config.url}`")
        if st.button("Check again", key="check_again"):
            _health.clear()
            st.rerun()
        st.subheader("Model")
        place = st.empty()
        st.subheader("How to read a verdict")
        st.markdown(HOW_TO_READ)
    return place


def show_model(place: DeltaGenerator, version: str | None) -> None:
    """Name the model that gave the verdicts on the page."""
    if version is None:
        place.caption("Named with the first verdict.")
    else:
        place.text(version)


def _show_health(health: Health | str) -> None:
    dot, text = _STATUS["unreachable" if isinstance(health, str) else health.status]
    st.markdown(f"{dot} **{text}**")
    if isinstance(health, str):
        st.caption(health)
        return
    for name, check in health.checks.items():
        if check.status != "ok":
            st.caption(f"{name}: {check.detail or check.status}")
    if health.version:
        st.caption(f"Version {health.version}")
