# The warehouse and Airflow in one image; docker-compose.yml runs each part of it. The image holds code only: state, keys and
# secrets are mounted.
FROM python:3.11-slim AS build
WORKDIR /opt/warehouse
COPY requirements.lock requirements-uv.lock pyproject.toml ./
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r requirements-uv.lock \
 && /opt/venv/bin/uv pip install --no-cache --python /opt/venv/bin/python --require-hashes -r requirements.lock
COPY warehouse warehouse
RUN /opt/venv/bin/uv pip install --no-cache --python /opt/venv/bin/python --no-deps --no-build-isolation --editable .

FROM python:3.11-slim
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 WAREHOUSE_HOME=/var/lib/warehouse
COPY --from=build /opt/venv /opt/venv
WORKDIR /opt/warehouse
COPY pyproject.toml ./
COPY docker docker
COPY dags dags
COPY expectations expectations
COPY dbt_project dbt_project
COPY warehouse warehouse
# Nobody in particular: docker-compose.yml names the user that owns the mounted folders.
USER 65534:65534
