"""The read-only Iceberg REST catalog: its routes, who may ask, and PyIceberg's own client against it."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import ForbiddenError, NoSuchTableError, UnauthorizedError
from sqlalchemy.exc import OperationalError

from tests.contract.test_sinks import commit, pairs, wanted
from tests.fakes.clock import FakeClock
from tests.simulation.test_commit import EVENTS
from thirdrail.errors import UsageError
from thirdrail.query.rest import CatalogServer
from thirdrail.sinks.iceberg.catalog import LocalCatalog, open_catalog
from thirdrail.sinks.iceberg.sink import IcebergSink, IcebergWriter

EVENTS_PATH = "/v1/namespaces/mta/tables/events"


@pytest.fixture
def catalog(tmp_path: Path) -> LocalCatalog:
    return open_catalog(tmp_path, create=True)


@pytest.fixture
def writer(catalog: LocalCatalog) -> IcebergWriter:
    writer = IcebergSink(catalog, FakeClock()).open(EVENTS, "log", "0")
    commit(writer, 0, 9)
    return writer


@pytest.fixture
def server(catalog: LocalCatalog, writer: IcebergWriter) -> Iterator[CatalogServer]:
    with CatalogServer(catalog) as server:
        yield server


def ask(url: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None) -> Any:
    """Give the status and the JSON of an answer."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def test_pyiceberg_attaches_it_and_sees_each_commit(server: CatalogServer, writer: IcebergWriter) -> None:
    client = RestCatalog("city", uri=server.url)
    assert client.list_namespaces() == [("mta",)]
    assert client.list_tables("mta") == [("mta", "events")]
    assert client.table_exists("mta.events")
    assert not client.table_exists("mta.nothing")
    assert client.namespace_exists("mta")
    assert pairs(client.load_table("mta.events").scan().to_arrow()) == wanted(0, 9)
    commit(writer, 9, 14)
    assert pairs(client.load_table("mta.events").scan().to_arrow()) == wanted(0, 14)
    with pytest.raises(NoSuchTableError):
        client.load_table("mta.nothing")


def test_the_metadata_is_the_file_as_it_stands(server: CatalogServer, catalog: LocalCatalog) -> None:
    location = catalog.load_table("mta.events").metadata_location
    status, told = ask(server.url + EVENTS_PATH)
    assert status == 200
    assert told["metadata-location"] == location
    assert told["metadata"] == json.loads(Path(location.removeprefix("file://")).read_text())


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("POST", "/v1/namespaces", 403, "ForbiddenException"),
        ("POST", EVENTS_PATH, 403, "ForbiddenException"),
        ("DELETE", EVENTS_PATH, 403, "ForbiddenException"),
        ("POST", "/v1/tables/rename", 403, "ForbiddenException"),
        ("PUT", "/v1/namespaces/mta", 403, "ForbiddenException"),
        ("GET", "/v1/namespaces/nowhere", 404, "NoSuchNamespaceException"),
        ("GET", "/v1/namespaces/nowhere/tables", 404, "NoSuchNamespaceException"),
        ("GET", "/v1/namespaces/mta/tables/nothing", 404, "NoSuchTableException"),
        ("GET", "/v1/namespaces/mta%1Fevents/tables/snapshots", 404, "NoSuchTableException"),
        ("GET", "/v1/namespaces/mta/functions", 404, "NoSuchElementException"),
        ("GET", "/", 404, "NoSuchElementException"),
        ("GET", "/../../etc/passwd", 404, "NoSuchElementException"),
    ],
)
def test_what_it_does_not_do_it_says_in_the_specifications_form(
    server: CatalogServer, method: str, path: str, status: int, kind: str
) -> None:
    body = b"{}" if method in ("POST", "PUT") else None
    code, told = ask(server.url + path, method, body=body)
    assert (code, told["error"]["code"], told["error"]["type"]) == (status, status, kind)
    assert told["error"]["message"]


