"""``doctor``: from the key to a committed row, step by step, each with what is at fault and what mends it."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from thirdrail.config.settings import SnowflakeConfig
from thirdrail.errors import SinkError, ThirdRailError
from thirdrail.model.ports import Clock
from thirdrail.model.tables import TABLES
from thirdrail.model.tables.doctor import DOCTOR
from thirdrail.sinks.snowflake.access_sql import pipe_grants, table_grants
from thirdrail.sinks.snowflake.account import Account, pipe_name
from thirdrail.sinks.snowflake.examination import AtFault, Examination, Step, client_version
from thirdrail.sinks.snowflake.file_steps import FILE_STEPS, ask_file_pipes, use_stage
from thirdrail.sinks.snowflake.key_pair import KeyPair, read_key, signed_jwt
from thirdrail.sinks.snowflake.plain_calls import Answer, NoAnswer, ask
from thirdrail.sinks.snowflake.statements import Names, Statement
from thirdrail.sinks.snowflake.tables_sql import create_streaming_pipe, create_table
from thirdrail.sinks.snowpipe_streaming.client import BUCKET, connected, properties, translated, uploads

if TYPE_CHECKING:
    from snowflake.ingest.streaming import StreamingIngestChannel, StreamingIngestClient

STEPS = ("key", "network", "token", "host", "pipes", "channel", "row", "latency", "upload")
RETRY_S = 5.0
MOST_SKEW_S = 60
"""A JWT that was issued in the server's future, or long ago, is refused."""

_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404
_US = 1_000_000
_UPLOAD_ROWS, _UPLOAD_ROW_CHARACTERS = 4, 1 << 20
"""The client uploads what is larger than 1 MB or so."""
_REPORT = "ask Snowflake with this text, or us with what `doctor --record FILE` writes"


