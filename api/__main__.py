"""`python -m api`: serve the backend."""

import uvicorn

from api.settings import Settings


def main() -> None:
    """Serve until interrupted."""
    settings = Settings()
    uvicorn.run("api.app:app", host=settings.host, port=settings.port, log_level=settings.log_level)


if __name__ == "__main__":
    main()
