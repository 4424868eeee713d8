package main

import (
	"flag"
	"io"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	// Plays and scripts wait most of the time, for exports and for each other's programs; -parallel says otherwise.
	if err := flag.Set("test.parallel", strconv.Itoa(max(6, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"fhirwire": main})
}

// TestScripts runs the command line as people do; each file in testdata/script is one story.
func TestScripts(t *testing.T) {
	env := neighbours(t)
	t.Run("commands", func(t *testing.T) { // the scripts run in parallel, and the neighbours outlive them
		testscript.Run(t, testscript.Params{
			Dir: "testdata/script",
			Setup: func(e *testscript.Env) error {
				e.Vars = append(e.Vars, env...)
				e.Vars = append(e.Vars, "FHIRWIRE_TLS_LISTEN=127.0.0.1:0", "FHIRWIRE_FORWARD_LISTEN=127.0.0.1:0") // the scripts run in parallel
				return nil
			},
			Cmds: map[string]func(*testscript.TestScript, bool, []string){
				"waitsay": waitSay,
				"waitget": waitGet,
				"stop":    stop,
			},
		})
	})
}

// waitSay waits until a file has what an expression wants; its first group becomes the variable that is named, if one is.
func waitSay(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(args[1])
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err != nil {
			continue // not yet there
		}
		if m := want.FindStringSubmatch(string(text)); m != nil {
			if len(args) > 2 {
				ts.Setenv(args[2], m[1])
			}
			return
		}
	}
	ts.Fatalf("%s does not say %q", args[0], args[1])
}

// waitGet waits until a URL answers with a text.
func waitGet(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		res, err := http.Get(args[0])
		if err != nil {
			continue
		}
		body, err := io.ReadAll(res.Body)
		ts.Check(res.Body.Close())
		if err == nil && strings.Contains(string(body), args[1]) {
			return
		}
	}
	ts.Fatalf("%s does not say %q", args[0], args[1])
}

// stop asks the background command to end, as a person would with Ctrl-C.
func stop(ts *testscript.TestScript, _ bool, _ []string) {
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(os.Interrupt))
	}
}
