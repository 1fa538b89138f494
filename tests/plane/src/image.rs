//! Images for tests and the demo, put into the registry without Docker.
