"""The doctor's steps of the method ``snowpipe``. Nothing is loaded: a scratch file is put where no pipe reads."""

import tempfile
from pathlib import Path

from thirdrail.errors import SnowflakeRefused
from thirdrail.model.tables import TABLES
from thirdrail.model.tables.doctor import DOCTOR
from thirdrail.sinks.snowflake.access_sql import pipe_grants, stage_grants
from thirdrail.sinks.snowflake.account import Account
from thirdrail.sinks.snowflake.examination import AtFault
from thirdrail.sinks.snowflake.statements import STAGE, Names
from thirdrail.sinks.snowflake.tables_sql import files_pipe
from thirdrail.sinks.snowpipe.clients import vendors

FILE_STEPS = ("key", "network", "token", "stage", "pipes")
_BOUND_S = 5.0


def use_stage(account: Account, names: Names, run_id: str) -> str:
    """Put, list and remove a file, by a session; say what was done.

    Raises:
        AtFault: one of the three is refused.
    """
    clients = vendors()
    session = clients.session.Session(account, timeout_seconds=_BOUND_S)
    stage = clients.session.SessionStage(session, names.of(STAGE), names.deployment, DOCTOR.name)
    name = f"{run_id}.txt"
    try:
        with tempfile.TemporaryDirectory(prefix="thirdrail-doctor-") as folder:
            file = Path(folder) / "file"
            file.write_text("written by `thirdrail snowflake doctor`, which removes it\n")
            stage.put(file, name)
        if name not in {each.path for each in stage.files()}:
            raise AtFault(f"a file was put on {STAGE} and is not listed there", "ask Snowflake with this text")
        stage.remove(name)
    except SnowflakeRefused as error:
        grants = "\n".join(each.text for each in stage_grants(names))
        raise AtFault(str(error), f"run what `thirdrail snowflake ddl` prints; of it\n{grants}") from error
    finally:
        session.close()
    return f"a file was put on {names.of(STAGE)}, listed and removed"


def ask_file_pipes(account: Account, names: Names) -> str:
    """Ask every table's pipe what it has loaded.

    Raises:
        AtFault: some do not answer the role.
    """
    pipe_of = vendors().pipe.RestPipe

    def is_deaf(pipe: str) -> bool:
        try:
            pipe_of(account, pipe, timeout_seconds=_BOUND_S).recent()
        except SnowflakeRefused:
            return True
        return False

    deaf = [table for table in TABLES if is_deaf(files_pipe(table))]
    if deaf:
        grants = [each.text for table in deaf for each in pipe_grants(table, names) if files_pipe(table) in each.sql]
        raise AtFault(
            f"of {len(TABLES)} pipes for files, {len(deaf)} are missing or not granted to role {names.role}: "
            f"{', '.join(map(files_pipe, deaf))}",
            "run what `thirdrail snowflake ddl` prints; if they are there, the grant is missing:\n" + "\n".join(grants),
        )
    return f"all {len(TABLES)} pipes for files of {names.database}.{names.schema} tell what they have loaded"
