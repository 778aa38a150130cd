# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user of MLflow does, with nothing but what the deployment has printed. Runs with MLflow's own Python.

Uploads and downloads a small file, one in several parts and a model, and writes and reads a trace.
"""

from __future__ import annotations

import os
import pathlib
import sys
import tempfile

# Only makes a file of 11 MiB one that the client transfers in parts, where it does so with files of 500 MiB by default.
PART = 5 * 1024 * 1024
os.environ["MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE"] = str(PART)
os.environ["MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE"] = str(PART)
os.environ["MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE"] = str(PART)

import mlflow  # noqa: E402 - its settings come first


class Echo(mlflow.pyfunc.PythonModel):
    """Returns its input."""

    def predict(self, context, model_input, params=None):
        """Return the input."""
        return model_input


@mlflow.trace
def traced(number: int) -> int:
    """Return the next number."""
    return number + 1


folder = pathlib.Path(tempfile.mkdtemp())
large = os.urandom(2 * PART + 1)
(folder / "large.bin").write_bytes(large)
mlflow.set_experiment("bare client")
with mlflow.start_run() as run:
    mlflow.log_text("7 bytes", "small.txt")
    mlflow.log_artifact(str(folder / "large.bin"))
    model = mlflow.pyfunc.log_model(name="model", python_model=Echo(), pip_requirements=[])
small = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="small.txt")
assert pathlib.Path(small).read_text() == "7 bytes"
fetched = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="large.bin")
assert pathlib.Path(fetched).read_bytes() == large
assert mlflow.pyfunc.load_model(model.model_uri).predict([1]) == [1]
traced(1)
mlflow.flush_trace_async_logging()
trace = mlflow.get_trace(mlflow.get_last_active_trace_id())
assert trace is not None and trace.data.spans[0].outputs == 2
sys.stdout.write("all of it\n")
