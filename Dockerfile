# The server with a text upstream; for DEP with a model in the process, build with --build-arg EXTRAS=serve,postgres,train
FROM python:3.12-slim AS build
ARG EXTRAS=serve,postgres
WORKDIR /src
RUN python -m venv /opt/idiolect
ENV PATH=/opt/idiolect/bin:$PATH
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir -c constraints.txt ".[${EXTRAS}]"

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /data --no-create-home idiolect && install -d -o idiolect -m 0700 /data
COPY --from=build /opt/idiolect /opt/idiolect
ENV PATH=/opt/idiolect/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_OFFLINE=1 \
    IDIOLECT_SERVE_HOST=0.0.0.0 \
    IDIOLECT_SERVE_DATA=/data
USER idiolect
WORKDIR /data
VOLUME /data
EXPOSE 8765
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8765/readyz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["idiolect"]
CMD ["serve"]
