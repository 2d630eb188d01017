"""The page: choose photos, see verdicts, look up a job. Run with `streamlit run`."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

import streamlit as st

from services.ui import cards, results, sidebar
from services.ui.results import Result, Upload
from services.ui.sample_photos import SamplePhoto, load_samples
from shared.client.config import ClientConfig, load_client_config
from shared.client.errors import (
    ClientError,
    ClientNotConfigured,
    GatewayUnreachable,
    ProblemResponse,
)
from shared.contracts.wire import Job

MAX_PHOTOS = 64
_TYPES = ["jpg", "jpeg", "png", "webp", "gif", "avif"]


def main() -> None:
    """Draw the page; Streamlit calls this again after every click."""
    st.set_page_config(page_title="Product photo check", page_icon="🔎", layout="wide")
    st.title("Product photo check")
    st.markdown("Is a listing photo a real photo, or was it made by an image generator?")
    try:
        config = load_client_config()
    except ClientNotConfigured as error:
        st.error(f"**This page does not work yet:** {error}")
        return
    model_place = sidebar.show(config)
    check_tab, lookup_tab = st.tabs(["New check", "Look up a job"])
    with check_tab:
        _check_tab(config)
    with lookup_tab:
        _lookup_tab(config)
    sidebar.show_model(model_place, _model_version())


def _check_tab(config: ClientConfig) -> None:
    # The key of the form changes with "Start over", which empties its uploader.
    with st.form(f"photos_{st.session_state.get('form', 0)}", border=False):
        files = st.file_uploader(
            f"Photos of one listing (up to {MAX_PHOTOS}, 20 MB each)",
            type=_TYPES,
            accept_multiple_files=True,
        )
        left, right = st.columns(2)
        listing_id = left.text_input("Listing id (optional)", max_chars=200)
        category = right.text_input("Category (optional)", max_chars=200)
        sent = st.form_submit_button("Check photos", type="primary")
    samples = _samples()
    samples_wanted = bool(samples) and _sample_button(samples)
    if sent:
        uploads = [Upload(file.name, file.getvalue()) for file in files]
        _submit(config, uploads, listing_id.strip(), category.strip())
    elif samples_wanted:
        _submit(config, [Upload(sample.name, sample.content) for sample in samples], "", "")
    if "result" in st.session_state:
        _show_result(config, "result")
    elif samples:
        _show_samples(samples)


@st.cache_data(show_spinner=False)
def _samples() -> list[SamplePhoto]:
    return load_samples()[:MAX_PHOTOS]


def _sample_button(samples: Sequence[SamplePhoto]) -> bool:
    return st.button(f"Try {len(samples)} sample photos", key="try_samples")


def _show_samples(samples: Sequence[SamplePhoto]) -> None:
    with st.expander("Where the sample photos come from"):
        lines = [
            f"- `{sample.name}`: {_truth(sample)}, {sample.licence}, {sample.attribution}"
            for sample in samples
        ]
        st.markdown("\n".join(lines))


def _truth(sample: SamplePhoto) -> str:
    return f"generated ({sample.generator})" if sample.label == "ai_generated" else "real photo"


def _submit(
    config: ClientConfig, uploads: Sequence[Upload], listing_id: str, category: str
) -> None:
    """Send the photos once; the result stays in the session, and its job in the address."""
    if not uploads:
        st.warning("Choose at least one photo first.")
        return
    if len(uploads) > MAX_PHOTOS:
        st.warning(f"At most {MAX_PHOTOS} photos at a time; {len(uploads)} are chosen.")
        return
    fingerprint = _fingerprint(uploads, listing_id, category)
    if st.session_state.get("fingerprint") == fingerprint and "result" in st.session_state:
        return  # the same click again: a double click, or a rerun that repeats it
    bar = st.progress(0.0, text=f"Sending {len(uploads)} photos …")

    def progress(done: int) -> None:
        bar.progress(done / len(uploads), text=f"{done} of {len(uploads)} photos judged")

    try:
        with results.connected(config) as client:
            result = results.check(client, uploads, listing_id or None, category or None, progress)
    except ClientError as error:
        st.session_state.pop("result", None)
        _show_error(error)
        return
    finally:
        bar.empty()
    st.session_state["result"] = result
    st.session_state["fingerprint"] = fingerprint


def _fingerprint(uploads: Sequence[Upload], listing_id: str, category: str) -> str:
    digest = hashlib.sha256(repr((listing_id, category)).encode())
    for upload in uploads:
        digest.update(repr(upload.name).encode() + hashlib.sha256(upload.content).digest())
    return digest.hexdigest()


def _lookup_tab(config: ClientConfig) -> None:
    with st.form("lookup", border=False):
        text = st.text_input("Job id", placeholder="01a2b3c4-…", max_chars=64)
        asked = st.form_submit_button("Show job")
    if asked:
        st.session_state.pop("looked_up", None)
        _look_up(config, text.strip())
    if "looked_up" in st.session_state:
        _show_result(config, "looked_up")
    elif not asked:
        st.caption("The id is shown under every result, and `detector submit --no-wait` prints it.")


def _look_up(config: ClientConfig, text: str) -> None:
    try:
        job_id = UUID(text)
    except ValueError:
        st.warning("A job id has 32 hexadecimal digits, such as 01a2b3c4-….")
        return
    _read(config, job_id, "looked_up")


def _read(config: ClientConfig, job_id: UUID, place: str) -> None:
    known: Result | None = st.session_state.get(place)
    try:
        with results.connected(config) as client:
            result = results.read(client, job_id, known.previews if known else ())
    except ClientError as error:
        _show_error(error)
    else:
        st.session_state[place] = result


def _show_result(config: ClientConfig, place: str) -> None:
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


def _show_error(error: ClientError) -> None:
    if isinstance(error, GatewayUnreachable):
        st.error("**The gateway is not reachable.** Try again in a moment.")
    elif isinstance(error, ProblemResponse) and error.refuses_key:
        st.error("**The gateway refused this page's key.**")
    elif isinstance(error, ProblemResponse) and error.status == 404:
        st.warning("**There is no such job**, or it belongs to another tenant.")
        return
    elif isinstance(error, ProblemResponse):
        st.error(f"**{error.problem.title}.**")
    else:
        st.error("**That did not work.**")
    st.text(str(error))


def _model_version() -> str | None:
    for place in ("result", "looked_up"):
        result: Result | None = st.session_state.get(place)
        for card in result.cards if result else []:
            if card.verdict is not None:
                return card.verdict.model_version
    return None


main()
