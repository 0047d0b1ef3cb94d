"""Snowpipe's calls and a session's, by hand-written requests; what must be answered: docs/emulator.md."""

import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import requests

from tests.emulator.test_wire import TABLES, jwt
from tests.faults.process import eventually
from thirdrail.emulator.server import EmulatorServer

PIPE = "/v1/data/pipes/DB.SC.TRIPS_FILES_PIPE"
GOOD = pl.DataFrame({"ID": [1, 2], "NAME": ["a", None], "AT": [None, None]}, schema_overrides={"AT": pl.Datetime("us")})


class Hand:
    """Sends one request at a time."""

    def __init__(self, server: EmulatorServer) -> None:
        self.server, self._session = server, requests.Session()
        self._session.trust_env = False
        self._session.verify = str(server.ca_file)
        self.login = self.call(
            "POST", "/session/v1/login-request", json={"data": {"AUTHENTICATOR": "SNOWFLAKE_JWT", "TOKEN": self.jwt}}
        )
        self.token = self.login.json()["data"]["token"]

    @property
    def jwt(self) -> str:
        return jwt(self.server.key_file, per_second=1)

    def call(self, method: str, path: str, bearer: str = "", **given: object) -> requests.Response:
        headers = {"Authorization": bearer} if bearer else {}
        return self._session.request(method, self.server.url + path, headers=headers, timeout=10, **given)  # type: ignore[arg-type]

    def pipe(self, method: str, call: str, **given: object) -> requests.Response:
        return self.call(method, f"{PIPE}/{call}", f"Bearer {self.jwt}", **given)

    def insert(self, *paths: str) -> requests.Response:
        return self.pipe("POST", "insertFiles?requestId=r", json={"files": [{"path": path} for path in paths]})

    def sql(self, text: str, token: str | None = None) -> dict[str, object]:
        bearer = f'Snowflake Token="{self.token if token is None else token}"'
        answer = self.call("POST", "/queries/v1/query-request?requestId=q", bearer, json={"sqlText": text})
        assert answer.status_code == 200
        return dict(answer.json())

    def put(self, path: str, frame: pl.DataFrame) -> None:
        """Write a file where PUT says that the connector should."""
        folder, _, name = path.rpartition("/")
        told = self.sql(f"PUT 'file:///tmp/{name}' '@DB.SC.THIRDRAIL_STAGE/main/trips/{folder}/' AUTO_COMPRESS = FALSE")
        place = told["data"]["stageInfo"]  # type: ignore[index]
        assert place["locationType"] == "LOCAL_FS"
        frame.write_parquet(Path(place["location"]) / name)

    def fates(self) -> dict[str, dict[str, object]]:
        found = self.pipe("GET", "loadHistoryScan?startTimeInclusive=2020-01-01T00:00:00Z").json()["files"]
        return {each["path"]: each for each in found}

    def ids(self) -> list[int]:
        return self.server.storage.rows("trips").column("id").to_pylist()


@pytest.fixture
def hand(tmp_path: Path) -> Iterator[Hand]:
    with EmulatorServer(tmp_path, tables=TABLES, commit_delay_s=0.1) as server:
        made = Hand(server)
        yield made
        made._session.close()


def test_a_session_begins_with_a_key_pair_and_with_nothing_else(hand: Hand) -> None:
    assert hand.login.json()["success"] is True
    assert hand.sql("SELECT 1")["data"]["rowset"] == [["1"]]  # type: ignore[index]
    for wrong in ({"AUTHENTICATOR": "SNOWFLAKE_JWT", "TOKEN": hand.jwt[:-4] + "AAAA"}, {"PASSWORD": "x"}):
        answer = hand.call("POST", "/session/v1/login-request", json={"data": wrong}).json()
        assert (answer["success"], answer["code"]) == (False, "390144")
    assert hand.sql("SELECT 1", token="other")["code"] == "390112"
    hand.call("POST", "/session?delete=true", f'Snowflake Token="{hand.token}"')
    assert hand.sql("SELECT 1")["code"] == "390112"


