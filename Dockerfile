# An image of `boxcar` that runs as any user, on a read-only root file system, with its state on a volume.
#
#     docker build --tag boxcar .
#
# Behind a company's proxy or package mirror, hand over what npm needs as build secrets. They are mounted while npm runs and
# stay out of the image:
#
#     docker build --secret id=ca,src=company-ca.pem --secret id=npmrc,src=$HOME/.npmrc --tag boxcar .
#
# `ca` is a PEM bundle of the authorities npm shall trust, `npmrc` names the mirror and the token for it.

# Any image with Node 22.19 or newer and npm.
ARG BASE=node:24-bookworm-slim

FROM ${BASE} AS build
WORKDIR /opt/boxcar
# Where the secret `ca` is mounted. npm ignores a file that is not there.
ENV npm_config_cafile=/run/secrets/ca
COPY package.json package-lock.json ./
# Without install scripts: native code comes prebuilt in packages of its own, and the script of the package `node` would fetch
# a second Node, which checkouts want and an image of Node does not.
RUN --mount=type=secret,id=ca --mount=type=secret,id=npmrc,target=/root/.npmrc \
    npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json LICENSE ./
COPY src src
COPY state-schema state-schema
# The compiler writes no executable bit, and a checkout may be readable by its owner only.
RUN --mount=type=secret,id=ca --mount=type=secret,id=npmrc,target=/root/.npmrc \
    npm run build \
    && npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
    && chmod 755 dist/cli/main.js \
    && chmod -R a+rX .

FROM ${BASE}
ARG BASE
# The version and the commit are given from outside, with --label.
LABEL org.opencontainers.image.title="boxcar" \
      org.opencontainers.image.description="Stream a Hugging Face model into any OCI registry" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE}"
# Whoever it runs as may write the state, as in /tmp. The home directory is there to mount credentials in, such as
# /home/boxcar/.docker/config.json; nothing is written to it.
RUN mkdir -m 1777 /state && mkdir /home/boxcar && ln -s /opt/boxcar/dist/cli/main.js /usr/local/bin/boxcar
COPY --from=build /opt/boxcar/package.json /opt/boxcar/LICENSE /opt/boxcar/
COPY --from=build /opt/boxcar/state-schema /opt/boxcar/state-schema
COPY --from=build /opt/boxcar/node_modules /opt/boxcar/node_modules
COPY --from=build /opt/boxcar/dist /opt/boxcar/dist
ENV HOME=/home/boxcar XDG_STATE_HOME=/state
VOLUME /state
# By number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 1000:1000
ENTRYPOINT ["boxcar"]
CMD ["--help"]
