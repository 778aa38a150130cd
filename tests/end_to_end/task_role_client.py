# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users do with artifacts, through the server in MLFLOW_TRACKING_URI. Runs with MLflow's own Python.

Prints the run's id, with which everything was done.
"""

from __future__ import annotations

import os
import pathlib
import sys
import tempfile

import mlflow

PART = 5 * 1024 * 1024


class Echo(mlflow.pyfunc.PythonModel):
    """The smallest model that there is."""

    def predict(self, context, model_input, params=None):
        """Give back what was given."""
        return model_input


@mlflow.trace
def traced(number: int) -> int:
    """Something to be traced."""
    return number + 1


folder = pathlib.Path(tempfile.mkdtemp())
(folder / "small.txt").write_text("small")
large = os.urandom(2 * PART + 1)
(folder / "large.bin").write_bytes(large)
client = mlflow.MlflowClient()
mlflow.set_experiment("artifacts")
with mlflow.start_run() as run:
    mlflow.log_artifact(str(folder / "small.txt"))
    # In parts, by the client itself with presigned URLs; then through the server.
    mlflow.log_artifact(str(folder / "large.bin"), "parts")
    os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = "false"
    mlflow.log_artifact(str(folder / "large.bin"), "proxied")
    mlflow.log_text("text", "texts/one.txt")
    mlflow.pyfunc.log_model("model", python_model=Echo(), registered_model_name="echo", pip_requirements=[])
traced(1)

run_id = run.info.run_id
names = {item.path for item in client.list_artifacts(run_id)}
assert {"small.txt", "parts", "proxied", "texts"} <= names, names
for where in ("parts", "proxied"):
    fetched = client.download_artifacts(run_id, f"{where}/large.bin", str(folder / "fetched"))
    assert pathlib.Path(fetched).read_bytes() == large
assert mlflow.pyfunc.load_model("models:/echo/1").predict([1]) == [1]
client.delete_run(run_id)
sys.stdout.write(run_id)
