"""The page's address, which can be shared: `?job=ID` and `?photo=ID` open what they name."""

from uuid import UUID

import streamlit as st

JOB = "job"
PHOTO = "photo"
# Characters of an id's field.
LONGEST = 64


def newly_linked(name: str) -> str | None:
    """Return what the address names, once a session; afterwards the page is where people go."""
    linked = st.query_params.get(name, "")[:LONGEST]
    if not linked or st.session_state.get(f"opened_{name}") == linked:
        return None
    st.session_state[f"opened_{name}"] = linked
    return linked


def set_link(name: str, shown: UUID) -> None:
    """Let the address lead to what is shown."""
    for other in {JOB, PHOTO} - {name}:
        st.query_params.pop(other, None)
    st.session_state[f"opened_{name}"] = st.query_params[name] = str(shown)


def photo_link(photo: UUID) -> str:
    """Return the address of a photo, relative to the page's."""
    return f"?{PHOTO}={photo}"
