# The image of Gantry: one binary on a base without a shell, as a user that is not root.
# Both stages are of the same Debian release: the binary is linked with its C library.
FROM rust:1-slim-trixie AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin gantry

FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /src/target/release/gantry /gantry
# By number: runAsNonRoot cannot check a name.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/gantry"]
