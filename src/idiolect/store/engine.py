"""Opening a store: where it is, whether it is one, and how its transactions begin."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError

from idiolect.errors import ArtifactError, ConfigError, MissingDependencyError, NotFoundError
from idiolect.store import tables
from idiolect.store.migrations import migrate, read_version

_log = logging.getLogger(__name__)

_BUSY_SECONDS = 30
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_HINT = "give the path of a file made by `idiolect ingest`, or of a new one"
_LOCK = sa.select(tables.meta.c.version).with_for_update()
_PRAGMAS = (
    "foreign_keys = ON",
    "secure_delete = ON",
    "synchronous = FULL",
    "cache_size = -65536",
    "temp_store = MEMORY",
)


def open_engine(where: str | Path, *, create: bool) -> sa.Engine:
    """An engine on a checked store; a store of an earlier version is brought to this one.

    Args:
        where: Path of a SQLite file, or a SQLAlchemy URL.
        create: Make the store where there is none yet.

    Raises:
        NotFoundError: There is no store and ``create`` is off.
        ArtifactError: What is there is not a store, or was made by a later version.
        ConfigError: The URL names an unknown database.
        MissingDependencyError: The database's driver is not installed.
    """
    url = _url(where)
    if url.get_backend_name() == "sqlite" and url.database and not create and not Path(url.database).is_file():
        raise NotFoundError(f"there is no store at {url.database!r}", hint="make one with `idiolect ingest`")
    engine = _engine(url)
    try:
        _check(engine, url, create=create)
    except DBAPIError as error:
        engine.dispose()
        said = " ".join(str(error.orig).split())
        raise ArtifactError(f"{_shown(url)!r} cannot be opened as a store: {said}", hint=_remedy(said, url)) from error
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One write transaction: committed whole, or not at all.

    Writers queue at the row of ``meta`` (PostgreSQL) or at ``BEGIN IMMEDIATE`` (SQLite), so what a writer has read
    stays true until it commits.

    Raises:
        ArtifactError: The database refuses, for instance because another process keeps it locked.
    """
    try:
        with engine.execution_options(idiolect_write=True).begin() as connection:
            connection.execute(_LOCK).one()
            yield connection
    except DBAPIError as error:
        hint = "another process is writing; try again when it has finished" if "locked" in str(error.orig) else ""
        raise ArtifactError(f"the store cannot be written: {error.orig}", hint=hint) from error


def _url(where: str | Path) -> sa.URL:
    if isinstance(where, str) and "://" in where:
        try:
            url = sa.make_url(where)
        except SQLAlchemyError as error:
            raise ConfigError(
                f"{where!r} is not a database URL", hint="a path, or for example sqlite:///f.db"
            ) from error
        return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    return sa.URL.create("sqlite", database=str(where))


def _remedy(said: str, url: sa.URL) -> str:
    if url.get_backend_name() != "sqlite":
        return "check the URL, and that the server runs and lets you in"
    if "readonly" in said:
        return "it cannot be written here: copy it to where you may write, the files beside it too"
    if "malformed" in said:
        return "it is damaged: restore a copy, or ingest and embed into a new store"
    return "make its folder first, or check that you may write there" if "unable to open" in said else _HINT


def _shown(url: sa.URL) -> str:
    return url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def _engine(url: sa.URL) -> sa.Engine:
    sqlite = url.get_backend_name() == "sqlite"
    try:
        engine = sa.create_engine(url, connect_args={"timeout": _BUSY_SECONDS} if sqlite else {})
    except NoSuchModuleError as error:
        raise ConfigError(f"unknown database in {_shown(url)!r}", hint="use sqlite:// or postgresql://") from error
    except ImportError as error:
        driver = error.name or "psycopg"  # which names nothing where it is there and its C library is not
        raise MissingDependencyError(
            f"the driver {driver!r} is not installed",
            hint="pip install 'idiolect[postgres]'" if driver == "psycopg" else f"pip install {driver}",
        ) from error
    if sqlite:
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would begin transactions itself, and not IMMEDIATE ones
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("idiolect_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _check(engine: sa.Engine, url: sa.URL, *, create: bool) -> None:
    present = set(sa.inspect(engine).get_table_names())
    if present >= tables.V1:
        return _check_version(engine, url)
    if present & tables.V1 or (present and engine.dialect.name == "sqlite"):
        raise ArtifactError(f"{_shown(url)!r} is a database, but not a store", hint=_HINT)
    if not create:
        raise NotFoundError(f"{_shown(url)!r} holds no store yet", hint="make one with `idiolect ingest`")
    return _create(engine)


def _check_version(engine: sa.Engine, url: sa.URL) -> None:
    with engine.connect() as connection:
        version = read_version(connection)
    if version == tables.SCHEMA_VERSION:
        return
    if version not in range(1, tables.SCHEMA_VERSION):
        raise ArtifactError(
            f"{_shown(url)!r} has schema {version}, this version of idiolect reads {tables.SCHEMA_VERSION}",
            hint="upgrade idiolect" if version > tables.SCHEMA_VERSION else "ingest the reviews into a new store",
        )
    try:
        with writing(engine) as connection:
            migrate(connection)
    except ArtifactError as error:
        raise ArtifactError(
            f"{_shown(url)!r} has schema {version} and cannot be brought to {tables.SCHEMA_VERSION}: {error.message}",
            hint="open it once where it can be written, with no other process on it",
        ) from error
    _log.info("%r was brought from schema %d to %d", _shown(url), version, tables.SCHEMA_VERSION)


def _create(engine: sa.Engine) -> None:
    if engine.dialect.name == "sqlite":
        with plain_cursor(engine) as cursor:
            cursor.execute("PRAGMA journal_mode = WAL").fetchall()  # stays; not possible in a transaction
    with engine.execution_options(idiolect_write=True).begin() as connection:
        tables.metadata.create_all(connection)
        if connection.execute(sa.select(tables.meta.c.version)).first() is None:
            row = {"version": tables.SCHEMA_VERSION, "digest": f"{0:032x}", "n_items": 0, "n_reviews": 0, "n_dated": 0}
            connection.execute(sa.insert(tables.meta), row)


@contextmanager
def plain_cursor(engine: sa.Engine) -> Iterator[Any]:
    """A cursor of SQLite's own driver, outside any transaction: for what cannot be done in one."""
    connection = engine.raw_connection()
    try:
        with closing(connection.cursor()) as cursor:
            yield cursor
    finally:
        connection.close()
