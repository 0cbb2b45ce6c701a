# The image of network-guard: one static program, its licences and its SBOM, nothing else.
#   docker build --tag REGISTRY/network-guard:VERSION .

FROM rust:1.95-bookworm AS build
# cargo-cyclonedx, which takes minutes, is built anew only when its version changes.
RUN apt-get update && apt-get install --yes --no-install-recommends python3
WORKDIR /src
COPY tests/tools/cargo.sh tests/tools/
RUN tests/tools/cargo.sh cargo-cyclonedx 0.5.9
COPY . .
RUN make image-root

FROM scratch
LABEL org.opencontainers.image.title="network-guard" \
      org.opencontainers.image.description="Network admission webhook for Gardener landscapes" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /src/.cache/image-root/ /
# By number, so that `runAsNonRoot` can see that it is not root; the charts say the same.
USER 65532:65532
# Webhooks, those for Shoots, health, metrics.
EXPOSE 10250 10251 8081 8080
ENTRYPOINT ["/usr/bin/network-guard"]
