// Command tipring is a fax appliance: the whole of it in one static binary.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit statuses of every command.
const (
	exitOK    = 0 // sent, received, done
	exitLine  = 1 // failed or partial on the line
	exitUsage = 2 // wrong usage or input
	exitLocal = 3 // local fault: modem, disk
)

// version is set by the linker (Makefile).
var version = "unknown"

// streams are a command's standard streams.
type streams struct {
	in       *os.File
	out, err io.Writer
}

// command is one word behind "tipring".
type command struct {
	name, usage string
	hidden      bool
	run         func(ctx context.Context, args []string, s streams) int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, s streams) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		printUsage(s.out)
		if len(args) == 0 {
			return exitUsage
		}
		return exitOK
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, args[1:], s)
		}
	}
	fmt.Fprintf(s.err, "tipring: no command %q; `tipring help` lists them\n", args[0])
	return exitUsage
}

func printUsage(w io.Writer) {
	fmt.Fprintln(w, "tipring: a fax appliance. Commands:")
	for _, c := range commands() {
		if !c.hidden {
			fmt.Fprintf(w, "  tipring %s\n", c.usage)
		}
	}
}

func versionMain(_ context.Context, _ []string, s streams) int {
	fmt.Fprintln(s.out, "tipring", version)
	return exitOK
}
