# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server's pools promise, with connections that only count. Runs with MLflow's own Python."""

from __future__ import annotations

import contextlib
import sys
import threading

import mlflow_bounded_pool
from sqlalchemy import exc

SIZE, OVERFLOW, THREADS = 4, 3, 40
LIMIT = SIZE + OVERFLOW


class Connection:
    """Counts that it is open."""

    lock = threading.Lock()
    now = peak = 0

    def __init__(self) -> None:
        with self.lock:
            Connection.now += 1
            Connection.peak = max(self.peak, self.now)

    def rollback(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Count that it is closed."""
        with self.lock:
            Connection.now -= 1


def pool(timeout: float = 30) -> mlflow_bounded_pool.BoundedPool:
    """One as MLflow makes it for a store."""
    return mlflow_bounded_pool.BoundedPool(Connection, pool_size=SIZE, max_overflow=OVERFLOW, timeout=timeout)


def nested(one: mlflow_bounded_pool.BoundedPool, depth: int) -> None:
    """Hold a connection while the next one is asked for, as log_batch does."""
    if depth:
        connection = one.connect()
        nested(one, depth - 1)
        connection.close()


def at_once(work: list[threading.Thread]) -> None:
    """Start all, and wait for all."""
    for thread in work:
        thread.start()
    for thread in work:
        thread.join(300)
        assert not thread.is_alive(), "they wait for each other"


# The last one is larger, as one would be that somebody else's login makes.
stores = [*(pool() for _n in range(3)), mlflow_bounded_pool.BoundedPool(Connection, pool_size=5, max_overflow=10)]
barrier = threading.Barrier(THREADS)


def request(number: int) -> None:
    """One request: the login first, then another store, several sessions deep."""
    barrier.wait()
    for _n in range(20):
        nested(stores[0], 1)
        nested(stores[1 + number % 3], mlflow_bounded_pool.DEPTH)


failed: list[BaseException | None] = []
threading.excepthook = lambda args: failed.append(args.exc_value)
at_once([threading.Thread(target=request, args=(number,)) for number in range(THREADS)])
assert not failed, failed
assert 1 < Connection.peak <= LIMIT, Connection.peak
assert Connection.now <= LIMIT

# A thread that holds all is not waited for without end, and what it held can be used afterwards.
last = pool(timeout=0.2)
held = [last.connect() for _n in range(LIMIT)]
try:
    last.connect()
except exc.TimeoutError:
    pass
else:
    raise AssertionError("there was one more than the limit")
assert Connection.now == LIMIT
for connection in held:
    connection.close()
at_once([threading.Thread(target=nested, args=(last, 4)) for _n in range(4)])
assert not failed, failed


# A connection that cannot be opened takes no place of the others.
def refuse() -> None:
    """Fail as a database does that is down."""
    raise OSError("refused")


broken = mlflow_bounded_pool.BoundedPool(refuse, pool_size=SIZE, max_overflow=OVERFLOW, timeout=0.2)
for _n in range(2 * LIMIT):
    with contextlib.suppress(OSError):
        broken.connect()
nested(last, 4)
assert mlflow_bounded_pool._held == {}
sys.stdout.write(f"{Connection.peak} of {LIMIT}\n")
