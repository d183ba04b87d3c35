package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/tiff"
	"github.com/tipring/tipring/t30"
)

const receiveUsage = "receive --modem DEV --out DIR [--id ID] [--count N] [--format tiff|pdf] [--rings N] [--resolution R] [--coding mh|mr|mmr|jbig] [--max-rate BPS] [--no-ecm] [--v34] [--class C] [--profile P] [--init AT]\n" +
	"        [--offer FILE | --to NUMBER] [--sep SEP] [--password PWD] [--data DIR] [--trace] " + recordUsage + " [--json]"

type receiveFlags struct {
	*callFlags
	out, format, offer, to, sep, data, resolution, coding string
	count, rings                                          int

	keeper *callKeeper
}

func addReceiveFlags(fs *flag.FlagSet) *receiveFlags {
	f := &receiveFlags{callFlags: addCallFlags(fs)}
	fs.StringVar(&f.out, "out", "", "`folder` for received faxes")
	fs.StringVar(&f.format, "format", "tiff", "tiff or pdf")
	fs.StringVar(&f.offer, "offer", "", "a caller that polls gets this `file`")
	fs.StringVar(&f.to, "to", "", "call this `number` and poll its document")
	fs.StringVar(&f.resolution, "resolution", "400", "finest to take: standard, fine, superfine, r16, 200, 300, 400 or 600 (600 makes DIS eight octets longer)")
	fs.StringVar(&f.coding, "coding", "mmr", "densest coding to take: mh, mr, mmr or jbig")
	fs.StringVar(&f.sep, "sep", "", "selective polling address (SEP): with --to of the document to fetch, with --offer of the one offered")
	fs.StringVar(&f.data, "data", "", "keep a record of each call in this data `folder`, and count a call to --to in its dial ledger")
	fs.IntVar(&f.count, "count", 1, "end after so many calls; 0: never")
	fs.IntVar(&f.rings, "rings", 1, "answer after so many rings")
	return f
}

func receiveMain(ctx context.Context, args []string, s streams) int {
	fs := newFlags(s, receiveUsage)
	f := addReceiveFlags(fs)
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage
	}
	switch err = f.check(); {
	case err != nil:
	case f.out == "":
		err = errors.New("--out is missing")
	case f.format != "tiff" && f.format != "pdf":
		err = fmt.Errorf("--format %q: tiff or pdf", f.format)
	case resolutions[f.resolution].X == 0:
		_, err = oneOf("resolution", f.resolution, resolutions)
	case call.CodingsUpTo(f.coding) == 0:
		_, err = oneOf("coding", f.coding, codings)
	case f.offer != "" && f.to != "":
		err = errors.New("--offer is for calls that come in, --to makes one")
	case f.count < 0 || f.rings < 1:
		err = errors.New("--count and --rings cannot be so small")
	case len(words) > 0:
		err = fmt.Errorf("receive takes no file: %q", words)
	}
	if err != nil {
		return usageError(s, fs, "%v", err)
	}
	if err := os.MkdirAll(f.out, 0o755); err != nil {
		fmt.Fprintln(s.err, "tipring:", err)
		return exitLocal
	}
	f.keeper = newCallKeeper(f.data, f.tracer(s.err))
	defer f.record.close(s)
	if f.to != "" {
		return f.poll(ctx, s, fs)
	}
	return f.wait(ctx, s)
}

// wait answers calls until --count of them are done.
func (f *receiveFlags) wait(ctx context.Context, s streams) int {
	m, err := f.openModem(ctx, f.keeper.trace())
	if err != nil {
		fmt.Fprintln(s.err, "tipring:", err)
		return exitLocal
	}
	defer m.Close()
	status := exitOK
	for n := 0; f.count == 0 || n < f.count; {
		in, err := m.WaitCall(ctx)
		if err != nil {
			if errors.Is(err, context.Canceled) {
				return status
			}
			fmt.Fprintln(s.err, "tipring:", err)
			return exitLocal
		}
		caller, ok := f.ringsEnough(in)
		if !ok {
			continue
		}
		n++
		code := f.answer(ctx, s, in, caller)
		if code == exitLocal {
			return code
		}
		status = max(status, code)
	}
	return status
}

// ringsEnough waits for the ring to answer at and tells the caller's number if it is known; false when the caller gave up
// before.
func (f *receiveFlags) ringsEnough(in t30.Incoming) (caller string, ok bool) {
	rings := 0
	for r := range in.Rings() {
		if r.Caller != "" {
			caller = r.Caller
		}
		if rings++; rings >= f.rings {
			return caller, true
		}
	}
	return caller, false
}

