package raster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"
)

// Child renders the documents of strangers in a child process, which has no network, no files but its own, a memory
// limit and a time limit. The zero value with Exe set is ready to use; its methods may be called concurrently.
type Child struct {
	Exe         string        // the binary whose main calls ChildMain; "": this one
	Args        []string      // its arguments; nil: "render"
	CacheDir    string        // for the PDF engine's compiled code, made if missing; "": some seconds for every PDF
	MemoryLimit int64         // octets of resident memory; 0: 384 MiB
	TimeLimit   time.Duration // for a whole job; 0: 10 min
}

const (
	defaultMemory = 384 << 20
	defaultTime   = 10 * time.Minute
	maxReply      = 4 << 20   // octets of the child's report
	maxOutput     = 512 << 20 // octets of its output file
)

func (c Child) withDefaults() (Child, error) {
	if c.Exe == "" {
		exe, err := os.Executable()
		if err != nil {
			return c, fmt.Errorf("raster: %w", err)
		}
		c.Exe = exe
	}
	if c.Args == nil {
		c.Args = []string{"render"}
	}
	if c.MemoryLimit <= 0 {
		c.MemoryLimit = defaultMemory
	}
	if c.TimeLimit <= 0 {
		c.TimeLimit = defaultTime
	}
	if c.CacheDir != "" {
		dir, err := filepath.Abs(c.CacheDir)
		if err != nil {
			return c, fmt.Errorf("raster: %w", err)
		}
		c.CacheDir = dir
	}
	return c, nil
}

// WarmCache fills CacheDir with the compiled PDF engine, in a child process: some seconds the first time, nothing
// later. Without it the first PDF takes that long.
func (c Child) WarmCache(ctx context.Context) error {
	c, err := c.withDefaults()
	if err != nil {
		return err
	}
	if c.CacheDir == "" {
		return nil
	}
	req := childRequest{Warm: true}
	_, err = c.run(ctx, req, nil)
	return err
}

// Render renders job in a child process into out, a multi-page TIFF (MMR) from its start. Result and error are as
// RenderJob's; beyond these, errors are ErrMemory, ErrTimeout and ErrBroken (it crashed), as a PartError that names the input
// the child was at. After an error out's content is not usable. out must be open for writing and lie in a folder where
// a temporary file can be made.
func (c Child) Render(ctx context.Context, job Job, out *os.File) (Result, error) {
	c, err := c.withDefaults()
	if err != nil {
		return Result{}, err
	}
	if len(job.Inputs) == 0 {
		return Result{}, ErrEmpty
	}
	req := childRequest{Job: job, Scratch: job.countsPages(), Files: make([]bool, len(job.Inputs))}
	files := []*os.File{out}
	if req.Scratch {
		s, err := openScratch(filepath.Dir(out.Name()))
		if err != nil {
			return Result{}, err
		}
		defer s.Close()
		files = append(files, s)
	}
	for i, in := range job.Inputs {
		if len(in.Data) > maxText {
			return Result{}, &PartError{Input: i, Name: in.Name, Err: fail(ErrTooLarge, fmt.Sprintf("%d MB in memory", len(in.Data)>>20))}
		}
		if in.File != nil {
			req.Files[i] = true
			files = append(files, in.File)
		}
	}
	return c.run(ctx, req, files)
}

// childProc is one running child.
type childProc struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.ReadCloser
	stderr tail
	peak   atomic.Int64 // octets resident at most
	memory atomic.Bool  // killed for its memory
	input  int          // the input it is at; -1: none yet
	locks  []string
}

