"""`python -m api`: serve the backend."""

import sys
import threading
import webbrowser
from typing import Any

import click

from sim.common.errors import SimError
from sim.common.log import LEVELS


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--host", help="Address to listen on; 127.0.0.1 unless given. Others need SKADI_TOKEN.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on; 8000 unless given.")
@click.option("--hall", metavar="SCENARIO", help="Run a live hall of this scenario from the start.")
@click.option("--speed", type=click.FloatRange(1, 3600), help="Simulated seconds per second; 60 unless given.")
@click.option("--database-url", metavar="URL", help="sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME.")
@click.option("--reveal", is_flag=True, default=None, help="Serve the truth of incidents that are still open.")
@click.option("--open", "opens", is_flag=True, help="Open the page in a browser.")
@click.option("--show-settings", is_flag=True, help="Say what is set, without secrets, and end.")
@click.option("--log-level", type=click.Choice(LEVELS), help="What the log tells, on stderr; info unless given.")
def main(opens: bool, show_settings: bool, **flags: Any) -> None:
    """Serve the backend: telemetry in, scores out, a live hall, a referee, a page.

    Settings are flags, then the environment (SKADI_PORT, DATABASE_URL, ..), then a file .env; docs/backend.md has all.
    """
    try:
        from api.settings import check_address, load_settings, shown  # noqa: PLC0415 - keeps --help quick

        settings = load_settings(**flags)
        if show_settings:
            click.echo("\n".join(shown(settings)))
            return
        check_address(settings)
        serve(settings, opens=opens)
    except SimError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        click.echo(f"error: {error.name} is not installed; pip install 'skadi-sim[api]' adds what is missing", err=True)
        sys.exit(2)


def serve(settings: Any, *, opens: bool) -> None:
    """Serve until interrupted. Raises InputError and OutputError where the backend cannot start."""
    import uvicorn  # noqa: PLC0415 - keeps --help quick

    from api import logs  # noqa: PLC0415 - as above
    from api.app import create_app  # noqa: PLC0415 - as above
    from api.backend import Backend  # noqa: PLC0415 - as above

    logs.start(settings.log_level)
    app = create_app(settings, Backend(settings))
    if opens:
        threading.Timer(1.0, webbrowser.open, [f"http://{settings.host}:{settings.port}/"]).start()
    config = uvicorn.Config(app, host=settings.host, port=settings.port, log_config=None, timeout_graceful_shutdown=3)
    server = uvicorn.Server(config)
    server.run()
    if not server.started:
        sys.exit(1)


if __name__ == "__main__":
    main()
