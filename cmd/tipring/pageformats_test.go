package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
)

// pair is two one-off commands on two virtual modems: modem 1 waits for a call, modem 0 makes it.
type pair struct {
	t    *testing.T
	line *runningLine
}

func newPair(t *testing.T) *pair { return &pair{t, runTestLine(t, "--speed", "25")} }

func (p *pair) tty(n int) string { return filepath.Join(p.line.dir, fmt.Sprintf("ttyF%d", n)) }

// ran is what a command said and how it ended.
type ran struct {
	callResult
	status int
	errs   string
}

func (p *pair) start(ctx context.Context, command func(context.Context, []string, streams) int, args string) <-chan ran {
	done := make(chan ran, 1)
	go func() {
		var out, errs bytes.Buffer
		r := ran{status: command(ctx, strings.Fields(args), streams{nil, &out, &errs})}
		r.errs = errs.String()
		if err := json.Unmarshal(out.Bytes(), &r.callResult); err != nil {
			r.errs += out.String() + err.Error()
		}
		done <- r
	}()
	return done
}

// call has `receive` with the one's flags wait and the caller run.
func (p *pair) call(receive string, caller func(context.Context, []string, streams) int, args string) (sent, got ran) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	far := p.start(ctx, receiveMain, "--modem "+p.tty(1)+" --json --id 5550101 "+receive)
	time.Sleep(300 * time.Millisecond) // one that opens its modem later still hears it ring
	sent = <-p.start(ctx, caller, "--modem "+p.tty(0)+" --json --id 5550100 --to 5550101 "+args)
	return sent, <-far
}

// testTIFF writes a page of boxes.
func testTIFF(t *testing.T, width, height int, res imaging.Resolution) (string, *imaging.Bitmap) {
	t.Helper()
	b, rnd := imaging.New(width, height), rand.New(rand.NewPCG(uint64(width), uint64(height)))
	for range 120 {
		x, y := rnd.IntN(width-60), rnd.IntN(height-40)
		for dy := range 5 + rnd.IntN(30) {
			for dx := range 5 + rnd.IntN(50) {
				b.SetBlack(x+dx, y+dy)
			}
		}
	}
	var buf bytes.Buffer
	w := tiff.NewWriter(&buf, tiff.Meta{})
	err := w.AddPage(imaging.Page{Bitmap: b, Resolution: res}, t4.File(imaging.MMR, res))
	if err == nil {
		err = w.Close()
	}
	name := filepath.Join(t.TempDir(), "page.tif")
	if err == nil {
		err = os.WriteFile(name, buf.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return name, b
}

// onePage reads the one page of the one file that a command told of.
func onePage(t *testing.T, r ran) imaging.Page {
	t.Helper()
	if len(r.Files) != 1 {
		t.Fatalf("files %v; %+v", r.Files, r)
	}
	f, err := call.OpenTIFF(r.Files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := f.Page(1)
	if err != nil || f.Count() != 1 {
		t.Fatalf("%d pages, %v", f.Count(), err)
	}
	return p
}

// TestSend_PageFormats: `send` to `receive` over two virtual modems: resolution and paper arrive as they are where the
// far end can take them, and fitted to what it can where it cannot.
func TestSend_PageFormats(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for _, c := range []struct {
		width, height int
		res           imaging.Resolution
		send, receive string
		want          imaging.Resolution // zero: as it is, pel by pel
		wantWidth     int
	}{
		{1728, 1500, imaging.Superfine, "--resolution superfine", "", imaging.Resolution{}, 0},
		{3072, 1000, imaging.Res300, "--resolution 300", "", imaging.Resolution{}, 0},                               // B4
		{4864, 900, imaging.Res400, "--resolution 400 --no-ecm", "", imaging.Resolution{}, 0},                       // A3
		{5184, 1000, imaging.Res600, "--resolution 600", "--resolution 600", imaging.Resolution{}, 0},               //
		{5184, 1000, imaging.Res600, "--resolution 600", "", imaging.Res400, 3456},                                  // the receiver's default
		{2432, 900, imaging.Fine, "", "--resolution standard", imaging.Standard, 2432},                              // A3, coarser
		{3456, 1200, imaging.R16, "--resolution r16 --coding mh --no-ecm", "--resolution fine", imaging.Fine, 1728}, //
		{1728, 9000, imaging.Fine, "", "", imaging.Resolution{}, 0},                                                 // over a metre
	} {
		name, want := testTIFF(t, c.width, c.height, c.res)
		sent, got := p.call("--out "+t.TempDir()+" "+c.receive, sendMain, "--header none "+c.send+" "+name)
		if sent.status != exitOK || got.status != exitOK || sent.Outcome != "sent" || got.Outcome != "received" {
			t.Errorf("%dx%d at %v %s: %+v, %+v", c.width, c.height, c.res, c.send, sent, got)
			continue
		}
		page := onePage(t, got)
		switch {
		case c.want == imaging.Resolution{}:
			if page.Resolution != c.res || !page.Equal(want) {
				t.Errorf("%dx%d at %v %s: arrived as %dx%d at %v", c.width, c.height, c.res, c.send, page.Width, page.Height, page.Resolution)
			}
		case page.Resolution != c.want || page.Width != c.wantWidth:
			t.Errorf("%dx%d at %v %s: arrived as %dx%d at %v, want %d at %v", c.width, c.height, c.res, c.send, page.Width, page.Height, page.Resolution, c.wantWidth, c.want)
		}
	}
}
