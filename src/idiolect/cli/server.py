"""``idiolect serve``, ``idiolect studio``, ``idiolect keys`` and ``idiolect mcp``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from idiolect.api import serving
from idiolect.cli.options import Json, Set, StorePath, given, say, settings_for, show
from idiolect.config import merge
from idiolect.errors import ConfigError, require

Scopes = Annotated[tuple[Literal["read", "write", "erase", "admin"], ...], Parameter(name="--scope", negative="")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """What ``serve``, ``studio`` and ``mcp`` have in common."""

    upstream: str | None = None
    """Base URL of an OpenAI-compatible endpoint that answers, up to and with /v1."""
    model: str | None = None
    """Name of the endpoint's model."""
    adapter: Path | None = None
    """Folder of a fitted adapter, for DEP with a model in this process."""
    config: Path | None = None
    """YAML file of settings (docs/server.md)."""
    set: Set = ()
    """A setting as name=value (min_peers=5, settings.context.k=4); may be repeated."""

    def settings(self, **flags: Any) -> dict[str, Any]:
        """The settings that were given, with further flags."""
        if self.upstream and not self.model:
            raise ConfigError("an upstream needs the name of its model", hint="pass --model")
        endpoint = given(base_url=self.upstream, model=self.model)
        own = given(**flags, adapter=self.adapter, endpoint=endpoint)
        return merge(own, settings_for(serving.studio, self.set, allowed=("store", "results", "port")))


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ServerOptions(ModelOptions):
    """Options of ``serve`` and ``mcp``: also where the data is."""

    store: str | None = None
    """SQLite file or database URL; {tenant} is replaced by the tenant's name."""
    data: Path | None = None
    """Folder of the API keys and, without --store, of the stores."""

    def settings(self, **flags: Any) -> dict[str, Any]:
        """See ``ModelOptions``."""
        return super().settings(**flags, store=self.store, data=self.data)


def serve(*, options: ServerOptions | None = None, host: str | None = None, port: int | None = None) -> None:
    """Serve OpenAI's routes, a REST API and MCP in users' voices.

    Without any API key, one is made and printed once. Settings are also read from IDIOLECT_SERVE_* variables.

    Args:
        options: Of the server.
        host: Address to listen on; default: 127.0.0.1.
        port: Port; default: 8765.
    """
    chosen = options or ServerOptions()
    serving.serve(config=chosen.config, say=say, **chosen.settings(host=host, port=port))


def studio(
    *,
    store: StorePath = "idiolect.db",
    results: Annotated[tuple[Path, ...], Parameter(negative="")] = (),
    port: int = 8766,
    browser: bool = True,
    show_peers: Annotated[bool, Parameter(negative="")] = False,
    export: Path | None = None,
    options: ModelOptions | None = None,
) -> None:
    """Open a page that shows how users differ and what methods write, on this machine alone.

    It is the page of ``idiolect serve`` without keys to manage: the link that is opened and printed holds one of this
    process. Reviews, corrections and erasures are those of the store.

    Args:
        store: SQLite file or database URL.
        results: Folders of evaluations to look at; may be repeated.
        port: Port on 127.0.0.1; another free one, if it is taken.
        browser: Open the browser.
        show_peers: Show texts of others on the same items as evidence, too.
        export: Write the evaluations of --results as one HTML file that opens without a server, and end.
        options: Of the model.
    """
    if export is not None:
        require("fastapi", extra="serve")
        from idiolect.server.export import export_evaluations

        written = export_evaluations(results, export)
        say(f"{export}: {written} {'evaluation' if written == 1 else 'evaluations'}; it holds users' texts")
        return
    chosen = options or ModelOptions()
    settings = chosen.settings(store=store, results=results, port=port, show_peers=show_peers)
    serving.studio(browser=browser, config=chosen.config, say=say, **settings)


def mcp(*, options: ServerOptions | None = None) -> None:
    """Serve MCP over standard input and output, for an agent on this machine.

    Args:
        options: Of the server.
    """
    chosen = options or ServerOptions()
    serving.serve_mcp(config=chosen.config, **chosen.settings())


def keys(
    action: Literal["add", "list", "rotate", "revoke"],
    name: str = "",
    *,
    scope: Scopes = (),
    days: float | None = None,
    note: str = "",
    grace_days: float = 0,
    data: Path | None = None,
    json: Json = False,
) -> None:
    """Make, list, rotate or revoke API keys.

    Args:
        action: add, list, rotate or revoke.
        name: The tenant, or for rotate and revoke the key's id.
        scope: What the key may do (read, write, erase, admin); may be repeated; default: all.
        days: After which the key expires.
        note: For people.
        grace_days: How long the old key still works after rotate.
        data: Folder of the API keys.
        json: Print one JSON object.
    """
    from idiolect.server.keys import SCOPES, ApiKeys
    from idiolect.server.settings import load_config

    held = ApiKeys(load_config(None, given(data=data)).data / "keys.db", create=action == "add")
    if action == "list":
        found = [key.record() for key in held.list(name or None)]
        lines = [f"{key['id']}  {key['tenant']}  {','.join(key['scopes'])}  {key['note']}" for key in found]  # type: ignore[arg-type]
        show({"keys": found}, "\n".join(lines) or "no keys", as_json=json)
        return
    if not name:
        raise ConfigError(f"{action} needs a {'tenant' if action == 'add' else 'key id'}", hint=f"keys {action} NAME")
    if action == "revoke":
        held.revoke(name)
        show({"revoked": name}, f"revoked {name}", as_json=json)
        return
    if action == "add":
        key, sent = held.add(name, scope or SCOPES, days=days, note=note)
    else:
        key, sent = held.rotate(name, grace_days=grace_days)
    record: dict[str, Any] = {**key.record(), "key": sent}
    show(record, f"{sent}\nkey {key.id} of the tenant {key.tenant}; it cannot be shown again", as_json=json)
