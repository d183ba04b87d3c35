package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/tipring/tipring/appliance"
	"github.com/tipring/tipring/imaging/raster"
)

const (
	serveUsage = "serve --config FILE"
	demoUsage  = "demo [--data DIR] [--speed X] [--smtp ADDR] [--web ADDR]"
)

func serveMain(ctx context.Context, args []string, s streams) int {
	fs := newFlags(s, serveUsage)
	config := fs.String("config", "/etc/tipring.toml", "configuration `file`")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage
	}
	if len(words) > 0 {
		return usageError(s, fs, "serve takes no %q", words[0])
	}
	cfg, err := appliance.Load(*config)
	if err != nil {
		fmt.Fprintln(s.err, "tipring:", err)
		return exitUsage
	}
	tuneMemory()
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.LogLevel)) // Load has checked it
	log := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: level}))
	return appliancePart(s, appliance.Run(ctx, cfg, appliance.Deps{Log: log, Version: version}))
}

// tuneMemory lets the heap, which is a few MB, grow to five times what is in use before it is collected, and keeps the whole small
// all the same: a mail server makes much garbage, and collecting it took a quarter of the processor under load. GOGC and
// GOMEMLIMIT, where set, hold instead.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(80 << 20)
	}
}

func demoMain(ctx context.Context, args []string, s streams) int {
	fs := newFlags(s, demoUsage)
	o := appliance.DemoOptions{Out: s.out, Version: version, Command: os.Args[0]}
	fs.StringVar(&o.Data, "data", "", "keep everything in this `folder`; without it a temporary one is removed at the end")
	fs.Float64Var(&o.Speed, "speed", 0, "how much faster than a real line; 0: the demo's own choice")
	fs.StringVar(&o.SMTPAddr, "smtp", "", "`address` that takes mail (default 127.0.0.1:2525)")
	fs.StringVar(&o.WebAddr, "web", "", "`address` of the status page (default 127.0.0.1:8080)")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage
	}
	if len(words) > 0 {
		return usageError(s, fs, "demo takes no %q", words[0])
	}
	return appliancePart(s, appliance.Demo(ctx, o))
}

// appliancePart turns the end of an appliance into an exit status; being told to stop is a good end.
func appliancePart(s streams, err error) int {
	if err == nil || errors.Is(err, context.Canceled) {
		return exitOK
	}
	fmt.Fprintln(s.err, "tipring:", err)
	return exitLocal
}

// renderMain is the child process that turns documents into pages.
func renderMain(ctx context.Context, _ []string, s streams) int {
	return raster.ChildMain(ctx, s.in, os.Stdout)
}
