// Sample is an HTTP server that says which version it is, and misbehaves as its environment tells it.
//
// "sample version" prints the version, for probes and kubectl exec.
//
// Paths: / and /version (its version), /healthz (always 200), /readyz (200 once it should get requests).
//
// Environment:
//
//	VERSION              what it says it is; its image sets this
//	PORT                 where it listens (8080)
//	LOG                  a line to log at the start
//	FAIL_READINESS       /readyz answers 503
//	CRASH                logs two lines and exits with EXIT_CODE (1)
//	TERMINATION_MESSAGE  leaves this message and exits with EXIT_CODE (0)
//	EXIT_CODE            the code to exit with
//	START_AFTER          how long it does nothing at first, as a duration (0s)
//	LAME_DUCK            how long it still serves after SIGTERM, as a duration (2s)
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// Where the kubelet looks for the message, unless the container says otherwise.
const terminationLog = "/dev/termination-log"

// Requests that take longer than this are cut off at the end.
const patience = 5 * time.Second

func main() {
	if len(os.Args) > 1 && os.Args[1] == "version" {
		fmt.Println(version())
		return
	}
	log.SetFlags(log.LUTC | log.Ldate | log.Ltime)
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()

	if line := os.Getenv("LOG"); line != "" {
		log.Print(line)
	}
	select {
	case <-time.After(duration("START_AFTER", 0)):
	case <-stop.Done():
		return
	}
	if message := os.Getenv("TERMINATION_MESSAGE"); message != "" {
		if err := os.WriteFile(terminationLog, []byte(message), 0o600); err != nil {
			log.Fatal(err)
		}
		os.Exit(exitCode(0))
	}
	if set("CRASH") {
		log.Printf("sample %s: connecting to the database", version())
		log.Print("fatal: no database at db.example:5432")
		os.Exit(exitCode(1))
	}
	serve(stop)
}

// Serve answers requests until it is told to stop, and for a while after: until every client has
// seen that this pod goes, requests still arrive.
func serve(stop context.Context) {
	var stopping atomic.Bool
	answerVersion := func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(answer, version())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", answerVersion)
	mux.HandleFunc("/version", answerVersion)
	mux.HandleFunc("/healthz", func(answer http.ResponseWriter, _ *http.Request) { fmt.Fprintln(answer, "ok") })
	mux.HandleFunc("/readyz", func(answer http.ResponseWriter, _ *http.Request) {
		if set("FAIL_READINESS") || stopping.Load() {
			http.Error(answer, "not ready", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(answer, "ok")
	})

	server := &http.Server{Addr: ":" + port(), Handler: mux, ReadHeaderTimeout: patience}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	log.Printf("sample %s listens on %s", version(), server.Addr)

	select {
	case err := <-failed:
		log.Fatal(err)
	case <-stop.Done():
	}
	stopping.Store(true)
	log.Printf("sample %s stops", version())
	time.Sleep(duration("LAME_DUCK", 2*time.Second))
	deadline, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Print(err)
	}
}

func version() string {
	if version := os.Getenv("VERSION"); version != "" {
		return version
	}
	return "unknown"
}

func port() string {
	if port := os.Getenv("PORT"); port != "" {
		return port
	}
	return "8080"
}

// Set says whether an environment variable asks for something: it is there and not "0" or "false".
func set(name string) bool {
	value := os.Getenv(name)
	return value != "" && value != "0" && value != "false"
}

func exitCode(usual int) int {
	if code, err := strconv.Atoi(os.Getenv("EXIT_CODE")); err == nil {
		return code
	}
	return usual
}

func duration(name string, usual time.Duration) time.Duration {
	if parsed, err := time.ParseDuration(os.Getenv(name)); err == nil {
		return parsed
	}
	return usual
}