func (f *receiveFlags) answer(ctx context.Context, s streams, in t30.Incoming, caller string) int {
	return f.take(ctx, s, func(session t30.Session) (t30.Report, error) {
		report, err := in.Answer(ctx, t30.AnswerFax, session)
		f.keeper.keep(s, false, caller, report)
		return report, err
	})
}

// poll calls the far end and fetches its document.
func (f *receiveFlags) poll(ctx context.Context, s streams, fs *flag.FlagSet) int {
	number, err := queue.NormalizeNumber(f.to)
	var end func(queue.Outcome)
	var how remembered
	if err == nil {
		how, end, err = permit(f.data, number)
	}
	if err != nil {
		return usageError(s, fs, "--to: %v", err)
	}
	outcome := queue.Outcome{Report: t30.Report{Code: t30.CodeGlare}} // nothing was dialed
	defer func() { end(outcome) }()
	m, err := f.openModem(ctx, f.keeper.trace())
	if err != nil {
		fmt.Fprintln(s.err, "tipring:", err)
		return exitLocal
	}
	defer m.Close()
	return f.take(ctx, s, func(session t30.Session) (t30.Report, error) {
		session.NeedPassword = ""
		how.limit(&session)
		session.Poll = &t30.Poll{Selective: f.sep, Password: f.password}
		report, err := m.Call(ctx, number, session)
		outcome = queue.Outcome{Report: report, Err: err}
		f.keeper.keep(s, true, number, report)
		return report, err
	})
}

// take runs one call, keeps its pages and prints the result.
func (f *receiveFlags) take(ctx context.Context, s streams, run func(t30.Session) (t30.Report, error)) int {
	folder, err := call.NewFolder(f.out)
	if err != nil {
		fmt.Fprintln(s.err, "tipring:", err)
		return exitLocal
	}
	session := t30.Session{Me: t30.Station{ID: f.id}, NoECM: f.noECM,
		Limit:        t30.Capabilities{MaxRate: f.maxRate, Codings: call.CodingsUpTo(f.coding), Resolutions: call.ResolutionsUpTo(call.Resolution(resolutions[f.resolution]))},
		NeedPassword: f.password, Sink: call.NewSink(folder, nil), Trace: f.keeper.session()}
	var offers *call.Offers
	if f.offer != "" {
		d, err := f.offered(ctx, s.err)
		if err != nil {
			fmt.Fprintln(s.err, "tipring:", err)
			return exitUsage
		}
		defer d.close()
		offers = call.NewOffers(call.Offer{Selective: f.sep, Open: func(t30.Remote) (t30.PageSource, error) { return d.sources[0], nil }})
		session.Send = offers
	}
	report, callErr := run(session)
	c := resultOf(report)
	if offers != nil && offers.Refused() != "" {
		c.Text += ": " + offers.Refused()
	}
	path, _, err := folder.Finish(time.Now(), report.Remote.ID)
	if errors.Is(err, call.ErrNoPages) {
		err = nil
	}
	if err == nil && path != "" && f.format == "pdf" {
		path, err = toPDF(path)
	}
	if path != "" {
		c.Files = append(c.Files, path)
	}
	return f.conclude(s, report, c, errors.Join(callErr, err))
}

func (f *receiveFlags) conclude(s streams, r t30.Report, c callResult, err error) int {
	c.Pages = r.Received
	switch {
	case err == nil && r.OK() && r.Received > 0:
		c.Outcome = "received"
	case err == nil && r.OK() && r.Sent > 0:
		c.Outcome, c.Pages = "sent", r.Sent
	case len(c.Files) > 0:
		c.Outcome = "partial"
	default:
		c.Outcome = "failed"
	}
	if err != nil {
		c.Text += ": " + err.Error()
		fmt.Fprintln(s.err, "tipring:", err)
	}
	c.print(s.out, f.json)
	if err != nil {
		return exitLocal
	}
	return c.status()
}

func (f *receiveFlags) offered(ctx context.Context, warn io.Writer) (*openDocuments, error) {
	d := &openDocuments{}
	return d, d.add(ctx, []string{f.offer}, &sendFlags{callFlags: f.callFlags, header: "none", resolution: "fine"}, "", warn)
}

// toPDF makes a PDF of a received TIFF and removes the TIFF.
func toPDF(path string) (string, error) {
	in, err := call.OpenTIFF(path)
	if err != nil {
		return path, err
	}
	defer in.Close()
	name := strings.TrimSuffix(path, ".tif") + ".pdf"
	out, err := newPageFile(name, imaging.MMR, tiff.AnyPages)
	if err != nil {
		return path, err
	}
	for n := 1; n <= in.Count() && err == nil; n++ {
		var p imaging.Page
		if p, err = in.Page(n); err == nil {
			err = out.add(&p)
		}
	}
	if err = errors.Join(err, out.finish(err == nil)); err != nil {
		return path, err
	}
	return name, os.Remove(path)
}
