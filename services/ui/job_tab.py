"""One job: found by its id, and shown with its photos."""

from uuid import UUID

import streamlit as st

from services.ui import cards, lookup, results
from services.ui.errors import show_error
from services.ui.results import Result
from shared.client.config import ClientConfig
from shared.client.errors import ClientError
from shared.contracts.page_links import JOB
from shared.contracts.wire.jobs import Job

# Where the session keeps the Result that was looked up.
PLACE = "looked_up"


def show(config: ClientConfig) -> None:
    """Draw the tab; opens the job that the page's address names."""
    hint = "The id is shown under every result, and `detector submit --no-wait` prints it."
    if job_id := lookup.asked_for(JOB, PLACE, hint):
        _read(config, job_id, PLACE)
    if PLACE in st.session_state:
        show_result(config, PLACE)


def _read(config: ClientConfig, job_id: UUID, place: str) -> None:
    known: Result | None = st.session_state.get(place)
    try:
        with results.connected(config) as client:
            result = results.read(client, job_id, known.previews if known else ())
    except ClientError as error:
        show_error(error)
    else:
        st.session_state[place] = result


def show_result(config: ClientConfig, place: str) -> None:
    """Draw the result that the session keeps under `place`."""
    result: Result = st.session_state[place]
    if result.job is None:
        st.error("**None of these files can be judged.** Each card says why.")
    elif result.finished:
        st.html(cards.banner(result.job))
    else:
        st.info("**Not finished yet.** The photos are safe and will be judged.")
        if st.button("Look again", key=f"again_{place}"):
            _read(config, result.job.id, place)
            st.rerun()
    st.html(cards.grid(result.cards))
    if result.job is not None:
        st.caption(f"Job `{result.job.id}`, {result.job.created_at:%Y-%m-%d %H:%M:%S} UTC")
    with st.container(horizontal=True):
        if result.job is not None:
            _download_button(result.job, place)
        if place == "result" and st.button("Start over", key="start_over"):
            _start_over()


def _download_button(job: Job, place: str) -> None:
    st.download_button(
        "Download as JSON",
        job.model_dump_json(indent=2),
        file_name=f"job-{job.id}.json",
        mime="application/json",
        key=f"download_{place}",
    )


def _start_over() -> None:
    for name in ("result", "fingerprint"):
        st.session_state.pop(name, None)
    st.session_state["form"] = st.session_state.get("form", 0) + 1
    st.rerun()
