"""Open a store: its location, its format, its transactions; and statements over many keys or rows at once."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import BigInteger, Double, Integer, LargeBinary, Text, event
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError

from idiolect.errors import ArtifactError, ConfigError, MissingDependencyError, NotFoundError
from idiolect.store import schema as tables
from idiolect.store.schema import migrate, read_version

_KEYS = 1000
"""Keys per query; every database supports that many parameters."""

ANY_OF = sa.bindparam("keys", expanding=True)
"""For ``column.in_(ANY_OF)``, with the parameters that ``key_chunks`` yields."""


def key_chunks(keys: Sequence[str], **others: object) -> Iterator[dict[str, Any]]:
    """Parameters of the queries that look up all ``keys`` in chunks, each with ``others``."""
    for start in range(0, len(keys), _KEYS):
        yield {"keys": list(keys[start : start + _KEYS]), **others}


def look_up(
    connection: sa.Connection, query: sa.Select, keys: Sequence[str], **others: object
) -> Iterator[tuple[Any, ...]]:
    """The rows of a query with ``ANY_OF`` for all ``keys``, as the driver gives them, in no order.

    For many rows: SQLAlchemy's processing of the parameters and rows takes longer than the database.

    Args:
        connection: An open transaction.
        query: Its only parameters are the keys and ``others``.
        keys: Any number.
        others: The other parameters.
    """
    for start in range(0, len(keys), _KEYS):
        some = keys[start : start + _KEYS]
        statement, names = _query(query, len(some), connection.dialect)
        given = [[others[name]] if name in others else some for name in names]
        found: Any = connection.exec_driver_sql(statement, tuple(chain.from_iterable(given)))
        with closing(found.cursor) as cursor:
            yield from cursor.fetchall()


@lru_cache(maxsize=64)
def _query(query: sa.Select, n: int, dialect: sa.Dialect) -> tuple[str, tuple[str, ...]]:
    """The statement for ``n`` keys, and the names of its parameters in order."""
    style, mark = ("qmark", "?") if dialect.paramstyle == "qmark" else ("format", "%s")
    kind: Any = type(dialect)
    compiled = query.compile(dialect=kind(paramstyle=style))
    marks = ", ".join([mark] * n)
    return str(compiled).replace("__[POSTCOMPILE_keys]", marks), tuple(compiled.positiontup or ())


def insert_rows(
    connection: sa.Connection,
    table: sa.Table,
    columns: tuple[str, ...],
    rows: Sequence[Sequence[object]],
    *,
    unless_known: bool = False,
) -> int:
    """Insert rows.

    The statement is made once and the rows go directly to the driver, because SQLAlchemy's processing of parameters
    takes as long as the insertion itself.

    Args:
        connection: An open write transaction.
        table: The table.
        columns: Of the rows, in their order.
        rows: Values of types that the driver knows.
        unless_known: Leave out rows whose ``id`` is stored.

    Returns:
        The number of rows that were inserted.
    """
    if not rows:
        return 0
    if connection.dialect.name == "postgresql" and len(rows) >= _COPIED:
        return _copy(connection, table, columns, rows, unless_known=unless_known)
    statement = _insertion(table, columns, unless_known, connection.dialect)
    done = connection.exec_driver_sql(statement, list(rows), execution_options={"preserve_rowcount": True})
    return done.rowcount


@lru_cache(maxsize=64)
def _insertion(table: sa.Table, columns: tuple[str, ...], unless_known: bool, dialect: sa.Dialect) -> str:
    spelled = dialect.identifier_preparer
    names = ", ".join(spelled.format_column(table.c[name]) for name in columns)
    marks = ", ".join(["?" if dialect.paramstyle == "qmark" else "%s"] * len(columns))
    conflict = " ON CONFLICT (id) DO NOTHING" if unless_known else ""
    return f"INSERT INTO {spelled.format_table(table)} ({names}) VALUES ({marks}){conflict}"


_COPIED = 200
"""Rows from which PostgreSQL gets them by COPY."""
_COPY_TYPES = ((LargeBinary, "bytea"), (BigInteger, "int8"), (Integer, "int4"), (Double, "float8"), (Text, "text"))


def _copy(
    connection: sa.Connection,
    table: sa.Table,
    columns: tuple[str, ...],
    rows: Sequence[Sequence[object]],
    *,
    unless_known: bool,
) -> int:
    """``insert_rows`` by COPY in binary; if ids may be known, into a temporary table, and from there in order."""
    spelled = connection.dialect.identifier_preparer
    target = spelled.format_table(table)
    names = ", ".join(spelled.format_column(table.c[name]) for name in columns)
    types = [next(name for kind, name in _COPY_TYPES if isinstance(table.c[column].type, kind)) for column in columns]
    driver: Any = connection.connection.driver_connection
    staged = f"incoming_{table.name}"
    try:
        with driver.cursor() as cursor:
            if not unless_known:
                _send(cursor, f"COPY {target} ({names})", types, rows)
                return len(rows)
            cursor.execute(
                f"CREATE TEMPORARY TABLE IF NOT EXISTS {staged} ON COMMIT DROP AS "
                f"SELECT 0 AS place, {names} FROM {target} WITH NO DATA"
            )
            _send(cursor, f"COPY {staged} (place, {names})", ["int4", *types], _placed(rows))
            cursor.execute(
                f"INSERT INTO {target} ({names}) SELECT {names} FROM {staged} ORDER BY place "
                "ON CONFLICT (id) DO NOTHING"
            )
            inserted: int = cursor.rowcount
            cursor.execute(f"TRUNCATE {staged}")
            return inserted
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(f"COPY {target}", None, error) from error


def _placed(rows: Iterable[Sequence[object]]) -> Iterator[Sequence[object]]:
    return ((place, *row) for place, row in enumerate(rows))


def _send(cursor: Any, statement: str, types: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with cursor.copy(f"{statement} FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


_log = logging.getLogger(__name__)

_BUSY_SECONDS = 30
_LOG_PAGES = 1000
"""Pages of SQLite's log after which a commit copies it into the file; SQLite's own default."""
_LONGEST_LOG_PAGES = 16_384
"""The same if ``checkpoint`` is called in the background: 64 MB, should it not be called."""
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_HINT = "give the path of a file made by `idiolect ingest`, or of a new one"
_COPY = "copy it to where you may write, with the files next to it whose names begin with its own"
_DAMAGED = "it is damaged: restore a copy, or ingest and embed into a new store"
_SEEN = "idiolect_file"
"""Key in a connection's info for the file that it has open."""
_LOCK = sa.select(tables.meta.c.version).with_for_update()
_PRAGMAS = (
    "foreign_keys = ON",
    "secure_delete = ON",
    "synchronous = FULL",
    "cache_size = -65536",
    "temp_store = MEMORY",
)


