# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
# A plugin of SQLAlchemy's ("sqlalchemy.plugins", CreateEnginePlugin), which a task installs before its server starts.
# The comments are left out there.
#
# MLflow creates an engine with a pool of its own for each store of each process: tracking, model registry, login,
# jobs. So a worker may open several times what MLFLOW_SQLALCHEMYSTORE_POOL_SIZE and MAX_OVERFLOW say. And it opens
# sessions within sessions, four deep at most (mlflow/store/tracking/sqlalchemy_store.py: log_batch, _set_tags,
# set_tag, update_run_info), on up to 40 threads (AnyIO's default): if each thread has taken the first of its
# connections and none is left for the second, all of them wait until they time out.
#
# Here all pools of a process together open no more connections than the smallest of them may, and only so many
# threads use connections at the same time that each can get all four of its own. The others wait in line.
import threading
import time
import weakref

from sqlalchemy import exc
from sqlalchemy.engine import CreateEnginePlugin
from sqlalchemy.pool import QueuePool

DEPTH = 4
_pools = weakref.WeakSet()
_changed = threading.Condition(threading.RLock())
_held = {}
_line = []


def threads(limit):
    return max(1, (limit - 1) // (DEPTH - 1))


class BoundedPool(QueuePool):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        with _changed:
            _pools.add(self)

    def _limit(self):
        return min(pool.size() + pool._max_overflow for pool in _pools)

    def _timed_out(self, deadline):
        if not _changed.wait(max(0, deadline - time.monotonic())) and time.monotonic() >= deadline:
            raise exc.TimeoutError(f"no database connection became free in {self._timeout} s: {self._limit()} are open")

    def connect(self):
        me = threading.get_ident()
        deadline = time.monotonic() + self._timeout
        with _changed:
            if me not in _held:
                self._wait_in_line(deadline)
            _held[me] = _held.get(me, 0) + 1
        try:
            connection = super().connect()
        except BaseException:
            self._let_go(me)
            raise
        connection.record_info["thread"] = me
        return connection

    def _wait_in_line(self, deadline):
        ticket = object()
        _line.append(ticket)
        try:
            while _line[0] is not ticket or len(_held) >= threads(self._limit()):
                self._timed_out(deadline)
        finally:
            _line.remove(ticket)
            _changed.notify_all()

    def _do_return_conn(self, record):
        # Before another thread may take the record.
        thread = record.record_info.pop("thread", None)
        try:
            super()._do_return_conn(record)
        finally:
            self._let_go(thread)

    def _let_go(self, thread):
        with _changed:
            if thread in _held:
                _held[thread] -= 1
                if not _held[thread]:
                    del _held[thread]
            _changed.notify_all()

    def _inc_overflow(self):
        deadline = time.monotonic() + self._timeout
        with _changed:
            while not self.checkedin():
                if sum(pool.size() + pool.overflow() for pool in _pools) < self._limit() or self._close_another():
                    return super()._inc_overflow()
                self._timed_out(deadline)
        return False

    def _close_another(self):
        for pool in _pools:
            if pool is not self and pool.checkedin():
                try:
                    record = pool._pool.get(False)
                except Exception:
                    continue
                record.close()
                pool._dec_overflow()
                return True
        return False


class BoundedPoolPlugin(CreateEnginePlugin):
    def __init__(self, url, kwargs):
        kwargs.setdefault("poolclass", BoundedPool)
        if kwargs["poolclass"] is BoundedPool:
            # As long as the load balancer waits for an answer. Before, MLflow would give up after 30 s.
            kwargs.setdefault("pool_timeout", 60)

    def update_url(self, url):
        return url
