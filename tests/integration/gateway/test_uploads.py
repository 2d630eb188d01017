"""What `POST /jobs` and `POST /predict` say to each kind of bad upload."""

import httpx
import pytest

from tests.integration.gateway.helpers import count, gif_bomb, image_files, png_header, slug
from tests.support.photos import jpeg, truncated_jpeg

BAD_FILES = [
    ("empty", b"", 422, "empty-file"),
    ("text", b"this is no photo", 415, "unsupported-type"),
    ("html called jpg", b"<html><script>alert(1)</script></html>", 415, "unsupported-type"),
    ("cut within the header", jpeg(1)[:40], 422, "truncated-image"),
    ("no frame header", b"\xff\xd8\xff\xd9" + b"\0" * 64, 422, "unreadable-image"),
    ("GIF bomb", gif_bomb(), 413, "too-many-pixels"),
    ("50k x 50k PNG header", png_header(50_000, 50_000), 413, "too-many-pixels"),
    ("over the byte limit", jpeg(1) + b"\0" * 200_000, 413, "too-large"),
]


@pytest.mark.parametrize(("path", "field"), [("/jobs", "images"), ("/predict", "file")])
@pytest.mark.parametrize(
    ("data", "status", "problem"),
    [row[1:] for row in BAD_FILES],
    ids=[row[0] for row in BAD_FILES],
)
def test_a_bad_file_alone_is_refused(gateway, client, path, field, data, status, problem):
    before = count(gateway.sessions, "jobs")
    response = client.post(path, files=image_files(("bad.jpg", data), field=field))
    assert (response.status_code, slug(response)) == (status, problem)
    assert response.json()["instance"] == path
    assert [(e["index"], e["filename"], e["code"]) for e in response.json()["errors"]] == [
        (0, "bad.jpg", problem.replace("-", "_"))
    ]
    assert client.get(response.json()["type"]).json()["status"] == status
    assert count(gateway.sessions, "jobs") == before


def test_files_refused_for_different_reasons_are_listed(client):
    files = image_files(("a.jpg", b""), ("b.txt", b"text"), ("c.png", png_header(50_000, 50_000)))
    response = client.post("/jobs", files=files)
    assert (response.status_code, slug(response)) == (422, "no-usable-image")
    codes = [error["code"] for error in response.json()["errors"]]
    assert codes == ["empty_file", "unsupported_type", "too_many_pixels"]


def test_bad_files_beside_a_good_one_are_failed_images_of_the_job(client):
    contents = [(name, data) for name, data, _, _ in BAD_FILES]
    response = client.post("/jobs", files=image_files(*contents[:4], ("ok.jpg", jpeg(3))))
    assert response.status_code == 202
    images = response.json()["images"]
    assert [image["status"] for image in images] == ["failed"] * 4 + ["queued"]
    codes = [image["error"]["code"] for image in images[:4]]
    assert codes == ["empty_file", "unsupported_type", "unsupported_type", "truncated_image"]
    assert all(image["error"]["detail"] for image in images[:4])


def test_a_truncated_photo_is_accepted_for_the_worker_to_judge(client):
    response = client.post("/jobs", files=image_files(("cut.jpg", truncated_jpeg())))
    assert response.status_code == 202


@pytest.mark.parametrize("number", [65, 66, 90])
def test_too_many_files(client, number):
    files = image_files(*((f"{n}.jpg", jpeg(0)) for n in range(number)))
    response = client.post("/jobs", files=files)
    assert (response.status_code, slug(response)) == (413, "too-many-images")
    assert "64" in response.json()["detail"]


def test_predict_takes_one_file(client):
    files = image_files(("a.jpg", jpeg(0)), ("b.jpg", jpeg(1)), field="file")
    response = client.post("/predict", files=files)
    assert (response.status_code, slug(response)) == (413, "too-many-images")


def test_64_files_are_accepted(client):
    files = image_files(*((f"{n}.jpg", jpeg(n)) for n in range(64)))
    response = client.post("/jobs", files=files)
    assert response.status_code == 202
    assert [i["filename"] for i in response.json()["images"]] == [f"{n}.jpg" for n in range(64)]


