"""What the backend is told: flags, then the environment, then a file `.env`."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sim.common.errors import InputError
from sim.common.text import printable
from training.fitting import PERCENTILES

Mode = Literal["advisory", "closed_loop"]


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Names = Annotated[list[str], NoDecode, BeforeValidator(_split)]
"""A list, in the environment written with commas."""


def _names(own: str) -> AliasChoices:
    """Return the names of a setting in the environment: ours, and the one that the reference knows it by."""
    return AliasChoices(f"SKADI_{own.upper()}", own.upper())


class Settings(BaseSettings):
    """Settings of the backend: SKADI_NAME in the environment, those of the reference by its names too."""

    model_config = SettingsConfigDict(
        env_file=".env", env_prefix="SKADI_", extra="ignore", frozen=True, populate_by_name=True, env_ignore_empty=True
    )

    host: str = Field(default="127.0.0.1", validation_alias=_names("host"), description="address to listen on")
    port: int = Field(default=8000, ge=1, le=65535, validation_alias=_names("port"), description="port to listen on")
    database_url: SecretStr = Field(
        default=SecretStr("sqlite:///data/skadi.db"),
        validation_alias=_names("database_url"),
        description="sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME",
    )
    artifacts_dir: Path = Field(
        default=Path("artifacts"), validation_alias=_names("artifacts_dir"), description="where trained models lie"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", validation_alias=_names("log_level"), description="what the log tells"
    )
    token: SecretStr | None = Field(default=None, description="bearer token of every route that changes something")
    read_token: SecretStr | None = Field(default=None, description="bearer token of the routes that read")
    allowed_hosts: Names = Field(
        default=["localhost", "127.0.0.1", "[::1]", "testserver"], description="host names that requests may carry"
    )
    cors_origins: Names = Field(default=[], description="origins of pages that may call from a browser")
    rate_per_s: float = Field(default=500.0, gt=0, description="changing requests that one client may send, per second")
    retention_days: float | None = Field(default=None, gt=0, description="delete what came in longer ago")
    retention_rows: int | None = Field(default=None, ge=1, description="keep about so many samples")
    hall: str | None = Field(default=None, description="scenario that the live hall runs from the start")
    speed: float = Field(default=60.0, ge=1, le=3600, description="simulated seconds per second of the live hall")
    reveal: bool = Field(default=False, description="serve the truth of incidents that are still open")
    default_mode: Mode = Field(
        default="advisory", validation_alias=_names("default_mode"), description="whether actions move the live hall"
    )
    global_kill_switch: bool = Field(
        default=False, validation_alias=_names("global_kill_switch"), description="refuse every action"
    )
    sla_latency_ms: float = Field(
        default=250.0, gt=0, validation_alias=_names("sla_latency_ms"), description="latency promised"
    )
    inlet_max_c: float = Field(
        default=28.0, validation_alias=_names("inlet_max_c"), description="inlet that is critical"
    )
    rack_kw_cap: float = Field(
        default=12.0, gt=0, validation_alias=_names("rack_kw_cap"), description="power a rack may draw"
    )
    ims_score_interval_s: float = Field(
        default=10.0, gt=0, validation_alias=_names("ims_score_interval_s"),
        description="seconds between frames of /ws/events at most; samples are scored as they come",
    )  # fmt: skip
    ims_tau_fast_percentile: float = Field(
        default=PERCENTILES["context"][0],
        gt=0,
        lt=100,
        validation_alias=_names("ims_tau_fast_percentile"),
        description="of held-out deviations",
    )
    ims_tau_persist_percentile: float = Field(
        default=PERCENTILES["context"][1],
        gt=0,
        lt=100,
        validation_alias=_names("ims_tau_persist_percentile"),
        description="of held-out deviations",
    )
    ims_kmeans_clusters: int = Field(
        default=8,
        ge=1,
        le=4096,
        validation_alias=_names("ims_kmeans_clusters"),
        description="clusters of a trained model",
    )
    mms_ema_alpha: float = Field(
        default=0.3, gt=0, lt=1, validation_alias=_names("mms_ema_alpha"), description="weight of the latest minute"
    )
    mms_persist_ticks: int = Field(
        default=6,
        ge=1,
        validation_alias=_names("mms_persist_ticks"),
        description="minutes until an anomaly is persistent",
    )
    write_rate_limit_s: float = Field(
        default=0.0, ge=0, validation_alias=_names("write_rate_limit_s"), description="seconds between actions at least"
    )
    metrics_site: str = Field(default="S1", max_length=64, description="label `site` of GET /metrics")
    metrics_hall: str = Field(default="H1", max_length=64, description="label `hall` of GET /metrics")
    energy_price_per_kwh: float | None = Field(default=None, ge=0, description="price of energy, for costs of days")


def load_settings(**flags: Any) -> Settings:
    """Return the settings; flags that are not None win. Raises InputError with every value that cannot be used."""
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        lines = [_line(problem) for problem in error.errors(include_url=False)]
        raise InputError("settings:\n  " + "\n  ".join(lines)) from None


def _line(problem: Any) -> str:
    value = printable(f"{problem['input']!r:.60}")
    return f"{'.'.join(map(str, problem['loc']))}: {value}: {problem['msg']}"


def check_address(settings: Settings) -> None:
    """Raise InputError where others could change things: an address of the network without a token."""
    if settings.token is None and not is_loopback(settings.host):
        raise InputError(
            f"host: {settings.host} can be reached by others and there is no token; set SKADI_TOKEN, "
            "or listen on 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Tell whether an address is this machine's own; a name other than localhost is taken for one of the network."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def shown(settings: Settings) -> list[str]:
    """Return the settings, one a line, secrets and passwords hidden."""
    lines = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        text = str(value) if not isinstance(value, list) else ", ".join(value)
        lines.append(f"{name:27} {'not set' if value is None else text or 'none':40} {field.description}")
    return lines
