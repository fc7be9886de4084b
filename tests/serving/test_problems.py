"""Errors leave the service as problem details."""

import logging

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from obstore.exceptions import BaseError, GenericError, PermissionDeniedError

from serving.problems import add_handlers


@pytest.mark.parametrize("error", [PermissionDeniedError("Access Denied"), GenericError("connection refused")])
def test_an_error_of_the_bucket_says_what_is_known_about_any_request(error: BaseError, caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    add_handlers(app)

    @app.post("/erasures")
    def erase() -> None:
        raise error

    with caplog.at_level(logging.ERROR):
        response = TestClient(app).post("/erasures")
    assert (response.status_code, response.json()["reason"]) == (503, "no_storage")
    assert response.headers["retry-after"] == "10"
    assert response.json()["detail"].startswith("the bucket could not be read or written")
    assert str(error) not in response.text
    assert "a request to the bucket failed" in caplog.text
    assert str(error) in caplog.text