def open_engine(where: str | Path, *, create: bool, checkpoints: bool = True) -> sa.Engine:
    """An engine on a checked store; a store of an earlier version is brought to this one.

    Args:
        where: Path of a SQLite file, or a SQLAlchemy URL.
        create: Make the store if there is none yet.
        checkpoints: Whether a commit may copy SQLite's log into the file; else ``checkpoint`` has to be called.

    Raises:
        NotFoundError: There is no store and ``create`` is off.
        ArtifactError: It is not a store, or was made by a later version.
        ConfigError: The URL names an unknown database.
        MissingDependencyError: The database's driver is not installed.
    """
    url = _url(where)
    file = _file(url)
    if file is not None:
        _check_place(file, create=create)
    try:
        return _opened(url, url, create=create, checkpoints=checkpoints)
    except (DBAPIError, sqlite3.Error) as error:
        said = " ".join(str(getattr(error, "orig", error)).split())
        read_only = _read_only_url(file) if file is not None else None
        if read_only is not None:
            with suppress(DBAPIError, sqlite3.Error):
                return _opened(read_only, url, create=False, checkpoints=checkpoints)
        raise ArtifactError(f"{_shown(url)!r} cannot be opened as a store: {said}", hint=_remedy(said, url)) from error


def store_file(where: str | Path) -> Path | None:
    """The file of a store; None if the store is on a server.

    Raises:
        ConfigError: ``where`` names no file, or is not a database URL.

    Example:
        >>> store_file("sqlite:///reviews.db")
        PosixPath('reviews.db')
    """
    return _file(_url(where))


def is_read_only(engine: sa.Engine) -> bool:
    """Whether a store is open read-only, because its folder or file cannot be written."""
    return engine.dialect.name == "sqlite" and "uri" in engine.url.query


def check_writable(engine: sa.Engine) -> None:
    """Check that a store can be written.

    Raises:
        ArtifactError: It is read-only.
    """
    if is_read_only(engine):
        raise ArtifactError("the store cannot be written, and is open read-only", hint=_COPY)


def _opened(url: sa.URL, named: sa.URL, *, create: bool, checkpoints: bool) -> sa.Engine:
    engine = _engine(url, _LOG_PAGES if checkpoints else _LONGEST_LOG_PAGES)
    try:
        _check(engine, named, create=create)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _file(url: sa.URL) -> Path | None:
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def _check_place(file: Path, *, create: bool) -> None:
    """Refuse a path that is not a regular file, before SQLite opens it."""
    try:
        mode = os.stat(file).st_mode
    except ValueError as error:  # a NUL character
        raise ConfigError(f"{str(file)!r} cannot be the name of a file", hint=_HINT) from error
    except OSError as error:
        if not create:
            raise NotFoundError(
                f"there is no store at {str(file)!r}", hint="make one with `idiolect ingest`"
            ) from error
        return
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a device, not a file"
        raise ArtifactError(f"{str(file)!r} is {what}: no store can be there", hint=_HINT)


