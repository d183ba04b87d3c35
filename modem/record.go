package modem

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/tipring/tipring/modem/recording"
	"github.com/tipring/tipring/t30"
)

// The steps of a recording that is made with [Options].Record: what our side did, so that who plays it can do the same. Numbers and
// passwords are blotted out as those in the recording's commands are.

// Words of steps.
const (
	StepOpen     = "open"     // OpenStep: the modem is identified and set up
	StepOpened   = "opened"   // Identity
	StepWait     = "wait"     // for a ring
	StepCall     = "call"     // SessionStep
	StepAnswer   = "answer"   // SessionStep
	StepDocument = "document" // the engine asked for one; DocumentStep
	StepPage     = "page"     // the engine opened one; PageStep
	StepQuality  = "quality"  // t30.Quality, as a received page was judged
	StepEnded    = "ended"    // EndedStep
	StepTest     = "test"     // TestLine
	StepTested   = "tested"   // TestedStep
	StepV34      = "v34"      // OffersV34
)

// OpenStep is how a modem was opened.
type OpenStep struct {
	Pulse, Speaker, BlindDial, Shared, Patterns bool           `json:",omitempty"`
	V34                                         bool           `json:",omitempty"`
	Init, Country                               string         `json:",omitempty"`
	Class, Profile                              string         `json:",omitempty"`
	Quirks                                      map[string]any `json:",omitempty"`
}

func openStep(o Options) OpenStep {
	l := o.Line
	return OpenStep{Pulse: l.Pulse, Speaker: l.Speaker, BlindDial: l.BlindDial, Shared: l.Shared, Patterns: l.Patterns, Init: l.Init, Country: l.Country,
		Class: o.Class, Profile: o.Profile, Quirks: o.Quirks, V34: o.V34}
}

// Options are the options that it was made of.
func (s OpenStep) Options() Options {
	var o Options
	l := &o.Line
	l.Pulse, l.Speaker, l.BlindDial, l.Shared, l.Patterns, l.Init, l.Country = s.Pulse, s.Speaker, s.BlindDial, s.Shared, s.Patterns, s.Init, s.Country
	o.Class, o.Profile, o.Quirks, o.V34 = s.Class, s.Profile, s.Quirks, s.V34
	return o
}

// SessionStep is the session of a call.
type SessionStep struct {
	Number       string         `json:",omitempty"` // dialed
	Mode         t30.AnswerMode `json:",omitempty"`
	Me           t30.Station
	Limit        t30.Capabilities
	NoECM        bool      `json:",omitempty"`
	Poll         *t30.Poll `json:",omitempty"`
	Sends        bool      `json:",omitempty"`
	Receives     bool      `json:",omitempty"`
	NeedPassword string    `json:",omitempty"`
}

// DocumentStep tells whether there was a document.
type DocumentStep struct{ More bool }

// PageStep is one opening of a page to send.
type PageStep struct {
	N      int
	None   bool `json:",omitempty"` // there is no such page
	Format t30.PageFormat
	Octets int    `json:",omitempty"`
	Data   []byte `json:",omitempty"` // where the recording has pages
}

// EndedStep is how a call ended.
type EndedStep struct {
	Code           t30.Code
	Text           string `json:",omitempty"`
	Sent, Received int    `json:",omitempty"`
	Error          string `json:",omitempty"`
}

// TestedStep is what a line test found.
type TestedStep struct{ State string }

// callRecorder puts the steps of a modem's calls into its recording; nil: there is none.
type callRecorder struct{ r *recording.Recorder }

func (c *callRecorder) step(word string, v any) {
	if c != nil {
		_ = c.r.Step(word, v) // what cannot be written shows in the recorder's Err
	}
}

// session notes a session and returns it with a tap on what it sends and receives.
func (c *callRecorder) session(word, number string, mode t30.AnswerMode, s t30.Session) t30.Session {
	if c == nil {
		return s
	}
	step := SessionStep{Number: c.r.Number(number), Mode: mode, Limit: s.Limit, NoECM: s.NoECM, Sends: s.Send != nil, Receives: s.Sink != nil,
		NeedPassword: recording.Secret(s.NeedPassword),
		Me:           t30.Station{ID: c.r.Number(s.Me.ID), Subaddress: c.r.Number(s.Me.Subaddress), Password: recording.Secret(s.Me.Password)}}
	if s.Poll != nil {
		step.Poll = &t30.Poll{Selective: c.r.Number(s.Poll.Selective), Password: recording.Secret(s.Poll.Password)}
	}
	c.step(word, step)
	if s.Send != nil {
		s.Send = &recordedDocuments{s.Send, c}
	}
	if s.Sink != nil {
		s.Sink = &recordedSink{s.Sink, c}
	}
	return s
}

func (c *callRecorder) ended(r t30.Report, err error) {
	e := EndedStep{Code: r.Code, Text: r.Code.String(), Sent: r.Sent, Received: r.Received}
	if err != nil {
		e.Error = err.Error()
	}
	c.step(StepEnded, e)
}

type recordedDocuments struct {
	t30.Documents
	c *callRecorder
}

// Next implements [t30.Documents].
func (d *recordedDocuments) Next(ctx context.Context, far t30.Remote) (t30.PageSource, error) {
	src, err := d.Documents.Next(ctx, far)
	d.c.step(StepDocument, DocumentStep{More: err == nil})
	if err != nil {
		return nil, err
	}
	return &recordedSource{src, d.c}, nil
}

type recordedSource struct {
	t30.PageSource
	c *callRecorder
}

// maxRecordedPage bounds the data of one page that is looked at for a recording, in octets.
const maxRecordedPage = 16 << 20

// Page implements [t30.PageSource].
func (s *recordedSource) Page(ctx context.Context, n int, limit t30.PageLimit) (t30.PageFormat, io.ReadCloser, error) {
	f, data, err := s.PageSource.Page(ctx, n, limit)
	if err != nil {
		if errors.Is(err, io.EOF) {
			s.c.step(StepPage, PageStep{N: n, None: true})
		}
		return f, data, err
	}
	b, err := io.ReadAll(io.LimitReader(data, maxRecordedPage))
	if err != nil {
		data.Close()
		return f, nil, err
	}
	step := PageStep{N: n, Format: f, Octets: len(b)}
	if s.c.r.Pages() {
		step.Data = b
	}
	s.c.step(StepPage, step)
	return f, struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(b), data), data}, nil
}

type recordedSink struct {
	t30.PageSink
	c *callRecorder
}

// BeginPage implements [t30.PageSink].
func (s *recordedSink) BeginPage(ctx context.Context, far t30.Remote, f t30.PageFormat) (t30.PageWriter, error) {
	w, err := s.PageSink.BeginPage(ctx, far, f)
	if err != nil {
		return nil, err
	}
	return &recordedWriter{w, s.c}, nil
}

type recordedWriter struct {
	t30.PageWriter
	c *callRecorder
}

// Quality implements [t30.PageWriter].
func (w *recordedWriter) Quality() t30.Quality {
	q := w.PageWriter.Quality()
	w.c.step(StepQuality, q)
	return q
}
