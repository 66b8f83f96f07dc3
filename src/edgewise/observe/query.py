"""Questions to a decision log in SQL, and its export to Parquet, by DuckDB over a copy.

The copy is in memory or beside the export, never the log: a gateway may go on writing it.
"""

import contextlib
import math
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from edgewise import extras
from edgewise.errors import InvalidRecord, StorageError, UsageError
from edgewise.observe.reading import connect_to_read
from edgewise.records import aside_of, clear_dead_asides

_ATTEMPT = (
    "STRUCT(tier VARCHAR, outcome VARCHAR, latency_ms DOUBLE, cost_usd DOUBLE, confidence DOUBLE, "
    "error VARCHAR, usage STRUCT(input_tokens BIGINT, cached_input_tokens BIGINT, "
    "output_tokens BIGINT, estimated BOOLEAN))"
)
_FACTS = (
    "STRUCT(input_length BIGINT, input_bytes BIGINT, private BOOLEAN, detected VARCHAR[], "
    "redacted VARCHAR[], refused VARCHAR[], force_location VARCHAR, region VARCHAR, "
    "deadline_ms DOUBLE, caller VARCHAR, gain DOUBLE)"
)
_READ = f"""
create table decisions as
select request_id, make_timestamp(cast(round(at_s * 1e6) as bigint)) as decided_at, location,
    latency_ms, cost_usd, confidence, reasons, allowed, facts.input_length as input_length,
    facts.input_bytes as input_bytes, facts.private as private, facts.detected as detected,
    facts.redacted as redacted, facts.refused as refused, facts.force_location as force_location,
    facts.region as region, facts.deadline_ms as deadline_ms, facts.caller as caller,
    facts.gain as gain, policy_version, certificate_state, error, tags, attempts
from read_json(?, format = 'newline_delimited', columns = {{
    request_id: 'VARCHAR', at_s: 'DOUBLE', location: 'VARCHAR', latency_ms: 'DOUBLE',
    cost_usd: 'DOUBLE', confidence: 'DOUBLE', reasons: 'VARCHAR[]', allowed: 'VARCHAR[]',
    facts: '{_FACTS}', policy_version: 'VARCHAR', certificate_state: 'VARCHAR', error: 'VARCHAR',
    tags: 'VARCHAR[]', attempts: '{_ATTEMPT}[]'}})
"""
_ATTEMPTS = """
create view attempts as
select request_id, decided_at, number, one.tier as tier, one.outcome as outcome,
    one.latency_ms as latency_ms, one.cost_usd as cost_usd, one.confidence as confidence,
    one.error as error, one.usage.input_tokens as input_tokens,
    one.usage.cached_input_tokens as cached_input_tokens, one.usage.output_tokens as output_tokens,
    one.usage.estimated as tokens_estimated
from (select request_id, decided_at, unnest(attempts) as one,
    generate_subscripts(attempts, 1) as number from decisions)
"""
_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryAnswer:
    """What a query gave. Made by `LogQuery.ask`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    """Values that JSON can hold; times are ISO 8601 in UTC."""
    cut: bool
    """Whether there were more rows than were asked for."""


class LogQuery:
    """A decision log, copied for questions. Made and closed by the composer (`with`).

    Two tables: `decisions`, a row a request in the order of the log, and `attempts`, a row for each
    tier that was asked, numbered from 1. SQL is DuckDB's; it reads no file and changes none.

    Raises
    ------
    StorageError
        When the log is not there or can't be read.
    MissingExtra
        When DuckDB is not installed.
    """

    def __init__(self, path: Path) -> None:
        with extras.needed("log"):
            import duckdb  # noqa: PLC0415 - heavy, and an extra
        self.path = path
        self._error: type[Exception] = duckdb.Error
        self._connection = duckdb.connect(":memory:")
        try:
            with tempfile.TemporaryDirectory(prefix="edgewise-log-") as place:
                lines = Path(place) / "decisions.ndjson"
                _copy(path, lines)
                self._connection.execute("set enable_progress_bar = false")
                self._connection.execute(_READ, [str(lines)])
            self._connection.execute(_ATTEMPTS)
            # `decided_at` is in UTC, and is compared with `now()` in the session's time.
            self._connection.execute("set timezone = 'UTC'")
        except self._error as broken:
            self.close()
            what = f"a row is no decision: {_first_line(broken)}"
            hint = "is it whole? keep a copy, begin anew"
            raise InvalidRecord(what, where=str(path), hint=hint) from broken
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, sql: str, *, most: int = 1000) -> QueryAnswer:
        """Run one query.

        Parameters
        ----------
        most
            Rows given at the most.

        Raises
        ------
        UsageError
            When the SQL is wrong or asks for a file.
        """
        try:
            self._connection.execute("set enable_external_access = false")
            found = self._connection.execute(sql)
            columns = tuple(str(one[0]) for one in self._connection.description or ())
            rows = found.fetchmany(most + 1) if found is not None else []
        except self._error as wrong:
            hint = "tables: decisions, attempts; `describe decisions` gives their columns"
            raise UsageError(_first_line(wrong), where="SQL", hint=hint) from wrong
        shown = tuple(tuple(_plain(value) for value in row) for row in rows[:most])
        return QueryAnswer(columns=columns, rows=shown, cut=len(rows) > most)

    def export(self, out: Path) -> int:
        """Write the decisions as one Parquet file, aside and renamed; gives their number.

        Raises
        ------
        StorageError
            When the file can't be written.
        """
        clear_dead_asides(out)
        aside = aside_of(out)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            name = str(aside).replace("'", "''")
            self._connection.execute(f"copy decisions to '{name}' (format parquet)")
            aside.replace(out)
        except (OSError, self._error) as failure:
            what = f"can't write: {_first_line(failure)}"
            hint = "free some space or pick another place"
            raise StorageError(what, where=str(out), hint=hint) from failure
        finally:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
        counted = self._connection.execute("select count(*) from decisions").fetchone()
        return int(counted[0]) if counted else 0

    def close(self) -> None:
        """Forget the copy."""
        self._connection.close()


def _copy(log: Path, lines: Path) -> None:
    """Write the log's decisions, a JSON object a line, without holding them."""
    if not log.is_file():
        hint = "`edgewise predict RUN` writes `RUN/decisions.sqlite`"
        raise StorageError("no such decision log", where=str(log), hint=hint)
    try:
        with (
            closing(connect_to_read(log)) as connection,
            lines.open("w", encoding="utf-8") as file,
        ):
            found = connection.execute("select decision from decisions order by rowid")
            while rows := found.fetchmany(_ROWS_AT_ONCE):
                file.writelines(f"{text}\n" for (text,) in rows)
    except (OSError, sqlite3.Error) as failure:
        what = f"the decision log can't be read: {failure}"
        hint = "is it whole? keep a copy, begin anew"
        raise StorageError(what, where=str(log), hint=hint) from failure


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no number for it
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    iso = getattr(value, "isoformat", None)
    return str(value) if iso is None else iso()


def _first_line(failure: Exception) -> str:
    return str(failure).strip().split("\n", maxsplit=1)[0]
