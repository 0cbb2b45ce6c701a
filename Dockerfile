# The image of network-guard: one static program, its licences and its SBOM, nothing else.
#   docker build --tag REGISTRY/network-guard:VERSION --build-arg REVISION=$(git rev-parse HEAD) --build-arg SOURCE=URL .

# By its digest, the one of the index of all architectures: a tag may be moved, and the libc of this image is linked in.
# No registry was asked for it when it was written here: about ten public repositories were seen that pin this tag to it.
#   docker buildx imagetools inspect docker.io/library/rust:1.95.0-bookworm
FROM docker.io/library/rust:1.95.0-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1 AS build
# cargo-cyclonedx, which takes minutes, is built again only when its version changes.
RUN apt-get update && apt-get install --yes --no-install-recommends python3
WORKDIR /src
COPY tests/tools/cargo.sh tests/tools/
RUN tests/tools/cargo.sh cargo-cyclonedx 0.5.9
COPY . .
RUN make image-root

# Nothing: no file, and so no digest.
FROM scratch
# Of Cargo.toml.
ARG VERSION=0.1.0
# Who builds says from where: the commit, and the address of the repository.
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="network-guard" \
      org.opencontainers.image.description="Network admission webhook for Gardener landscapes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="$SOURCE"
COPY --from=build /src/.cache/image-root/ /
# By number, so that `runAsNonRoot` can see that it is not root; the charts say the same.
USER 65532:65532
# Webhooks, those for Shoots, health, metrics.
EXPOSE 10250 10251 8081 8080
ENTRYPOINT ["/usr/bin/network-guard"]
