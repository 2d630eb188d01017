import re

from services.gateway.http.problems import IMAGE_PROBLEMS, PROBLEMS, ProblemError
from shared.contracts.errors import ImageErrorCode
from shared.core.settings import REPOSITORY_ROOT


def test_every_problem_says_what_it_is_and_what_to_do():
    for slug, kind in PROBLEMS.items():
        assert kind.slug == slug
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", slug)
        assert kind.type == f"/problems/{slug}"
        assert 400 <= kind.status < 600
        assert kind.title
        assert not kind.title.endswith(".")
        assert kind.help.endswith(".")


def test_every_image_error_code_has_its_problem():
    assert set(IMAGE_PROBLEMS) == set(ImageErrorCode)
    for code, kind in IMAGE_PROBLEMS.items():
        assert kind.slug == code.replace("_", "-")


def test_the_callers_faults_are_4xx_and_ours_5xx():
    ours = {ImageErrorCode.INFERENCE_FAILED, ImageErrorCode.OBJECT_MISSING}
    ours.add(ImageErrorCode.ATTEMPTS_EXHAUSTED)
    for code, kind in IMAGE_PROBLEMS.items():
        assert (kind.status >= 500) == (code in ours)


def test_a_raised_problem_reads_well_in_a_log():
    assert str(ProblemError(PROBLEMS["not-found"], "no job 7")) == "not-found: no job 7"


def test_the_reference_names_every_problem_with_its_status():
    rows = (REPOSITORY_ROOT / "docs" / "api.md").read_text().splitlines()
    table = [row for row in rows if re.match(r"\| [45]\d\d", row)]
    for slug, kind in PROBLEMS.items():
        (row,) = [row for row in table if f"`{slug}`" in row]
        assert str(kind.status) in row.split("|")[1]
