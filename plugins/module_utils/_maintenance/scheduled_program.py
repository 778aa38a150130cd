# Copyright: Contributors to the mlops.mlflow_aws project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE and must only be used by the mlops.mlflow_aws collection itself. It may change or
# disappear without notice.
"""A program that a task of the server's image runs on a schedule: another program, and what has to be around it.

It is sent to the task as text, and the other one in a variable, so both import nothing of this collection.

- With settings that have not run yet it lists only. What it has found then is in the bucket, for people to read.
- Schedules start at least once (EventBridge Scheduler User Guide), so a second task may start while one is at it: it
  leaves the work to the first.
- While a verb works on the deployment, or it is stopped, it leaves the work to the next time.
- What fails, or takes too long, is told to the dead-letter queue, on which there is an alarm.

What is printed goes to the log: numbers and ids, no value of the database.
"""

from __future__ import annotations

import datetime
import importlib
import json
import os
import signal
import sys
import tempfile
import typing

Found = dict[str, typing.Any]


class Failed(Exception):
    """Something of the work could not be done, or took too long."""


def client(service: str) -> typing.Any:
    return importlib.import_module("boto3").client(service)


def program() -> typing.Any:
    """Return the other program, as a module."""
    folder = tempfile.mkdtemp()
    with open(os.path.join(folder, "job.py"), "w", encoding="utf-8") as file:
        file.write(os.environ["PROGRAM"])
    sys.path.insert(0, folder)
    return importlib.import_module("job")


def busy_with() -> str:
    """Return what keeps the deployment busy, by the tags of its service; empty if nothing does."""
    listed = client("ecs").list_tags_for_resource(resourceArn=os.environ["SERVICE_ARN"])["tags"]
    if any(one["key"].startswith(os.environ["LOCK_PREFIX"]) for one in listed):
        return "a verb works on the deployment"
    return "the deployment is stopped" if any(one["key"] == os.environ["STOPPED_KEY"] for one in listed) else ""


def read(s3: typing.Any) -> Found:
    """Return what the last run has left; empty if there was none."""
    try:
        answer = s3.get_object(Bucket=os.environ["REPORT_BUCKET"], Key=os.environ["REPORT_KEY"])
    except s3.exceptions.NoSuchKey:
        return {}
    found: Found = json.loads(answer["Body"].read())
    return found


def write(s3: typing.Any, found: Found) -> None:
    body = json.dumps(found, indent=2).encode()
    s3.put_object(Bucket=os.environ["REPORT_BUCKET"], Key=os.environ["REPORT_KEY"], Body=body)


def work() -> str:
    """Do the work; return what was done, for the log.

    Raises:
        Failed: something of it could not be done.
    """
    if reason := busy_with():
        return f"Nothing was done: {reason}."
    s3 = client("s3")
    is_known = read(s3).get("settings") == os.environ["SETTINGS"]
    job = program()
    try:
        found = job.run(s3, is_known)
    except job.Busy as reason:
        return f"Nothing was done: {reason}."
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write(s3, {"time": now, "settings": os.environ["SETTINGS"], "only_listed": not is_known, "report": found})
    shown = json.dumps({**found, "failures": None})
    if found["failed"]:
        raise Failed(f"{found['failed']} could not be done, the rest was: {shown}")
    return f"{'Done' if is_known else 'Only listed, as these settings are new'}: {shown}"


def tell(reason: str) -> None:
    """Tell the dead-letter queue."""
    message = {"job": os.environ["JOB"], "service": os.environ["SERVICE_ARN"], "reason": reason}
    client("sqs").send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=json.dumps(message))


def give_up(_signal: int, _frame: typing.Any) -> None:
    raise Failed(f"it took more than {os.environ['TIME_LIMIT_SECONDS']} seconds")


def main() -> None:
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(int(os.environ["TIME_LIMIT_SECONDS"]))
    try:
        sys.stdout.write(f"{work()}\n")
    except Exception as trouble:
        # Values of the database may stand in a message of PostgreSQL's detail, so only its first line is shown.
        first = str(trouble).splitlines()[0] if str(trouble) else ""
        reason = f"{type(trouble).__name__}: {first}"
        sys.stderr.write(f"{reason}\n")
        signal.alarm(0)
        tell(reason)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
