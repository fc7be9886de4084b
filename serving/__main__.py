"""Runs the service: `python -m serving`."""

import argparse
import logging
import sys

import uvicorn
from pydantic import ValidationError

from serving import settings
from serving.app import create_app


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then finish the requests under way; return 2 on wrong settings."""
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="Answer which fruit is on a photo, with the current classifier of a bucket.",
        epilog=f"Settings come from the environment:\n{settings.describe()}\n\n"
        "Endpoint, region and credentials of the bucket come from the standard AWS variables or the role.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        chosen = settings.Settings()
    except ValidationError as error:
        for item in error.errors():
            print(f"FRUITS_{str(item['loc'][0]).upper()}: {item['msg']}", file=sys.stderr)
        return 2
    uvicorn.run(
        create_app(chosen),
        host=chosen.host,
        port=chosen.port,
        access_log=False,
        timeout_graceful_shutdown=chosen.drain_s,
        log_config=None,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
