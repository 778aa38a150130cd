# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.mlops.mlflow_aws.plugins.filter.database_connections import FilterModule

compare = FilterModule().filters()["database_connections"]


def test_the_sum_and_what_the_class_accepts():
    size = {
        "mlflow_workers": 3,
        "mlflow_db_pool_size": 4,
        "mlflow_db_pool_max_overflow": 3,
        "mlflow_job_execution": True,
    }
    found = compare({**size, "mlflow_db_instance_class": "db.t4g.micro"})
    assert found == {"needed": 64, "available": 79, "problem": "", "warning": ""}


def test_only_variables_can_be_compared():
    with pytest.raises(AnsibleFilterError):
        compare(["mlflow_workers"])
