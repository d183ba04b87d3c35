package raster

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
)

// The child's inherited descriptors.
const (
	fdOut     = 3 // the output file
	fdScratch = 4 // a nameless temporary file, if childRequest.Scratch
)

// childRequest is what the parent writes to the child's standard input, as one JSON object. The parent keeps the pipe
// open as long as it lives.
type childRequest struct {
	Job     Job
	Files   []bool // for each input: it is a file, on the next descriptor
	Scratch bool
	Warm    bool // only compile the PDF engine into the cache
	Limits  limits
}

// limits are hard limits for the child process, in octets and seconds.
type limits struct {
	Data       uint64 // private writable memory, beyond what the PDF engine takes
	FileSize   uint64
	CPUSeconds uint64
}

// childReply is one JSON object on the child's standard output: progress, and at last Done.
type childReply struct {
	Input       *int     `json:",omitempty"` // this input's turn has come
	Confinement []string `json:",omitempty"`
	Done        bool     `json:",omitempty"`
	Pages       []PageInfo
	Failed      []wirePart
	Notes       []Note
	Error       *wireError `json:",omitempty"`
}

type wireError struct{ Code, What, Log string }

type wirePart struct {
	Input, Pages int
	Name         string
	Error        wireError
}

func toWire(err error) wireError {
	code, what := codeOf(err)
	const most = 2000
	log := err.Error()
	return wireError{code, what[:min(len(what), most)], log[:min(len(log), most)]}
}

// ChildMain is the render child: it reads one request from stdin, gives up every right that it does not need, turns the
// request's documents into pages and reports on stdout. It returns the process's exit status. It ends when stdin does:
// the parent is gone then. Only Child calls it, by way of the binary's hidden command "render".
func ChildMain(ctx context.Context, stdin io.Reader, stdout io.Writer) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dec := json.NewDecoder(bufio.NewReader(stdin))
	var req childRequest
	if err := dec.Decode(&req); err != nil {
		fmt.Fprintln(os.Stderr, "render: no request:", err)
		return 2
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdin) // ends with the parent, however that ends
		os.Exit(3)
	}()
	enc := json.NewEncoder(stdout)
	res, err := childRun(ctx, req, func(r childReply) { _ = enc.Encode(r) })
	reply := childReply{Done: true, Pages: res.Pages, Notes: res.Notes}
	for _, f := range res.Failed {
		reply.Failed = append(reply.Failed, wirePart{f.Input, f.Pages, f.Name, toWire(f.Err)})
	}
	if err != nil {
		w := toWire(err)
		reply.Error = &w
	}
	if err := enc.Encode(reply); err != nil {
		return 2
	}
	return 0
}

func childRun(ctx context.Context, req childRequest, send func(childReply)) (Result, error) {
	if err := req.Limits.set(); err != nil {
		return Result{}, err
	}
	if req.Warm {
		e, err := openPDFAnyway(ctx, req.Job.Options.CacheDir)
		if err != nil {
			return Result{}, err
		}
		e.close()
		return Result{}, nil
	}
	out := os.NewFile(fdOut, "out")
	fd := uintptr(fdOut + 1)
	var scratch *os.File
	if req.Scratch {
		scratch = os.NewFile(fdScratch, "scratch")
		fd++
	}
	needPDF := false
	for i := range req.Job.Inputs {
		in := &req.Job.Inputs[i]
		if i < len(req.Files) && req.Files[i] {
			in.File = os.NewFile(fd, in.Name)
			fd++
		}
		if doc, err := in.document(); err == nil && in.Cover == nil && doc.Size > 0 {
			t, _ := DetectDocument(doc)
			needPDF = needPDF || t == TypePDF
		}
	}
	// The fonts and the PDF engine come first: they are ours, and need files. No untrusted octet was decoded yet.
	faces()
	embeddedFonts()
	fonts, err := openFonts(req.Job.Options.Fonts)
	if err != nil {
		return Result{}, err
	}
	var pdf *pdfEngine
	if needPDF {
		e, err := openPDFAnyway(ctx, req.Job.Options.CacheDir)
		if err != nil {
			return Result{}, err
		}
		pdf = e
	}
	debug.FreeOSMemory()
	if err := req.Limits.setData(); err != nil {
		return Result{}, err
	}
	locks, err := confine()
	if err != nil {
		return Result{}, err
	}
	send(childReply{Confinement: locks})
	return renderJob(ctx, req.Job, out, scratch, pdf, fonts, func(i int) { send(childReply{Input: &i}) })
}

// openPDFAnyway opens the PDF engine also when its cache is damaged or cannot be used: a fax that starts some seconds
// late is better than none.
func openPDFAnyway(ctx context.Context, dir string) (*pdfEngine, error) {
	e, err := openPDF(ctx, dir)
	if err == nil || dir == "" {
		return e, err
	}
	stale, globErr := filepath.Glob(filepath.Join(dir, "wazero-*"))
	if globErr == nil && len(stale) > 0 {
		for _, s := range stale {
			if err := os.RemoveAll(s); err != nil {
				fmt.Fprintln(os.Stderr, "render: remove the stale cache:", err)
			}
		}
		if e, err := openPDF(ctx, dir); err == nil {
			return e, nil
		}
	}
	fmt.Fprintln(os.Stderr, "render: no cache:", err)
	e, err2 := openPDF(ctx, "")
	if err2 != nil {
		return nil, errors.Join(err2, err)
	}
	return e, nil
}