class Doctor:
    """Examines one account with the official clients of the configured method. Blocks; each call is bounded."""

    def __init__(
        self, account: Account, config: SnowflakeConfig, names: Names, clock: Clock, *, patience_s: float = 60.0
    ) -> None:
        self._account, self._config, self._names, self._clock = account, config, names, clock
        self._patience_s = patience_s
        self._run_id = uuid.uuid4().hex[:12]
        self._key: KeyPair | None = None
        self._jwt = self._scoped = self._host = ""
        self._hello = Answer(0, "", None)
        self._client: StreamingIngestClient | None = None
        self._channel: StreamingIngestChannel | None = None
        self._errors_before = 0
        self._sent_at = 0.0
        self.commit_seconds: float | None = None

    def examine(self) -> Iterator[Step]:
        """Give each step when it is done; those behind the first that fails are not reached."""
        begin: tuple[Callable[[], str], ...] = (self._read_key, self._reach, self._exchange)
        if self._config.ingestion_method == "snowpipe":
            yield from self._examined(FILE_STEPS, (*begin, self._use_stage, self._ask_file_pipes))
            return
        channel = (self._data_host, self._pipes, self._open, self._append, self._await_commit, self._upload)
        yield from self._examined(STEPS, (*begin, *channel))

    def _examined(self, names: tuple[str, ...], checks: tuple[Callable[[], str], ...]) -> Iterator[Step]:
        failed = False
        for name, check in zip(names, checks, strict=True):
            if failed:
                yield Step(step=name, found="not reached")
                continue
            step = self._checked(name, check)
            failed = not step.ok
            yield step
        self._close()

    def _checked(self, name: str, check: Callable[[], str]) -> Step:
        started = self._clock.monotonic()
        step = Step(step=name)
        try:
            step.found, step.ok = check(), True
        except AtFault as fault:
            step.found, step.fix, step.ok = str(fault), fault.fix, False
        except SinkError as error:
            step.found, step.fix, step.ok = str(error), _REPORT, False
        except ThirdRailError as error:
            step.found, step.fix, step.ok = str(error), error.hint, False
        step.seconds = round(self._clock.monotonic() - started, 3)
        return step

    def _close(self) -> None:
        if self._client is not None:
            with translated("closing"):
                self._client.close(wait_for_flush=False)

    def _read_key(self) -> str:
        self._key = read_key(self._account.private_key_path, self._account.passphrase)
        return f"{self._account.private_key_path} is a private key; its fingerprint is {self._key.fingerprint}"

    def _call(self, method: str, path: str, *, body: bytes | None = None, form: bool = False) -> Answer:
        """Call the account, or with the scoped token the data host."""
        token, kind = (self._scoped, "OAUTH") if self._scoped else (self._jwt, "KEYPAIR_JWT")
        where = self._data_url if self._scoped else self._account.url.rstrip("/")
        try:
            return ask(method, f"{where}{path}", token, kind, body=body, form=form, ca_file=self._account.ca_file)
        except NoAnswer as error:
            raise AtFault(str(error), "snowflake.url, or snowflake.account that it is made of") from error

    @property
    def _data_url(self) -> str:
        """The data host, by the account's port: the official client does the same."""
        port = urlsplit(self._account.url).port
        return f"https://{self._host}{f':{port}' if port else ''}"

    def _reach(self) -> str:
        """Ask for the host of the data: the first call of all."""
        assert self._key is not None  # noqa: S101 - the step before
        now_s = self._clock.now() // _US
        self._jwt = signed_jwt(self._key, self._account.account, self._account.user, now_s)
        self._hello = self._call("GET", "/v2/streaming/hostname")
        skew = abs(now_s - self._hello.clock_s) if self._hello.clock_s is not None else 0
        if skew > MOST_SKEW_S:
            raise AtFault(f"this machine's clock is {skew:.0f} s off the server's", "set the clock (NTP)")
        if self._hello.status == _NOT_FOUND:
            raise AtFault(
                f"{self._account.host} answers, but knows no Snowpipe Streaming",
                "is snowflake.account the whole identifier (organisation-account), and the region one that has it?",
            )
        return f"{self._account.host} answers over TLS"

    def _exchange(self) -> str:
        """Change the JWT for a token of the data host."""
        self._refused_key(self._hello)
        self._host = _plain(self._hello.text, "hostname")
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "scope": self._host}
        answer = self._call("POST", "/oauth/token", body=urlencode(form).encode(), form=True)
        self._refused_key(answer)
        self._scoped = _plain(answer.text, "token")
        return f"the key is that of user {self._account.user.upper()}"

    def _refused_key(self, answer: Answer) -> None:
        if answer.status == _OK:
            return
        assert self._key is not None  # noqa: S101 - a step before
        said = f"{answer.status}: {_message(answer.text)}"
        if answer.status not in (_UNAUTHORIZED, _FORBIDDEN):
            raise AtFault(f"no token: {said}", "try again later; if it stays, ask Snowflake with this text")
        user, role = self._account.user.upper(), self._account.role.upper()
        if "role" in said.lower():
            raise AtFault(f"the role is not this user's: {said}", f"GRANT ROLE {role} TO USER {user};")
        raise AtFault(
            f"user {user} is not known by this key: {said}",
            f"ALTER USER {user} SET RSA_PUBLIC_KEY = '{self._key.public}';\n"
            f"DESC USER {user};  -- RSA_PUBLIC_KEY_FP (or _2_FP) must be {self._key.fingerprint}",
        )

    def _data_host(self) -> str:
        if not self._host or "/" in self._host or ":" in self._host or self._host.startswith("{"):
            raise AtFault(f"the data host is {self._host[:80]!r}, not a bare name", "is a proxy answering instead?")
        try:
            url = f"{self._data_url}/v2/streaming/hostname"
            ask("GET", url, self._jwt, "KEYPAIR_JWT", ca_file=self._account.ca_file)
        except NoAnswer as error:
            raise AtFault(f"rows go to another host, and {error}", f"let {self._host} through the firewall") from error
        return f"rows go to {self._host}"

    def _pipes(self) -> str:
        """Ask every pipe how it is, and build the official client on that of the scratch table."""
        missing = [table for table in (*TABLES, DOCTOR) if self._is_missing(self._pipe(table.name))]
        if missing:
            fix = [each.text for table in missing if table is not DOCTOR for each in pipe_grants(table, self._names)]
            fix += [each.text for each in _scratch_sql(self._names)] if DOCTOR in missing else []
            raise AtFault(
                f"of {len(TABLES) + 1} pipes, {len(missing)} are missing or not granted to role "
                f"{self._account.role.upper()}: {', '.join(self._pipe(table.name) for table in missing)}",
                "run what `thirdrail snowflake ddl` prints; if they are there, the grant is missing:\n"
                + "\n".join(fix),
            )
        given = properties(self._account, retry_seconds=RETRY_S, buffer_ms=100)
        self._client = connected(self._account, self._pipe(DOCTOR.name), given)
        return f"all {len(TABLES) + 1} pipes of {self._names.database}.{self._names.schema} are there for the role"

    def _use_stage(self) -> str:
        return use_stage(self._account, self._names, self._run_id)

    def _ask_file_pipes(self) -> str:
        return ask_file_pipes(self._account, self._names)

    def _pipe(self, table: str) -> str:
        return pipe_name(table, default_pipes=self._config.default_pipes)

    def _is_missing(self, pipe: str) -> bool:
        where = "/".join(
            f"{kind}/{quote(name, safe='')}"
            for kind, name in (
                ("databases", self._account.database),
                ("schemas", self._account.schema),
                ("pipes", pipe),
            )
        )
        body = msgspec.json.encode({"channel_names": [self._channel_name]})
        answer = self._call("POST", f"/v2/streaming/{where}:bulk-channel-status", body=body)
        if answer.status == _OK:
            return False
        if answer.status in (_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND) or "NOT_AUTHORIZED" in answer.text:
            return True
        raise AtFault(f"pipe {pipe}: {answer.status}: {_message(answer.text)}", "ask Snowflake with this text")

    @property
    def _channel_name(self) -> str:
        return f"thirdrail-doctor-{self._config.deployment}"

    def _open(self) -> str:
        assert self._client is not None  # noqa: S101 - the step before
        name = self._channel_name
        with translated(f"channel {name}"):
            self._channel, status = self._client.open_channel(name)
        if status.status_code != "SUCCESS":
            raise AtFault(f"channel {name} opens in state {status.status_code}")
        self._errors_before = status.rows_error_count
        return f"channel {name} is open"

    def _append(self) -> str:
        self._send([self._row(0, "doctor")], self._run_id)
        return f"a row was accepted (run_id {self._run_id})"

    def _row(self, number: int, note: str) -> dict[str, object]:
        moment = datetime.fromtimestamp(self._clock.now() / _US, UTC).isoformat()
        return {"run_id": self._run_id, "row_number": number, "sent_at": moment, "note": note, "words": ["a", "b"]}

    def _send(self, rows: list[dict[str, object]], token: str) -> None:
        assert self._channel is not None  # noqa: S101 - a step before
        self._sent_at = self._clock.monotonic()
        with translated(f"rows for {DOCTOR.name}"):
            self._channel.append_rows(rows, None, token)
            self._channel.initiate_flush()
            self._channel.wait_for_flush(timeout_seconds=round(RETRY_S) + 10)

    def _await_commit(self) -> str:
        self.commit_seconds = self._committed(self._run_id)
        return f"committed {self.commit_seconds:.1f} s after it was handed over (the client asks once a second)"

    def _committed(self, token: str) -> float:
        """Give the seconds from handing over to the commit."""
        assert self._channel is not None  # noqa: S101 - a step before
        while True:
            with translated(f"the state of {DOCTOR.name}'s channel"):
                status = self._channel.get_channel_status()
            waited = self._clock.monotonic() - self._sent_at
            if status.latest_committed_offset_token == token:
                break
            if waited > self._patience_s:
                raise AtFault(
                    f"the row was accepted, the channel says {status.status_code}, and nothing is committed after "
                    f"{waited:.0f} s",
                    "Snowflake's side: look at its status page; rows wait in our log, and none is lost meanwhile",
                )
            self._clock.sleep(0.1)
        if status.rows_error_count > self._errors_before:
            raise AtFault(
                f"Snowflake refused the row: {status.last_error_message}",
                f"SELECT * FROM TABLE(ERROR_TABLE({self._names.of(DOCTOR.name.upper())}));"  # noqa: S608 - for a person
                "  -- and please report it",
            )
        return round(waited, 2)

    def _upload(self) -> str:
        """Send so much that the client uploads it, as it does at busy times: that is another host."""
        if not uploads(self._account):
            return "not tried: towards an emulator, or where AWS_ENDPOINT_URL leads elsewhere, rows alone are sent"
        text = "doctor".ljust(_UPLOAD_ROW_CHARACTERS, ".")
        token = f"{self._run_id}-upload"
        try:
            self._send([self._row(1 + number, text) for number in range(_UPLOAD_ROWS)], token)
        except SinkError as error:
            raise AtFault(str(error), BUCKET) from error
        return f"{_UPLOAD_ROWS} MB were uploaded, and committed after {self._committed(token):.1f} s"


def examined(doctor: Doctor, clock: Clock, said: Callable[[Step], None]) -> Examination:
    """Give the whole examination; ``said`` is told each step as it is done."""
    steps = []
    for step in doctor.examine():
        said(step)
        steps.append(step)
    return Examination(
        made_at_us=clock.now(),
        client=client_version(),
        is_well=all(step.ok for step in steps),
        commit_seconds=doctor.commit_seconds,
        steps=steps,
    )


def _scratch_sql(names: Names) -> list[Statement]:
    return [*create_table(DOCTOR, names), create_streaming_pipe(DOCTOR, names), *table_grants(DOCTOR, names)]


def _plain(text: str, field: str) -> str:
    """Give an answer that is plain text (measured), or a field of JSON (as one page has it)."""
    text = text.strip()
    if not text.startswith("{"):
        return text
    try:
        return str(msgspec.json.decode(text, type=dict[str, object]).get(field, text))
    except msgspec.DecodeError:
        return text


def _message(text: str) -> str:
    """Give what an answer says in words: the message of its JSON, or its beginning."""
    try:
        said = msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError:
        return text.strip()[:200]
    return f"{said.get('code') or said.get('error_code') or ''} {said.get('message') or ''}".strip()[:400]
