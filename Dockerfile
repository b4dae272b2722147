# The server with a text upstream:
#   docker build -t idiolect .
# With a model in the process (DEP), on the CPU:
#   docker build -t idiolect:cpu --build-arg EXTRAS=serve,postgres,train .
# The same on NVIDIA GPUs; PyTorch's own wheels bring CUDA, the host needs its driver and the container toolkit:
#   docker build -t idiolect:gpu --build-arg EXTRAS=serve,postgres,train --build-arg TORCH_INDEX= .
#   docker run --gpus all ... idiolect:gpu
FROM python:3.12-slim AS build
ARG EXTRAS=serve,postgres
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /src
RUN python -m venv /opt/idiolect
ENV PATH=/opt/idiolect/bin:$PATH
COPY pyproject.toml constraints.txt README.md LICENSE THIRD_PARTY.md ./
COPY src src
COPY recipes recipes
# The index of CPU builds is asked only if PyTorch is wanted. "==2.13.0" takes "2.13.0+cpu" there, before PyPI's build.
RUN case ",$EXTRAS," in *,train,* | *,encoders,* | *,minilm,* | *,all,*) extra=$TORCH_INDEX ;; *) extra= ;; esac; \
    pip install --no-cache-dir -c constraints.txt ${extra:+--extra-index-url "$extra"} ".[${EXTRAS}]"

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /data --no-create-home idiolect && install -d -o idiolect -m 0700 /data
COPY --from=build /opt/idiolect /opt/idiolect
ENV PATH=/opt/idiolect/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_OFFLINE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
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