def _read_only_url(file: Path) -> sa.URL | None:
    """The URL of a store that cannot be written; None if it can, or if there is no file.

    SQLite needs its log (``-wal``) and index (``-shm``) next to the store. If it cannot create them, a store without a
    log is opened as immutable, and a store with a log and an index read-only.
    """
    folder = file.parent
    if not file.is_file() or (os.access(file, os.W_OK) and os.access(folder, os.W_OK)):
        return None
    log = file.with_name(f"{file.name}-wal")
    how = "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"
    name = quote(os.fsencode(os.path.realpath(file)))
    return sa.make_url(f"sqlite:///file:{name}?{how}&uri=true")


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One write transaction.

    Writers wait for each other at the row of ``meta`` (PostgreSQL) or at ``BEGIN IMMEDIATE`` (SQLite), so what a writer
    has read stays valid until it commits.

    Raises:
        ArtifactError: The database cannot be written, for instance because another process keeps it locked.
    """
    check_writable(engine)
    try:
        with engine.execution_options(idiolect_write=True).begin() as connection:
            connection.execute(_LOCK).one()
            yield connection
            _check_same(connection)  # else it is rolled back
        with engine.connect() as connection:
            _check_same(connection)
    except DBAPIError as error:
        said = str(error.orig)
        raise ArtifactError(
            f"the store {_shown(engine.url)!r} cannot be written: {said}", hint=_write_remedy(said)
        ) from error


def _write_remedy(said: str) -> str:
    if "locked" in said:
        return "another process is writing; try again when it has finished"
    if "full" in said:
        return "make room on the disk, and run the same again"
    if "disk I/O" in said:  # also if there is no space for the log's index
        return "make room on the disk if it is full, or check it, and run the same again"
    if "readonly" in said:
        return _COPY
    return _DAMAGED if "malformed" in said else "check the disk, and that you may write there"


def _url(where: str | Path) -> sa.URL:
    url = _parsed(where)
    if url.get_backend_name() != "sqlite":
        return url
    name = url.database or ""
    if not name.strip() or name == ":memory:":
        raise ConfigError(
            f"{str(where)!r} names no file: a store in memory would be gone when the command ends",
            hint="name a file, for example store=reviews.db; is a variable empty?",
        )
    if name.startswith("file:") or url.query:
        raise ConfigError(
            f"{str(where)!r} is a URI of SQLite's own, or has options", hint="give the plain path of the file"
        )
    return url


def _parsed(where: str | Path) -> sa.URL:
    if isinstance(where, str) and "://" in where:
        try:
            url = sa.make_url(where)
        except (SQLAlchemyError, ValueError) as error:  # the latter of a port that is no number
            raise ConfigError(
                f"{where!r} is not a database URL", hint="a path, or for example sqlite:///f.db"
            ) from error
        return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    return sa.URL.create("sqlite", database=str(where))


def _remedy(said: str, url: sa.URL) -> str:
    if url.get_backend_name() != "sqlite":
        return "check the URL, and that the server runs and accepts your login"
    if "readonly" in said:
        return _COPY
    if "malformed" in said:
        return _DAMAGED
    if "full" in said:
        return "make room on the disk, and run the same again"
    if "disk I/O" in said:  # also if there is no space for the log's index
        return "make room on the disk if it is full, or check it, and run the same again"
    return "make its folder first, or check that you may write there" if "unable to open" in said else _HINT


def _shown(url: sa.URL) -> str:
    return url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def _engine(url: sa.URL, log_pages: int) -> sa.Engine:
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
        event.listen(engine, "connect", partial(_prepare, log_pages))
        event.listen(engine, "begin", _begin)
        if "uri" not in url.query:  # a read-only file is not replaced
            event.listen(engine, "connect", partial(_note_file, Path(url.database or "").absolute()))
            event.listen(engine, "checkout", _check_checkout)
    return engine


def _note_file(path: Path, _connection: object, record: Any) -> None:
    record.info[_SEEN] = (path, _identity(path))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check_checkout(_connection: object, record: Any, _proxy: object) -> None:
    _check_file(record.info)


def _check_same(connection: sa.Connection) -> None:
    _check_file(connection.info)


def _check_file(info: Mapping[Any, Any]) -> None:
    """Check that the open file is still at its path; otherwise what is written would be lost.

    Raises:
        ArtifactError: It was deleted, moved or replaced.
    """
    if _SEEN in info and _identity(info[_SEEN][0]) != info[_SEEN][1]:
        raise ArtifactError(
            f"the store {str(info[_SEEN][0])!r} was deleted, moved or replaced while it was in use",
            hint="put it back, or run the same again on the new one",
        )


def _prepare(log_pages: int, connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would begin transactions itself, and not IMMEDIATE ones
    for pragma in (*_PRAGMAS, f"wal_autocheckpoint = {log_pages}"):
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


def checkpoint(engine: sa.Engine) -> None:
    """Copy SQLite's log into the file, as far as readers permit; writers go on meanwhile. Elsewhere it does nothing."""
    if engine.dialect.name == "sqlite" and not is_read_only(engine):
        with plain_cursor(engine) as cursor:
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


@contextmanager
def plain_cursor(engine: sa.Engine) -> Iterator[Any]:
    """A cursor of SQLite's own driver outside any transaction, for statements that cannot run in one."""
    connection = engine.raw_connection()
    try:
        with closing(connection.cursor()) as cursor:
            yield cursor
    finally:
        connection.close()