func (c Child) run(ctx context.Context, req childRequest, files []*os.File) (Result, error) {
	req.Job.Options.CacheDir = c.CacheDir
	if dir := req.Job.Options.Fonts; dir != "" {
		abs, err := filepath.Abs(dir) // the child runs elsewhere
		if err != nil {
			return Result{}, fmt.Errorf("raster: %w", err)
		}
		req.Job.Options.Fonts = abs
	}
	if c.CacheDir != "" {
		if err := os.MkdirAll(c.CacheDir, 0o700); err != nil {
			return Result{}, fmt.Errorf("raster: the PDF engine's cache: %w", err)
		}
	}
	req.Limits = limits{Data: 4 << 30, FileSize: maxOutput,
		CPUSeconds: 2*uint64(c.TimeLimit/time.Second) + 1}
	message, err := json.Marshal(req)
	if err != nil {
		return Result{}, fmt.Errorf("raster: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, c.TimeLimit)
	defer cancel()
	p, err := c.start(files)
	if err != nil {
		return Result{}, fmt.Errorf("raster: start the render process: %w", err)
	}
	watched := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(watched)
		p.watch(limited, ended, c.MemoryLimit)
	}()
	go func() {
		_, _ = p.stdin.Write(message) // a child that died early shows below
	}()
	last, replyErr := p.replies()
	p.stdin.Close()  // a child that is done ends by itself, any other by this
	p.stdout.Close() // or by this, if it talks on and on
	waitErr := p.cmd.Wait()
	close(ended)
	<-watched
	if last == nil {
		return Result{Confinement: p.locks, PeakMemory: p.peak.Load()}, p.died(ctx, limited, req, c.MemoryLimit, errors.Join(replyErr, waitErr))
	}
	return last.result(p)
}

// environment is all that the child sees of ours. The Go heap gets what the PDF sandbox and the runtime leave; beyond
// that the collector works harder instead of growing.
func (c Child) environment() []string {
	heap := max(c.MemoryLimit-pdfPages<<16-32<<20, c.MemoryLimit/3)
	return []string{"GOMEMLIMIT=" + strconv.FormatInt(heap, 10), "GOMAXPROCS=2", "LANG=C", "TZ=UTC"}
}

func (c Child) start(files []*os.File) (*childProc, error) {
	var firstErr error
	for _, attr := range isolation() {
		p := &childProc{cmd: exec.Command(c.Exe, c.Args...), input: -1}
		p.cmd.Env, p.cmd.Dir, p.cmd.ExtraFiles, p.cmd.Stderr, p.cmd.SysProcAttr = c.environment(), "/", files, &p.stderr, attr.proc
		p.cmd.WaitDelay = 5 * time.Second
		p.locks = attr.locks
		var err error
		if p.stdin, err = p.cmd.StdinPipe(); err != nil {
			return nil, err
		}
		if p.stdout, err = p.cmd.StdoutPipe(); err != nil {
			return nil, err
		}
		if err = startBehind(p.cmd); err == nil {
			return p, nil
		}
		firstErr = errors.Join(firstErr, err)
	}
	return nil, firstErr
}

// replies reads the child's report up to its end; nil if it ended without one.
func (p *childProc) replies() (*childReply, error) {
	dec := json.NewDecoder(io.LimitReader(p.stdout, maxReply))
	for {
		var r childReply
		if err := dec.Decode(&r); err != nil {
			return nil, err
		}
		switch {
		case r.Done:
			return &r, nil
		case r.Input != nil:
			p.input = *r.Input
		case r.Confinement != nil:
			p.locks = append(p.locks[:len(p.locks):len(p.locks)], r.Confinement...)
		}
	}
}

func (r *childReply) result(p *childProc) (Result, error) {
	res := Result{Pages: r.Pages, Notes: r.Notes, Confinement: p.locks, PeakMemory: p.peak.Load()}
	for _, f := range r.Failed {
		res.Failed = append(res.Failed, PartError{Input: f.Input, Name: f.Name, Pages: f.Pages, Err: f.Error.err()})
	}
	if r.Error == nil {
		return res, nil
	}
	if len(res.Pages) == 0 && len(res.Failed) > 0 {
		return res, &res.Failed[0]
	}
	return res, r.Error.err()
}

func (w wireError) err() error {
	err := errOf(w.Code, w.What)
	if w.Log != "" && w.Log != err.Error() && w.Code != "" {
		return &loggedError{err, w.Log}
	}
	return err
}

// loggedError keeps the decoder's own words beside the plain sentence.
type loggedError struct {
	error
	log string
}

// Unwrap returns the plain error.
func (e *loggedError) Unwrap() error { return e.error }

// Detail returns the technical text that came with a rendering error, for logs; "" if there is none.
func Detail(err error) string {
	var l *loggedError
	if errors.As(err, &l) {
		return l.log
	}
	return ""
}

// died tells why the child ended without a report.
func (p *childProc) died(ctx, limited context.Context, req childRequest, limit int64, cause error) error {
	job, state := req.Job, p.cmd.ProcessState
	var err error
	switch {
	case p.memory.Load(), p.peak.Load() > limit*3/4:
		err = ErrMemory
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ctx.Err()
	case limited.Err() != nil:
		err = ErrTimeout
	case killed(state) && state.UserTime()+state.SystemTime() >= time.Duration(req.Limits.CPUSeconds)*time.Second:
		err = ErrTimeout
	case killed(state): // not by us: the kernel ran out of memory
		err = ErrMemory
	default:
		err = ErrBroken
	}
	err = &loggedError{err, fmt.Sprintf("the render process ended early: %v; %s", cause, p.stderr.String())}
	if p.input >= 0 && p.input < len(job.Inputs) {
		return &PartError{Input: p.input, Name: job.Inputs[p.input].Name, Err: err}
	}
	return err
}

// watch kills the child when ctx ends or when it holds more than limit octets of memory. Between two looks it can
// grow by what it can touch in that time; RLIMIT_DATA is the wall behind.
func (p *childProc) watch(ctx context.Context, ended <-chan struct{}, limit int64) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-ctx.Done():
			_ = p.cmd.Process.Kill()
			return
		case <-tick.C:
			rss := residentOctets(p.cmd.Process.Pid)
			p.peak.Store(max(p.peak.Load(), rss))
			if rss > limit {
				p.memory.Store(true)
				_ = p.cmd.Process.Kill()
				return
			}
		}
	}
}

// tail keeps the last octets written to it.
type tail struct{ buf []byte }

func (t *tail) Write(b []byte) (int, error) {
	const most = 4096
	t.buf = append(t.buf, b[max(0, len(b)-most):]...)
	t.buf = t.buf[max(0, len(t.buf)-most):]
	return len(b), nil
}

func (t *tail) String() string { return string(bytes.TrimSpace(t.buf)) }
