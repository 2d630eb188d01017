"""One photo: why it got its verdict, what reviewers say, and the evidence as a file."""

from typing import Literal
from uuid import UUID

import streamlit as st

from services.ui import lookup, photo_facts
from services.ui.errors import show_error
from services.ui.photo_result import PhotoResult, read_photo
from services.ui.results import connected
from services.ui.words import WORDS
from shared.client.config import ClientConfig
from shared.client.errors import ClientError
from shared.contracts.page_links import PHOTO
from shared.contracts.states import TERMINAL_IMAGE, Label
from shared.contracts.wire.images import FeedbackRequest

# Where the session keeps the PhotoResult.
PLACE = "looked_up_photo"


def show(config: ClientConfig) -> None:
    """Draw the tab; opens the photo that the page's address names."""
    hint = "`Why, and review` under a photo leads here; the id is `images[].id` of a job."
    if image_id := lookup.asked_for(PHOTO, PLACE, hint):
        _read(config, image_id)
    if PLACE in st.session_state:
        _show_photo(config, st.session_state[PLACE])


def _read(config: ClientConfig, image_id: UUID) -> None:
    try:
        with st.spinner("Reading the photo's evidence …"), connected(config) as client:
            st.session_state[PLACE] = read_photo(client, image_id)
    except ClientError as error:
        show_error(error, "photo")


def _show_photo(config: ClientConfig, result: PhotoResult) -> None:
    image = result.image
    st.html(photo_facts.banner(image))
    if image.status not in TERMINAL_IMAGE:
        if st.button("Look again", key="again_photo"):
            _read(config, image.id)
            st.rerun()
        return
    if result.bundle is not None:
        st.html(photo_facts.pictures(result.pictures))
    elif result.bundle_absent:
        st.warning(f"**No pictures and no evidence file.** {result.bundle_absent}")
    if image.verdict is not None:
        st.subheader("What the file says")
        st.html(photo_facts.evidence(image.verdict))
    st.subheader("Reviews")
    if result.reviews:
        st.html(photo_facts.reviews(result.reviews))
    _review_form(config, image.id)
    st.subheader("For an appeal")
    st.html(photo_facts.facts(image))
    if result.bundle is not None:
        _download_button(image.id, result.bundle)


def _review_form(config: ClientConfig, image_id: UUID) -> None:
    labels: tuple[Literal[Label.REAL], Literal[Label.AI_GENERATED]]
    labels = (Label.REAL, Label.AI_GENERATED)
    with st.form(f"review_{image_id}", clear_on_submit=True):
        label = st.radio(
            "To you the photo is",
            labels,
            index=None,
            format_func=lambda each: WORDS[each].name,
            horizontal=True,
        )
        reason = st.text_input("Why (read in an appeal)", max_chars=2000)
        reviewer = st.text_input("Your name or id", max_chars=200)
        sent = st.form_submit_button("Store the review")
    if not sent:
        return
    if label is None or not reason.strip() or not reviewer.strip():
        st.warning("Choose a label, and say why and who you are.")
        return
    try:
        review = FeedbackRequest(label=label, reason=reason, reviewer=reviewer)
        with connected(config) as client:
            client.images.review(image_id, review)
    except ClientError as error:
        show_error(error, "photo")
        return
    _read(config, image_id)
    st.rerun()


def _download_button(image_id: UUID, bundle: bytes) -> None:
    st.download_button(
        "Download the evidence",
        bundle,
        file_name=f"evidence-{image_id}.zip",
        mime="application/zip",
        key="download_evidence",
        help="The photo's bytes, verdicts, thresholds, reviews and heatmap in one file, signed when"
        " the gateway has a key. `detector evidence verify` computes the verdict again from it.",
    )