def test_nothing_is_written_by_a_client_that_tries(server: CatalogServer, catalog: LocalCatalog) -> None:
    location = catalog.load_table("mta.events").metadata_location
    client = RestCatalog("city", uri=server.url)
    with pytest.raises((ForbiddenError, NotImplementedError)):
        client.load_table("mta.events").delete()
    with pytest.raises((ForbiddenError, NotImplementedError)):
        client.drop_table("mta.events")
    assert catalog.load_table("mta.events").metadata_location == location


def test_a_namespace_has_none_below_it(server: CatalogServer) -> None:
    """Whoever walks down the tree would otherwise never come back."""
    assert ask(f"{server.url}/v1/namespaces") == (200, {"namespaces": [["mta"]]})
    assert ask(f"{server.url}/v1/namespaces?parent=mta") == (200, {"namespaces": []})


def test_heads_and_reports_of_metrics_get_no_body(server: CatalogServer) -> None:
    assert ask(server.url + EVENTS_PATH, "HEAD") == (204, None)
    assert ask(f"{server.url}/v1/namespaces/mta", "HEAD") == (204, None)
    assert ask(f"{server.url}/v1/namespaces/nowhere", "HEAD") == (404, None)
    assert ask(f"{server.url}{EVENTS_PATH}/metrics", "POST", body=b'{"report-type": "scan-report"}') == (204, None)


def test_one_connection_asks_many_times(server: CatalogServer) -> None:
    """A body that nobody reads would be taken for the next request."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    for method, path, body, status in (
        ("POST", EVENTS_PATH + "/metrics", b'{"a": 1}', 204),
        ("POST", EVENTS_PATH, b'{"updates": []}', 403),
        ("HEAD", EVENTS_PATH, None, 204),
        ("GET", EVENTS_PATH, None, 200),
    ):
        connection.request(method, path, body)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()


def test_with_a_token_nobody_reads_without_it(catalog: LocalCatalog, writer: IcebergWriter) -> None:
    with CatalogServer(catalog, token="open sesame") as server:
        assert ask(f"{server.url}/v1/config")[0] == 401
        code, told = ask(server.url + EVENTS_PATH, headers={"Authorization": "Bearer wrong"})
        assert (code, told["error"]["type"]) == (401, "NotAuthorizedException")
        assert "sesame" not in str(told)
        with pytest.raises(UnauthorizedError):
            RestCatalog("city", uri=server.url)
        client = RestCatalog("city", uri=server.url, token="open sesame")
        assert pairs(client.load_table("mta.events").scan().to_arrow()) == wanted(0, 9)


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_others_are_not_served_without_a_token(catalog: LocalCatalog, bind: str) -> None:
    with pytest.raises(UsageError, match="that wants a token"):
        CatalogServer(catalog, bind=bind)


def test_a_port_that_is_taken_is_said(catalog: LocalCatalog, server: CatalogServer) -> None:
    with pytest.raises(UsageError, match="cannot be served: Address already in use"):
        CatalogServer(catalog, port=int(server.url.rsplit(":", 1)[1]))


def test_a_catalog_that_cannot_be_read_is_said_and_the_server_lives_on(
    server: CatalogServer, monkeypatch: pytest.MonkeyPatch, catalog: LocalCatalog
) -> None:
    def broken(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("disk I/O error"))

    with monkeypatch.context() as patch:
        patch.setattr(catalog, "load_table", broken)
        code, told = ask(server.url + EVENTS_PATH)
    assert (code, told["error"]["type"]) == (503, "ServiceUnavailableException")
    assert "disk I/O error" in told["error"]["message"]
    assert ask(server.url + EVENTS_PATH)[0] == 200


def test_a_body_that_is_too_large_is_not_read(server: CatalogServer) -> None:
    code, told = ask(server.url + EVENTS_PATH, "POST", headers={"Content-Length": "9999999"}, body=b"{}")
    assert (code, told["error"]["message"]) == (413, "the request is too large")
