"""LitServe with our decoding, engine and classifier: `litserve_service.py FOLDER PORT WORKERS`, in .venv-peers."""

import sys
from pathlib import Path
from typing import Any

import litserve
from fastapi import Request

from benchmarks.contenders.photo_answer import PhotoAnswer


class PhotoApi(litserve.LitAPI):  # type: ignore[misc]
    """One photo a request, in the multipart field `photo`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(api_path="/predict")
        self._folder = folder

    def setup(self, device: str) -> None:
        """Load the models, in each worker."""
        self._answers = PhotoAnswer(self._folder)

    def decode_request(self, request: Request) -> bytes:
        """Return the bytes of the photo."""
        content: bytes = request["photo"].file.read()
        return content

    def predict(self, content: bytes) -> dict[str, Any]:
        """Return the answer."""
        return self._answers.answer(content)

    def encode_response(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Return the answer as it is."""
        return answer


if __name__ == "__main__":
    folder, port, workers = sys.argv[1:]
    server = litserve.LitServer(PhotoApi(Path(folder)), accelerator="cpu", workers_per_device=int(workers))
    server.run(host="127.0.0.1", port=int(port), generate_client_file=False, log_level="warning", num_api_servers=1)
