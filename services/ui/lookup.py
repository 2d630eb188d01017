"""The field in which an id is looked up; the page's address can lead to one as well."""

from uuid import UUID

import streamlit as st

from shared.contracts.page_links import JOB, PHOTO

_LONGEST = 64


def asked_for(name: str, place: str, hint: str) -> UUID | None:
    """Draw the field; return the id that is newly asked for, in the field or by the address.

    `name` is JOB or PHOTO. What the session keeps under `place` is given up for the new one; while
    nothing is there and nothing is asked for, `hint` says where ids are found.
    """
    linked = _newly_linked(name)
    if linked is not None:
        st.session_state[f"{name}_id"] = linked
    with st.form(f"lookup_{name}", border=False):
        text = st.text_input(
            f"{name.capitalize()} id",
            placeholder="01a2b3c4-…",
            max_chars=_LONGEST,
            key=f"{name}_id",
        )
        asked = st.form_submit_button(f"Show {name}")
    if not asked and linked is None:
        if place not in st.session_state:
            st.caption(hint)
        return None
    st.session_state.pop(place, None)
    try:
        found = UUID(text.strip())
    except ValueError:
        st.warning(f"A {name} id has 32 hexadecimal digits, such as 01a2b3c4-….")
        return None
    _set_link(name, found)
    return found


def _newly_linked(name: str) -> str | None:
    """Return what the address names, once a session; afterwards the page is where people go."""
    linked = st.query_params.get(name, "")[:_LONGEST]
    if not linked or st.session_state.get(f"opened_{name}") == linked:
        return None
    st.session_state[f"opened_{name}"] = linked
    return linked


def _set_link(name: str, shown: UUID) -> None:
    """Let the address lead to what is shown."""
    for other in {JOB, PHOTO} - {name}:
        st.query_params.pop(other, None)
    st.session_state[f"opened_{name}"] = st.query_params[name] = str(shown)
