# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
# A plugin of MLflow's ("mlflow.artifact_repository"), which a task installs before its server starts. The comments
# are left out there.
#
# MLflow 3.15.0 to 3.17.2 tell every client to transfer artifacts by presigned URLs if the repository of --artifacts-
# destination is a MultipartUploadMixin or MultipartDownloadMixin (mlflow/server/handlers.py,
# build_server_info_payload), and have no setting for it; 3.18.0 has one. This repository is S3's without the mixins:
# it is announced as one that transfers through the server.
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository


class ProxiedS3ArtifactRepository(ArtifactRepository):
    def __init__(self, artifact_uri, tracking_uri=None, registry_uri=None):
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        self._s3 = S3ArtifactRepository(artifact_uri, tracking_uri=tracking_uri, registry_uri=registry_uri)

    def log_artifact(self, local_file, artifact_path=None):
        return self._s3.log_artifact(local_file, artifact_path)

    def log_artifacts(self, local_dir, artifact_path=None):
        return self._s3.log_artifacts(local_dir, artifact_path)

    def list_artifacts(self, path=None):
        return self._s3.list_artifacts(path)

    def delete_artifacts(self, artifact_path=None):
        return self._s3.delete_artifacts(artifact_path)

    def upload_archived_trace_data_bytes(self, data):
        return self._s3.upload_archived_trace_data_bytes(data)

    def _download_file(self, remote_file_path, local_path):
        return self._s3._download_file(remote_file_path, local_path)
