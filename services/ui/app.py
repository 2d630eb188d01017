"""The page: choose photos, see verdicts, look up a job. Run with `streamlit run`."""

import hashlib
from collections.abc import Sequence

import streamlit as st

from services.ui import job_tab, photo_tab, results, sidebar
from services.ui.errors import show_error
from services.ui.photo_result import PhotoResult
from services.ui.results import Result, Upload
from services.ui.sample_photos import SamplePhoto, load_samples
from shared.client.config import ClientConfig, load_client_config
from shared.client.errors import ClientError, ClientNotConfigured
from shared.contracts import page_links

MAX_PHOTOS = 64
_CHECK, _JOB, _PHOTO = "New check", "Look up a job", "Look up a photo"
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
    check, job, photo = st.tabs([_CHECK, _JOB, _PHOTO], default=_first_tab())
    with check:
        _check_tab(config)
    with job:
        job_tab.show(config)
    with photo:
        photo_tab.show(config)
    sidebar.show_model(model_place, _model_version())


def _first_tab() -> str:
    """Return the tab that the address led to. It stays: another would draw the tabs anew."""
    linked = st.query_params
    led_to = _PHOTO if page_links.PHOTO in linked else _JOB if page_links.JOB in linked else _CHECK
    return str(st.session_state.setdefault("first_tab", led_to))


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
        uploads = [Upload(sample.name, sample.path.read_bytes()) for sample in samples]
        _submit(config, uploads, "", "")
    if "result" in st.session_state:
        job_tab.show_result(config, "result")
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
        show_error(error)
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


def _model_version() -> str | None:
    for place in ("result", job_tab.PLACE):
        result: Result | None = st.session_state.get(place)
        for card in result.cards if result else []:
            if card.verdict is not None:
                return card.verdict.model_version
    photo: PhotoResult | None = st.session_state.get(photo_tab.PLACE)
    return photo.image.verdict.model_version if photo and photo.image.verdict else None


main()
