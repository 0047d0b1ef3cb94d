"""``audit`` and ``quarantine accept``: rows that a sink refused are asked for until a person has given them up."""

from pathlib import Path

from tests.cli.conftest import Command
from tests.pipeline.test_agreement import CONFIG, take_in
from tests.pipeline.test_rejections import STOPS, rejection
from thirdrail import app
from thirdrail.app.data_folder import DataFolder


def test_audit_is_not_ok_until_a_person_has_given_the_rows_up(thirdrail: Command, tmp_path: Path) -> None:
    data = tmp_path / "there"
    take_in(data, 0, 1)
    with app.writing(data, CONFIG) as work:
        work.append([(rejection(places=(), rows=({"last": "x"},)), None)])
        work.drain(app.Totals())
    place = ("--data", data)
    (found,) = app.audit(DataFolder.existing(data), None).rejected
    assert (found["target_table"], found["sink"], found["reason"]) == (STOPS.name, "snowflake", "a test's")
    audited = thirdrail("audit", *place)
    assert audited.code == 1
    assert "not ok" in audited.out
    assert thirdrail("quarantine", "accept", "a/1/b/-/0", *place).code != 0
    assert thirdrail("quarantine", "accept", str(found["quarantine_id"]), *place).out == "1 accepted as lost\n"
    assert thirdrail("audit", *place).code == 0
    assert thirdrail("quarantine", "accept", str(found["quarantine_id"]), *place).code != 0
