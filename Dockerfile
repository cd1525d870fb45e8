# The book's environment with the pins of constraints.txt; it starts JupyterLab on the notebooks, at port 8888.
#   CPU: docker build -t rp-book .
#        docker run --rm -p 8888:8888 rp-book
#   GPU: docker build -t rp-book:cuda --build-arg BASE=nvidia/cuda:12.8.1-base-ubuntu24.04 --build-arg WHEELS= .
#        docker run --rm --gpus all -p 8888:8888 rp-book:cuda
ARG BASE=ubuntu:24.04
FROM ${BASE}

# Where PyTorch's wheels for a CPU are. Without it come those of PyPI, which bring CUDA and its libraries.
ARG WHEELS=https://download.pytorch.org/whl/cpu
ENV PIP_EXTRA_INDEX_URL=${WHEELS}

RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates git make python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home reader && install -d -o reader -g reader /home/reader/book
USER reader
WORKDIR /home/reader/book
COPY --chown=reader:reader . .
RUN make .venv/.lab-installed

EXPOSE 8888
CMD [".venv/bin/python", "-m", "jupyterlab", "--ip=0.0.0.0", "--no-browser", "notebooks"]
