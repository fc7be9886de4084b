# The images of docker-compose.yaml: `airflow`, `deploy` (the init job and make compose-run), `emr` (the EMR emulator), `serving`
# (the prediction service, also for production). Versions and hashes: local/compose/requirements/*.txt, serving/requirements.txt.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin fruits \
 && install -d -o fruits -g fruits /opt/airflow /var/lib/fruits
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/fruits:/opt/fruits/plugins:/opt/fruits/spark_apps \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp LANG=C.UTF-8
WORKDIR /opt/fruits

FROM ${PYTHON_IMAGE} AS airflow-packages
COPY local/compose/requirements/airflow.txt /requirements.txt
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --quiet --require-hashes --no-deps --only-binary :all: -r /requirements.txt

FROM ${PYTHON_IMAGE} AS emr-packages
COPY local/compose/requirements/emr.txt /requirements.txt
# pyspark is published as source only; it is unpacked, there is nothing to compile
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --quiet --require-hashes --no-deps -r /requirements.txt

FROM ${PYTHON_IMAGE} AS serving-packages
COPY serving/requirements.txt /requirements.txt
# ai-edge-litert requires backports-strenum, which declares Python < 3.11 but works
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --quiet --require-hashes --no-deps --only-binary :all: --ignore-requires-python -r /requirements.txt

# Exports the extractor with TensorFlow and downloads the nodes' wheels; only the results go into an image.
FROM ${PYTHON_IMAGE} AS release-parts
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/fruits:/opt/fruits/plugins SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
COPY local/compose/requirements/extractor.txt /requirements.txt
# ai-edge-litert requires backports-strenum, which declares Python < 3.11 but works
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --quiet --require-hashes --no-deps --ignore-requires-python -r /requirements.txt
WORKDIR /opt/fruits
COPY bootstrap/*requirements*.txt bootstrap/
COPY release/__init__.py release/extractor.py release/weights.py release/wheelhouse.py release/weights-requirements.txt release/
RUN --mount=type=cache,target=/root/.cache/pip python -m release.extractor \
 && python -c "from pathlib import Path; from release.wheelhouse import ensure; ensure(Path('bootstrap/requirements.txt'))"

FROM base AS airflow
COPY --from=airflow-packages /opt/venv /opt/venv
COPY plugins plugins
COPY dags dags
COPY local/compose/aws-config local/compose/healthy.py local/compose/
USER fruits

FROM airflow AS deploy
COPY --from=release-parts /opt/fruits/.fruits/cache .fruits/cache
COPY spark_apps spark_apps
COPY bootstrap bootstrap
COPY release release
COPY infra infra
COPY local local

FROM base AS serving
COPY --from=serving-packages /opt/venv /opt/venv
COPY local/compose/aws-config local/compose/healthy.py local/compose/
COPY plugins/fruits_contract plugins/fruits_contract
COPY spark_apps/fruits spark_apps/fruits
COPY serving serving
USER fruits
CMD ["python", "-m", "serving"]

FROM base AS emr
COPY --from=emr-packages /opt/venv /opt/venv
# S3A for Spark 3.5: the files of local/stack/spark_templates/jars-spark35.sha256; a test compares the two
ADD --chmod=644 --checksum=sha256:06fed99f929c389e168278c1b111aaf1afb270d07202fbbce92e73d1e4279678 https://repo1.maven.org/maven2/com/amazonaws/aws-java-sdk-core/1.12.262/aws-java-sdk-core-1.12.262.jar .fruits/cache/jars/spark35/
ADD --chmod=644 --checksum=sha256:7af4ba06d0d9b3c2ab435089caecd0567810d203aa285f7aa72861f1964d442e https://repo1.maven.org/maven2/com/amazonaws/aws-java-sdk-dynamodb/1.12.262/aws-java-sdk-dynamodb-1.12.262.jar .fruits/cache/jars/spark35/
ADD --chmod=644 --checksum=sha256:a0cb7580178bc0d4d3558295a5bb890008478da8a6b3241989c71238b0ed3be5 https://repo1.maven.org/maven2/com/amazonaws/aws-java-sdk-s3/1.12.262/aws-java-sdk-s3-1.12.262.jar .fruits/cache/jars/spark35/
ADD --chmod=644 --checksum=sha256:53f9ae03c681a30a50aa17524bd9790ab596b28481858e54efd989a826ed3a4a https://repo1.maven.org/maven2/org/apache/hadoop/hadoop-aws/3.3.4/hadoop-aws-3.3.4.jar .fruits/cache/jars/spark35/
ADD --chmod=644 --checksum=sha256:9c9be6d3e185c2c9f53e66f8781f0fa32944882ced2c5c08945a78eb2f989ced https://repo1.maven.org/maven2/org/apache/spark/spark-hadoop-cloud_2.12/3.5.8/spark-hadoop-cloud_2.12-3.5.8.jar .fruits/cache/jars/spark35/
COPY local local
USER fruits
