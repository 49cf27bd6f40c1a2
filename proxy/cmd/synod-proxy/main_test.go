package main

import (
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"synod/tools/program/programtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"synod-proxy": main})
}

func TestFlags(t *testing.T) { programtest.Flags(t, newProgram()) }
func TestExample(t *testing.T) {
	programtest.Example(t, newProgram(), "../../../deploy/synod-proxy.yaml")
}

// TestScripts runs testdata/*.txtar.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Cmds: programtest.Commands(t), Deadline: time.Now().Add(programtest.ScriptLimit)})
}
