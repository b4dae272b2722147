"""Settings of the server: defaults, below a YAML file, below ``IDIOLECT_SERVE_*`` variables, below flags."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from idiolect.config import Config, build, merge, parse_yaml, read_yaml
from idiolect.errors import ConfigError
from idiolect.llm.endpoint import OpenAIConfig

PREFIX = "IDIOLECT_SERVE_"
DEFAULT_TENANT = "default"


class ServerConfig(Config):
    """Everything ``idiolect serve`` depends on."""

    host: str = "127.0.0.1"
    """Address to listen on; TLS is left to a proxy in front."""
    port: int = Field(default=8765, ge=0, lt=65536)
    """Port to listen on."""
    data: Path = Path("idiolect-data")
    """Folder of the API keys and, unless ``store`` says otherwise, of the tenants' stores."""
    store: str = ""
    """Path or database URL of a tenant's store; ``{tenant}`` is replaced by its name. Without ``{tenant}`` there is one
    tenant, ``default``. Empty: ``<data>/tenants/{tenant}/store.db``."""
    key: str = Field(default="", repr=False)
    """An API key of the tenant ``default`` with all scopes, known from the start; empty: only keys that were made."""
    encoder: str = "style"
    """Whose vectors are stored with a review."""
    endpoint: OpenAIConfig | None = None
    """OpenAI-compatible upstream that answers; None: the model in this process."""
    models: tuple[str, ...] = ()
    """Models of the upstream that clients may name, besides ``endpoint.model`` and ``idiolect/METHOD``."""
    adapter: Path | None = None
    """Fitted adapter, with the model it was fitted to in this process; None: the shipped toy, if there is no
    upstream."""
    prompt_embeds: bool = False
    """The upstream is a vLLM server with ``--enable-prompt-embeds`` that runs the model of ``adapter``, and that nobody
    else can reach: methods with an adapter are written there instead of in this process."""
    method: str = "auto"
    """Method of requests that name none; auto: that of the adapter if the server can write with it, else the baseline
    (``methods.base.BASELINE``)."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the methods (docs/settings.md): ``context.k``, ``differences.extractor``, ``sampling`` ... Without
    ``context.retriever``, past texts are retrieved by BM25."""
    min_peers: int = Field(default=3, ge=1)
    """Different other users an item needs before anybody is compared with them; of fewer nothing is read."""
    show_peers: bool = False
    """Whether the texts of others on the same items may be shown (without names) as evidence of a difference."""
    show_users: bool = False
    """Whether keys without the scope ``admin`` see the ids of other users: in the list, on the map, as neighbours, in
    units. Else others have pseudonyms, and only who knows a user's id can ask about the user."""
    studio: bool = True
    """Whether the studio, the page at ``/``, is served."""
    results: tuple[Path, ...] = ()
    """Folders of evaluations that the studio shows to keys of the tenant ``default`` with the scope ``admin``."""
    peer_cap: int = Field(default=0, ge=0)
    """Reviews of one item by one other user that count, their latest; 0: all. With a cap sums are computed from the
    item's reviews instead of read."""
    peer_epsilon: float = Field(default=0, ge=0)
    """Gaussian noise makes the sum of an item's vectors (epsilon, delta)-differentially private; 0: no noise. Needs
    ``peer_cap``."""
    peer_delta: float = Field(default=1e-6, gt=0, lt=0.1)
    """See ``peer_epsilon``."""
    user_header: str = ""
    """Header in which a trusted proxy names the user; empty: none is read."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses of the proxies whose ``user_header`` is read."""
    public_url: str = ""
    """Address at which clients reach the server, as the metadata for MCP clients say; empty: that of the request."""
    trusted_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")
    """Values of the Host header that are answered, without port; ``*``: any."""
    origins: tuple[str, ...] = ()
    """Web origins whose pages may call the server; others are refused."""
    max_body_bytes: int = Field(default=4 * 2**20, ge=1024)
    """Largest request."""
    max_batch: int = Field(default=1000, ge=1)
    """Reviews of one request."""
    rate_per_minute: float = Field(default=1200, gt=0)
    """Requests of one API key; above, 429."""
    burst: int = Field(default=200, ge=1)
    """Requests of one API key at once, within the rate."""
    concurrency: int = Field(default=32, ge=1)
    """Requests to a model at the same time."""
    waiting: int = Field(default=64, ge=0)
    """Requests that wait for that; above, 429."""
    body_seconds: float = Field(default=15, gt=0)
    """Time in which a request's body must have arrived."""
    timeout_seconds: float = Field(default=120, gt=0)
    """Time in which a request must be answered, or a stream go on."""
    shutdown_seconds: float = Field(default=20, gt=0)
    """Time that requests under way have to end at a shutdown."""
    mcp: bool = True
    """Serve MCP at ``/mcp``, if its package is installed."""

    @field_validator("key")
    @classmethod
    def _is_long(cls, value: str) -> str:
        if value and len(value) < 24:
            raise ValueError("a key of fewer than 24 characters can be guessed")
        return value

    @field_validator("public_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", value):
            raise ValueError("no address of http or https")
        return value.rstrip("/")

    @field_validator("trusted_proxies", "trusted_hosts")
    @classmethod
    def _lower(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one.lower() for one in value)

    @model_validator(mode="after")
    def _proxies_are_named(self) -> Self:
        if self.user_header and not self.trusted_proxies:
            raise ValueError("user_header needs trusted_proxies: else any client could name any user")
        return self

    @model_validator(mode="after")
    def _embeds_are_of_an_adapter(self) -> Self:
        if self.prompt_embeds and (self.endpoint is None or self.adapter is None):
            raise ValueError("prompt_embeds needs endpoint and adapter: their embeddings are sent to the upstream")
        return self

    @model_validator(mode="after")
    def _noise_is_bounded(self) -> Self:
        if self.peer_epsilon and not self.peer_cap:
            raise ValueError("peer_epsilon needs peer_cap: else one user's part in a sum has no bound")
        return self

    def store_of(self, tenant: str) -> str:
        """Path or URL of a tenant's store.

        Raises:
            ConfigError: The server has one store, and it is another tenant's.
        """
        if not self.store:
            return str(self.data / "tenants" / tenant / "store.db")
        if "{tenant}" not in self.store and tenant != DEFAULT_TENANT:
            raise ConfigError(
                f"the only store is that of the tenant {DEFAULT_TENANT!r}", hint="put {tenant} into the setting store"
            )
        return self.store.replace("{tenant}", tenant)


def load_config(path: Path | None = None, flags: Mapping[str, Any] | None = None) -> ServerConfig:
    """The settings of a YAML file, of the environment and of flags; later ones go first.

    ``IDIOLECT_SERVE_ENDPOINT__BASE_URL=http://...`` sets ``endpoint.base_url``; values are YAML.

    Raises:
        ConfigError: A setting is unknown or wrong.
    """
    found: dict[str, Any] = {} if path is None else read_yaml(path)
    for name, text in sorted(os.environ.items()):
        if name.startswith(PREFIX) and text != "":
            value: Any = text if _is_text(name) else parse_yaml(text, where=name)
            for part in reversed(name.removeprefix(PREFIX).lower().split("__")):
                value = {part: value}
            found = merge(found, value)
    return build(ServerConfig, merge(found, flags or {}), where="settings of the server")


def _is_text(name: str) -> bool:
    """Whether a value is taken as it is: ``*`` and ``[::1]`` mean something else in YAML."""
    field = ServerConfig.model_fields.get(name.removeprefix(PREFIX).lower())
    return field is not None and field.annotation in (str, Path, tuple[str, ...])