@pytest.mark.parametrize(
    ("files", "data", "status", "problem", "field"),
    [
        ([], {"listing_id": "L"}, 422, "no-images", None),
        (image_files(("a.jpg", jpeg(0)), field="image"), {}, 422, "invalid-request", "image"),
        (image_files(("a.jpg", jpeg(0))), {"colour": "red"}, 422, "invalid-request", "colour"),
        (image_files(("a.jpg", jpeg(0))), {"images": "a.jpg"}, 422, "invalid-request", "images"),
        (image_files(("a.jpg", jpeg(0))), {"listing_id": ["a", "b"]}, 422, "invalid-request",
         "listing_id"),
        (image_files(("a.jpg", jpeg(0))), {"metadata": "[1]"}, 422, "invalid-request", "metadata"),
        (image_files(("a.jpg", jpeg(0))), {"metadata": '{"a": "\\u0000"}'}, 422,
         "invalid-request", "metadata"),
        (image_files(("a.jpg", jpeg(0))), {"category": "a\x00b"}, 422, "invalid-request",
         "category"),
        ([*image_files(("a.jpg", jpeg(0))), *image_files(("b", b"x"), field="category")], {}, 422,
         "invalid-request", "category"),
        (image_files(("a.jpg", jpeg(0))), {"webhook_url": "ftp://shop.test/hook"}, 422,
         "invalid-request", "webhook_url"),
        (image_files(("a.jpg", jpeg(0))), {"webhook_url": "https://u:p@shop.test/"}, 422,
         "invalid-request", "webhook_url"),
    ],
)  # fmt: skip
def test_wrong_fields(gateway, client, files, data, status, problem, field):
    before = count(gateway.sessions, "jobs")
    # A file part makes httpx send multipart even where there is no photo.
    parts = files or {"listing_id": (None, "L")}
    response = client.post("/jobs", files=parts, data=data if files else None)
    assert (response.status_code, slug(response)) == (status, problem)
    if field:
        assert field in [error["field"] for error in response.json()["errors"]]
    assert count(gateway.sessions, "jobs") == before


def test_fields_come_back_with_the_job(client):
    response = client.post(
        "/jobs",
        files=image_files(("C:\\photos\\mug.jpg", jpeg(0))),
        data={"listing_id": " L-1 ", "category": "Küche", "metadata": '{"a": [1, {"b": null}]}'},
    )
    body = response.json()
    assert response.status_code == 202
    assert (body["listing_id"], body["category"]) == ("L-1", "Küche")
    assert body["metadata"] == {"a": [1, {"b": None}]}
    assert body["images"][0]["filename"] == "mug.jpg"


@pytest.mark.parametrize(
    ("content_type", "body", "status", "problem"),
    [
        ("image/jpeg", jpeg(0), 415, "unsupported-media-type"),
        ("application/x-www-form-urlencoded", b"images=a", 415, "unsupported-media-type"),
        (None, b"images", 415, "unsupported-media-type"),
        ("multipart/form-data", b"--x", 400, "malformed-request"),
        ("multipart/form-data; boundary=x", b"no boundary here", 400, "malformed-request"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n--x",
         400, "malformed-request"),
        ("multipart/form-data; boundary=x", b"", 400, "malformed-request"),
        ("multipart/form-data; boundary=x",
         b'--x\r\nContent-Disposition: form-data; name="category"\r\n\r\n' + b"a" * 70_000
         + b"\r\n--x--\r\n", 400, "malformed-request"),
    ],
)  # fmt: skip
def test_bodies_that_are_no_form(client, content_type, body, status, problem):
    headers = {"Content-Type": content_type} if content_type else {}
    response = client.post("/jobs", content=body, headers=headers)
    assert (response.status_code, slug(response)) == (status, problem)


@pytest.mark.parametrize("end", [b"", b"\r\n--x\r\n"], ids=["in a file", "after a file"])
def test_a_form_that_is_cut_off_is_refused(gateway, client, end):
    """A proxy may cut a chunked body and end it well: some photos must not pass for all."""
    before = count(gateway.sessions, "jobs")
    body = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n'
    response = client.post(
        "/jobs",
        content=body + jpeg(0) + end,
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert (response.status_code, slug(response)) == (400, "malformed-request")
    assert count(gateway.sessions, "jobs") == before


def test_a_client_that_goes_away_while_it_uploads_leaves_nothing(gateway):
    before = count(gateway.sessions, "jobs")

    def body():
        yield b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n'
        raise ConnectionAbortedError

    with gateway.client() as client, pytest.raises(ConnectionAbortedError):
        client.post(
            "/jobs", content=body(), headers={"Content-Type": "multipart/form-data; boundary=x"}
        )
    assert httpx.get(f"{gateway.url}/health/live").status_code == 200
    assert count(gateway.sessions, "jobs") == before