def test_files_are_put_listed_and_removed_by_their_prefix(hand: Hand) -> None:
    for path in ("log/0/0-5.parquet", "log/0/5-9.parquet"):
        hand.put(path, GOOD)
    listed = hand.sql("LIST '@DB.SC.THIRDRAIL_STAGE/main/trips/'")["data"]["rowset"]  # type: ignore[index]
    assert [row[0] for row in listed] == [f"thirdrail_stage/main/trips/log/0/{name}.parquet" for name in ("0-5", "5-9")]
    assert all(int(row[1]) > 100 and len(row[2]) == 32 and row[3].endswith(" GMT") for row in listed)
    hand.sql("REMOVE '@DB.SC.THIRDRAIL_STAGE/main/trips/log/0/0-5'")
    assert len(hand.sql("LIST '@DB.SC.THIRDRAIL_STAGE/main/trips/'")["data"]["rowset"]) == 1  # type: ignore[index]


@pytest.mark.parametrize(
    "text", ["DROP TABLE trips", "PUT 'file:///tmp/x' '@DB.SC.THIRDRAIL_STAGE/../../'", "SELECT 2"]
)
def test_another_statement_is_refused(hand: Hand, text: str) -> None:
    assert hand.sql(text)["success"] is False


def test_a_submitted_file_is_loaded_later_and_a_name_once(hand: Hand) -> None:
    hand.server.storage.commit_delay_s = 0.6
    hand.put("log/0/0-5.parquet", GOOD)
    answer = hand.insert("log/0/0-5.parquet")
    assert (answer.status_code, answer.json()["responseCode"]) == (200, "SUCCESS")
    assert hand.ids() == []
    assert hand.pipe("GET", "insertReport").json()["files"] == []
    eventually(lambda: hand.ids() == [1, 2], 10, "it is loaded")
    hand.put("log/0/0-5.parquet", GOOD.with_columns(ID=pl.lit(7)))
    assert hand.insert("log/0/0-5.parquet").status_code == 200
    time.sleep(1.0)
    assert hand.ids() == [1, 2]
    (fate,) = hand.fates().values()
    assert (fate["status"], fate["rowsInserted"], fate["errorsSeen"], fate["complete"]) == ("LOADED", 2, 0, True)
    report = hand.pipe("GET", "insertReport").json()
    assert [each["path"] for each in report["files"]] == ["log/0/0-5.parquet"]


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (None, "was not found"),
        (b"no parquet at all", "is not Parquet"),
        (GOOD.with_columns(ID=pl.lit(None, pl.Int64)), "non-nullable column 'ID'"),
        (GOOD.with_columns(ID=pl.lit("x")), "conversion"),
    ],
)
def test_a_file_that_does_not_fit_is_left_out_whole_and_told(
    hand: Hand, file: pl.DataFrame | bytes | None, said: str
) -> None:
    if isinstance(file, pl.DataFrame):
        hand.put("log/0/0-5.parquet", file)
    elif file is not None:
        hand.put("log/0/0-5.parquet", GOOD)
        next((hand.server.folder / "stages").rglob("*.parquet")).write_bytes(file)
    hand.insert("log/0/0-5.parquet")
    eventually(hand.fates, 10, "it is told of")
    (fate,) = hand.fates().values()
    assert (fate["status"], fate["rowsInserted"]) == ("LOAD_FAILED", 0)
    assert said in str(fate["firstError"])
    assert hand.ids() == []


def test_who_has_no_jwt_no_pipe_or_too_many_files_is_refused(hand: Hand) -> None:
    assert hand.call("POST", f"{PIPE}/insertFiles", "Bearer x", json={"files": []}).status_code == 401
    other = PIPE.replace("TRIPS", "BUSES")
    assert hand.call("POST", f"{other}/insertFiles", f"Bearer {hand.jwt}", json={"files": []}).status_code == 404
    assert hand.insert(*(f"{number}.parquet" for number in range(5_001))).status_code == 400


def test_what_was_accepted_survives_and_is_loaded_at_the_next_start(tmp_path: Path) -> None:
    with EmulatorServer(tmp_path, tables=TABLES, commit_delay_s=60) as server:
        hand = Hand(server)
        hand.put("log/0/0-5.parquet", GOOD)
        hand.insert("log/0/0-5.parquet")
        hand._session.close()
    with EmulatorServer(tmp_path, tables=TABLES, commit_delay_s=0) as server:
        eventually(lambda: server.storage.rows("trips").num_rows == 2, 10, "it is loaded")
