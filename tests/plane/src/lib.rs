//! A real Kubernetes cluster for tests and the demo.
