"""API keys with scopes, bound to tenants.

A key is ``idl_<id>_<secret>``. Only a SHA-256 digest of the secret is stored: the secret has 256 random bits, so no
salt and no slow hash is needed.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal, get_args

from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.server.settings import DEFAULT_TENANT

Scope = Literal["read", "write", "erase", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_KEY = re.compile(r"idl_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_DAY = 86_400
MOST_DAYS, MOST_GRACE_DAYS = 36_500, 365


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key without its secret."""

    id: str
    tenant: str
    scopes: frozenset[Scope]
    created: int
    """Seconds since 1970, as all times of keys."""
    expires: int | None = None
    note: str = ""

    def record(self) -> dict[str, object]:
        """As plain data."""
        return {
            "id": self.id,
            "tenant": self.tenant,
            "scopes": sorted(self.scopes),
            "created": self.created,
            "expires": self.expires,
            "note": self.note,
        }


class ApiKeys:
    """The keys of a server in an SQLite file that only its owner may read.

    Args:
        path: The file.
        master: A key of the tenant ``default`` with all scopes that is not in the file; empty: there is none.
        create: Create the file if it is absent; otherwise there are no keys then.

    Raises:
        ArtifactError: The file is another's or damaged.
    """

    def __init__(self, path: str | Path, *, master: str = "", create: bool = True) -> None:
        path = Path(path)
        absent = not path.exists()
        if absent and create:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        where = path if create or not absent else ":memory:"
        self._lock, self._path = threading.Lock(), path
        self._master = _digest(master) if master else b""
        with self._errors():
            self._database = sqlite3.connect(where, check_same_thread=False, isolation_level=None, timeout=30)
            try:
                self._prepare()
            except sqlite3.Error:
                self._database.close()
                raise

    def _prepare(self) -> None:
        tables = {name for (name,) in self._database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if tables - {"keys"}:
            raise sqlite3.DatabaseError("it holds something else")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA secure_delete = ON")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, digest BLOB NOT NULL, "
            "scopes TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER, note TEXT NOT NULL)"
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """One line for what the database says."""
        try:
            yield
        except sqlite3.Error as error:
            raise ArtifactError(
                f"{str(self._path)!r} cannot be used as the file of API keys: {error}", hint="name another --data"
            ) from error

    def _run(self, query: str, parameters: Sequence[object] = ()) -> list[tuple]:
        with self._lock, self._errors():
            return self._database.execute(query, parameters).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add(
        self, tenant: str, scopes: Collection[Scope] = SCOPES, *, days: float | None = None, note: str = ""
    ) -> tuple[ApiKey, str]:
        """Make a key.

        Args:
            tenant: Lower-case letters, digits and dashes.
            scopes: What the key may do.
            days: Days until it expires; None: never.
            note: A note for readers.

        Returns:
            The key, and the text that a client sends, which cannot be shown again.

        Raises:
            ConfigError: The tenant's name or a scope is invalid, or ``days`` is no number above 0 and at most 36,500.
        """
        check_tenant(tenant)
        if not scopes or set(scopes) - set(SCOPES):
            raise ConfigError(f"scopes are {', '.join(SCOPES)}, not {', '.join(scopes)!r}", hint="name at least one")
        now, secret = int(time.time()), secrets.token_urlsafe(32)
        expires = None if days is None else now + _seconds(days, "days", least=1 / _DAY, most=MOST_DAYS)
        key = ApiKey(
            id=secrets.token_hex(6), tenant=tenant, scopes=frozenset(scopes), created=now, expires=expires, note=note
        )
        row = (key.id, tenant, _digest(secret), json.dumps(sorted(scopes)), now, expires, note)
        self._run("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return key, f"idl_{key.id}_{secret}"

    def rotate(self, id: str, *, tenant: str | None = None, grace_days: float = 0) -> tuple[ApiKey, str]:
        """Make a key with the same tenant and scopes; the old one expires after ``grace_days``.

        Raises:
            ConfigError: ``grace_days`` is no number from 0 to 365.
            NotFoundError: There is no such key (of this tenant).
        """
        grace = _seconds(grace_days, "grace_days", least=0, most=MOST_GRACE_DAYS)
        old = self._get(id, tenant)
        made = self.add(old.tenant, old.scopes, note=old.note)
        until = int(time.time()) + grace
        self._run("UPDATE keys SET expires = min(coalesce(expires, ?1), ?1) WHERE id = ?2", (until, id))
        return made

    def revoke(self, id: str, *, tenant: str | None = None) -> None:
        """Delete a key.

        Raises:
            NotFoundError: There is no such key (of this tenant).
        """
        self._get(id, tenant)
        self._run("DELETE FROM keys WHERE id = ?", (id,))

    def list(self, tenant: str | None = None) -> list[ApiKey]:
        """All keys, or a tenant's, the oldest first."""
        rows = self._run(f"SELECT {_COLUMNS} FROM keys ORDER BY created, id")
        return [key for key in map(_key, rows) if tenant in (None, key.tenant)]

    def find(self, sent: str) -> ApiKey | None:
        """The valid key that a client sent; None if there is none."""
        if self._master and hmac.compare_digest(_digest(sent), self._master):
            return ApiKey(id="environment", tenant=DEFAULT_TENANT, scopes=frozenset(SCOPES), created=0)
        if (parts := _KEY.fullmatch(sent)) is None:
            return None
        found = self._run(f"SELECT {_COLUMNS}, digest FROM keys WHERE id = ?", (parts[1],))
        if not found or not hmac.compare_digest(found[0][-1], _digest(parts[2])):
            return None
        key = _key(found[0])
        return None if key.expires is not None and key.expires <= time.time() else key

    def _get(self, id: str, tenant: str | None) -> ApiKey:
        for key in self.list(tenant):
            if key.id == id:
                return key
        raise NotFoundError("there is no such key", hint="list the keys")


_COLUMNS = "id, tenant, scopes, created, expires, note"


def _key(row: tuple) -> ApiKey:
    id, tenant, scopes, created, expires, note = row[:6]
    return ApiKey(
        id=id, tenant=tenant, scopes=frozenset(json.loads(scopes)), created=created, expires=expires, note=note
    )


def _seconds(days: float, name: str, *, least: float, most: float) -> int:
    if not least <= days <= most:  # nor is nan
        raise ConfigError(f"{name} is {days:g}", hint=f"give a number from {least:g} to {most:g}")
    return int(days * _DAY)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode(errors="surrogatepass")).digest()


def check_tenant(name: str) -> None:
    """Check a tenant's name, which must not lead out of the folder of stores.

    Raises:
        ConfigError: It is invalid.
    """
    if not _TENANT.fullmatch(name):
        raise ConfigError(f"{name[:80]!r} is no name of a tenant", hint="lower-case letters, digits and dashes")
