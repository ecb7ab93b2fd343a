# The CPU environment of one framework, with this checkout in it:
#   docker build -t threadweaver .      or, of OpenRLHF: --build-arg FRAMEWORK=openrlhf
#   docker run --rm -it --shm-size=4g -v "$PWD/runs:/threadweaver/runs" threadweaver make quickstart
FROM python:3.11-slim-bookworm
ARG FRAMEWORK=verl
# g++ compiles DeepSpeed's operators; bubblewrap runs programs for `verifier=code`; procps is Ray's.
RUN apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap ca-certificates curl g++ git make procps \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /threadweaver
COPY . .
RUN make setup FRAMEWORK=$FRAMEWORK
ENV FRAMEWORK=$FRAMEWORK PATH=/threadweaver/.venv/$FRAMEWORK/bin:$PATH
CMD ["threadweaver", "doctor"]
