package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/t30"
)

const sendUsage = "send --modem DEV --to NUMBER [--id ID] [--header TEXT|none] [--resolution R] [--max-rate BPS] [--modulation v27|v29|v17]\n" +
	"        [--coding mh|mr|mmr|jbig] [--no-ecm] [--v34] [--class C] [--profile P] [--init AT] [--sub SUB] [--password PWD] [--separate] [--poll DIR [--sep SEP]] [--data DIR] [--trace] " + recordUsage + " [--json]\n        FILE..."

type sendFlags struct {
	*callFlags
	to, header, resolution, modulation, coding, sub, poll, sep, data string
	separate                                                         bool
}

func addSendFlags(fs *flag.FlagSet) *sendFlags {
	f := &sendFlags{callFlags: addCallFlags(fs)}
	fs.StringVar(&f.to, "to", "", "`number` to dial")
	fs.StringVar(&f.header, "header", "", "our name in the header line of every page; \"none\": no header line")
	fs.StringVar(&f.resolution, "resolution", "fine", "highest: standard, fine, superfine, r16, 200, 300, 400 or 600")
	fs.StringVar(&f.modulation, "modulation", "v17", "fastest `family` to use: v27, v29 or v17")
	fs.StringVar(&f.coding, "coding", "mmr", "densest coding to use: mh, mr, mmr or jbig")
	fs.StringVar(&f.sub, "sub", "", "subaddress (SUB)")
	fs.StringVar(&f.poll, "poll", "", "afterwards poll the far end into this `folder`")
	fs.StringVar(&f.sep, "sep", "", "selective polling address (SEP) of the document that --poll fetches")
	fs.StringVar(&f.data, "data", "", "keep this call's record and count it in the dial ledger of this data `folder`; without it only emergency numbers and an unset clock are refused")
	fs.BoolVar(&f.separate, "separate", false, "each file is a document of its own in the same call")
	return f
}

var schemesUpTo = map[string]t30.Schemes{
	"v27": t30.Schemes(t30.V27ter), "v29": t30.Schemes(t30.V27ter | t30.V29), "v17": t30.Schemes(t30.V27ter | t30.V29 | t30.V17),
}

func sendMain(ctx context.Context, args []string, s streams) int {
	fs := newFlags(s, sendUsage)
	f := addSendFlags(fs)
	names, err := parse(fs, args)
	if err != nil {
		return exitUsage
	}
	number, err := queue.NormalizeNumber(f.to)
	schemes, err2 := oneOf("modulation", f.modulation, schemesUpTo)
	_, err3 := oneOf("coding", f.coding, codings)
	_, err4 := oneOf("resolution", f.resolution, resolutions)
	if err = errors.Join(f.check(), err, err2, err3, err4); err != nil {
		return usageError(s, fs, "%v", err)
	}
	switch {
	case len(names) == 0:
		return usageError(s, fs, "no file to send")
	case f.sep != "" && f.poll == "":
		return usageError(s, fs, "--sep says what --poll is to fetch, and there is no --poll")
	}
	if f.v34 && schemes.Has(t30.V17) {
		schemes |= t30.Schemes(t30.V34)
	}
	docs, err := f.documents(ctx, names, number, s.err)
	if err != nil {
		fmt.Fprintln(s.err, "tipring:", err)
		return exitUsage
	}
	defer docs.close()
	session := t30.Session{
		Me:    t30.Station{ID: f.id, Subaddress: f.sub, Password: f.password},
		Limit: t30.Capabilities{Schemes: schemes, MaxRate: f.maxRate, Codings: call.CodingsUpTo(f.coding), Resolutions: call.AllResolutions},
		NoECM: f.noECM,
		Send:  call.Documents(docs.sources...),
	}
	return f.dial(ctx, s, number, session, docs.pages)
}

// dial makes the one call and prints what came of it.
func (f *sendFlags) dial(ctx context.Context, s streams, number string, session t30.Session, pages int) int {
	var polled *call.Folder
	if f.poll != "" {
		var err error
		if polled, err = call.NewFolder(f.poll); err != nil {
			fmt.Fprintln(s.err, "tipring:", err)
			return exitLocal
		}
		session.Sink, session.Poll = call.NewSink(polled, nil), &t30.Poll{Selective: f.sep, Password: f.password}
	}
	how, end, err := permit(f.data, number)
	if err != nil {
		fmt.Fprintln(s.err, "tipring:", err)
		return exitUsage
	}
	how.limit(&session)
	keeper := newCallKeeper(f.data, f.tracer(s.err))
	defer f.record.close(s)
	m, err := f.openModem(ctx, keeper.trace())
	if err != nil {
		end(queue.Outcome{Report: t30.Report{Code: t30.CodeGlare}, Err: err}) // nothing was dialed
		fmt.Fprintln(s.err, "tipring:", err)
		return exitLocal
	}
	session.Trace = keeper.session()
	own := ownLimits(m.Capabilities(), session.Limit)
	report, err := m.Call(ctx, number, session)
	end(queue.Outcome{Report: report, Err: err, Own: own})
	keeper.keep(s, true, number, report)
	closeErr := m.Close()
	c := resultOf(report)
	c.Begun = queue.Remembered(how.hint, how.since)
	c.Pages = report.Sent
	switch {
	case err == nil && report.OK() && report.Sent >= pages:
		c.Outcome = "sent"
	case report.Sent > 0 || report.Unknown:
		c.Outcome = "partial"
	default:
		c.Outcome = "failed"
	}
	if polled != nil {
		err = errors.Join(err, keepPolled(polled, report, &c))
	}
	if err != nil {
		c.Text += ": " + err.Error()
	}
	c.print(s.out, f.json)
	if err = errors.Join(err, closeErr); err != nil {
		fmt.Fprintln(s.err, "tipring:", err)
		return exitLocal
	}
	return c.status()
}

func keepPolled(folder *call.Folder, r t30.Report, c *callResult) error {
	path, _, err := folder.Finish(time.Now(), r.Remote.ID)
	if errors.Is(err, call.ErrNoPages) {
		return nil
	}
	if path != "" {
		c.Files = append(c.Files, path)
	}
	return err
}

// openDocuments are the documents of one call and their files.
type openDocuments struct {
	sources []t30.PageSource
	files   []*call.TIFF
	pages   int
}

func (d *openDocuments) close() {
	for _, f := range d.files {
		f.Close()
	}
}

// documents renders the files: one document of all, or with --separate each its own.
func (f *sendFlags) documents(ctx context.Context, names []string, number string, warn io.Writer) (*openDocuments, error) {
	groups := [][]string{names}
	if f.separate {
		groups = nil
		for _, n := range names {
			groups = append(groups, []string{n})
		}
	}
	d := &openDocuments{}
	for _, g := range groups {
		if err := d.add(ctx, g, f, number, warn); err != nil {
			d.close()
			return nil, err
		}
	}
	return d, nil
}

func (d *openDocuments) add(ctx context.Context, names []string, f *sendFlags, number string, warn io.Writer) error {
	file, err := renderFiles(ctx, names, resolutions[f.resolution], warn)
	if err != nil {
		return err
	}
	t, err := call.NewTIFF(file)
	if err != nil {
		return err
	}
	o := call.DocumentOptions{Pages: t}
	if f.header != "none" {
		o.Header = &call.Header{FromName: f.header, FromNumber: f.id, To: number}
	}
	d.files = append(d.files, t)
	d.pages += t.Count()
	d.sources = append(d.sources, call.NewDocument(o))
	return nil
}
