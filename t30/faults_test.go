package t30_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// nth makes a Choose that gives fault to the nth (from 1) to last occurrence of an FCF on V.21.
func nth(fcf t30.FCF, from, to int, fault t30test.Fault) func(t30test.Item) t30test.Fault {
	n := 0
	return func(it t30test.Item) t30test.Fault {
		if it.Frame == nil || it.Mod.Rate != 0 || it.Frame.FCF() != fcf {
			return t30test.None
		}
		if n++; n >= from && n <= to {
			return fault
		}
		return t30test.None
	}
}

// carrier makes a Choose that gives fault to the nth carrier of a kind.
func carrier(kind string, from, to int, fault t30test.Fault) func(t30test.Item) t30test.Fault {
	n := 0
	return func(it t30test.Item) t30test.Fault {
		if it.Kind != kind {
			return t30test.None
		}
		if n++; n >= from && n <= to {
			return fault
		}
		return t30test.None
	}
}

func onFrame(fcf t30.FCF, from, to int, f t30test.Fault) func() func(t30test.Item) t30test.Fault {
	return func() func(t30test.Item) t30test.Fault { return nth(fcf, from, to, f) }
}

func onCarrier(kind string, from, to int, f t30test.Fault) func() func(t30test.Item) t30test.Fault {
	return func() func(t30test.Item) t30test.Fault { return carrier(kind, from, to, f) }
}

func TestCall_LostSignals(t *testing.T) {
	both := []bool{false, true}
	for _, c := range []struct {
		name   string
		choose func() func(t30test.Item) t30test.Fault
		ecm    []bool
		heard  string
	}{
		{"DIS lost", onFrame(t30.FcfDIS, 1, 2, t30test.Drop), both, ""},
		{"DIS spoilt", onFrame(t30.FcfDIS, 1, 2, t30test.Corrupt), both, ""},
		{"CSI spoilt", onFrame(t30.FcfCSI, 1, 1, t30test.Corrupt), both, ""},
		{"DCS lost", onFrame(t30.FcfDCS, 1, 1, t30test.Drop), both, ""},
		{"CFR lost", onFrame(t30.FcfCFR, 1, 2, t30test.Drop), both, "command -> settings|pps -> settings"},
		{"CFR spoilt", onFrame(t30.FcfCFR, 1, 1, t30test.Corrupt), both, ""},
		{"FTT lost", func() func(t30test.Item) t30test.Fault {
			bad, lost := carrier("tcf", 1, 1, t30test.Corrupt), nth(t30.FcfFTT, 1, 1, t30test.Drop)
			return func(it t30test.Item) t30test.Fault { return max(bad(it), lost(it)) }
		}, both, "FTT"},
		{"TCF lost", onCarrier("tcf", 1, 1, t30test.Drop), both, "FTT"},
		{"TCF cut", onCarrier("tcf", 1, 1, t30test.Cut), both, "FTT"},
		{"MPS lost", onFrame(t30.FcfMPS, 1, 2, t30test.Drop), []bool{false}, ""},
		{"EOP lost", onFrame(t30.FcfEOP, 1, 2, t30test.Drop), []bool{false}, ""},
		{"MCF to MPS lost", onFrame(t30.FcfMCF, 1, 1, t30test.Drop), both, ""},
		{"MCF to MPS lost twice", onFrame(t30.FcfMCF, 1, 2, t30test.Corrupt), both, ""},
		{"MCF to EOP lost", onFrame(t30.FcfMCF, 2, 3, t30test.Drop), []bool{false}, "after-eop -> after-eop"},
		{"PPS lost", onFrame(t30.FcfPPS, 1, 2, t30test.Drop), []bool{true}, ""},
		{"last MCF of ECM lost", onFrame(t30.FcfMCF, 4, 4, t30test.Drop), []bool{true}, "after-eop -> after-eop"},
		{"DCN lost", onFrame(t30.FcfDCN, 1, 1, t30test.Drop), both, ""},
		{"block without carrier", onCarrier("block", 2, 2, t30test.Drop), []bool{true}, "PPR"},
		{"block cut", onCarrier("block", 1, 1, t30test.Cut), []bool{true}, "PPR"},
	} {
		for _, ecm := range c.ecm {
			t.Run(fmt.Sprintf("%s ecm %v", c.name, ecm), func(t *testing.T) {
				doc, sink := t30test.NewDocument(7, 2, 3000), &t30test.Sink{}
				k := sending(t30test.Config{Choose: c.choose()}, sink, doc)
				k.caller.NoECM = !ecm
				o := k.run(t)
				wantOK(t, o)
				wantPages(t, o, sink, doc)
				if alt := splitOr(c.heard); !slices.ContainsFunc(alt, o.heard) {
					o.dump(t)
					t.Errorf("no %q", c.heard)
				}
			})
		}
	}
}

// A page without ECM has no number. One of a few lines that nobody heard, between two others, must not be confirmed as if its
// command were the one before it again.
func TestCall_ShortPageUnheardIsNotConfirmed(t *testing.T) {
	for _, delay := range []time.Duration{0, 600 * time.Millisecond} {
		doc, sink := t30test.NewDocument(3, 4, 2), &t30test.Sink{}
		k := sending(t30test.Config{Delay: delay, Choose: carrier("page", 2, 2, t30test.Drop)}, sink, doc)
		k.caller.NoECM = true
		o := k.run(t)
		if got := doc.ConfirmedPages(); !slices.Equal(got, []int{1}) || len(sink.Kept()) != 1 || o.sent.Code == t30.CodeOK || o.got.Code != t30.CodePageLost {
			o.dump(t)
			t.Errorf("delay %v: pages %v confirmed, %d kept, %v and %v", delay, got, len(sink.Kept()), o.sent.Code, o.got.Code)
		}
	}
}

func splitOr(s string) []string {
	var out []string
	for p := range bytes.SplitSeq([]byte(s), []byte("|")) {
		out = append(out, string(p))
	}
	return out
}

func TestTrain_FTTFallsBack(t *testing.T) {
	for _, c := range []struct {
		max  int
		want string
	}{{12000, "v17/12000"}, {9600, "v17/9600"}, {7200, "v29/7200"}, {4800, "v27ter/4800"}, {2400, "v27ter/2400"}} {
		doc, sink := t30test.NewDocument(2, 2, 500), &t30test.Sink{}
		o := sending(t30test.Config{MaxRate: c.max}, sink, doc).run(t)
		wantOK(t, o)
		wantPages(t, o, sink, doc)
		m := o.sent.Modulation
		if m.Short = false; m.String() != c.want {
			t.Errorf("line takes %d: %v, want %s", c.max, m, c.want)
		}
	}
}

func TestTrain_Hopeless(t *testing.T) {
	doc, sink := t30test.NewDocument(2, 1, 500), &t30test.Sink{}
	o := sending(t30test.Config{MaxRate: 1200}, sink, doc).run(t)
	if o.sent.Code != t30.CodeTraining || len(sink.Kept()) != 0 || doc.Ended()[0].Code != t30.CodeTraining {
		o.dump(t)
		t.Errorf("%v, want training", o.sent.Code)
	}
}

func TestSend_SeveralDocuments(t *testing.T) {
	for _, ecm := range []bool{false, true} {
		docs := []*t30test.Document{t30test.NewDocument(1, 2, 400), t30test.NewDocument(2, 1, 400), t30test.NewDocument(3, 2, 400)}
		docs[2].Pages[1].Format.Resolution = t30.Standard // EOM inside a document too
		sink := &t30test.Sink{}
		k := sending(t30test.Config{Choose: nth(t30.FcfMCF, 2, 2, t30test.Drop)}, sink, docs...)
		k.caller.NoECM = !ecm
		o := k.run(t)
		wantOK(t, o)
		wantPages(t, o, sink, docs...)
		if p := sink.Pages(); p[3].Format.Resolution != t30.Fine || p[4].Format.Resolution != t30.Standard {
			t.Errorf("resolutions %v, %v", p[3].Format.Resolution, p[4].Format.Resolution)
		}
		if !o.heard("after-eom -> offer") {
			t.Error("no DIS after EOM")
		}
	}
}

// judged makes a sink that finds pages bad or poor in the order of BeginPage.
func judged(q ...t30.Quality) *t30test.Sink {
	return &t30test.Sink{Judge: func(n int, _ []byte) t30.Quality {
		if n < len(q) {
			return q[n]
		}
		return t30.Quality{Lines: 100}
	}}
}

var (
	badPage  = t30.Quality{Lines: 100, BadLines: 30, LongestBad: 3}
	poorPage = t30.Quality{Lines: 100, BadLines: 5, LongestBad: 3}
	goodPage = t30.Quality{Lines: 100}
)

func TestPage_RTNIsSentAgain(t *testing.T) {
	mixed := t30test.NewDocument(2, 2, 400)
	mixed.Pages[1].Format.Resolution = t30.Standard
	for _, c := range []struct {
		name string
		doc  *t30test.Document
	}{
		{"MPS", t30test.NewDocument(1, 2, 400)},
		{"EOM inside a document", mixed},
	} {
		t.Run(c.name, func(t *testing.T) {
			sink := judged(badPage, badPage, goodPage)
			k := sending(t30test.Config{Choose: nth(t30.FcfRTN, 1, 1, t30test.Drop)}, sink, c.doc)
			k.caller.NoECM = true
			o := k.run(t)
			wantOK(t, o)
			wantPages(t, o, sink, c.doc)
			p := sink.Pages()
			if p[0].Verdict != t30.BadKept || p[1].Verdict != t30.BadKept || p[2].Verdict != t30.Good {
				t.Errorf("verdicts %v %v %v", p[0].Verdict, p[1].Verdict, p[2].Verdict)
			}
			if r := c.doc.Results()[0]; r.Retries != 2 {
				t.Errorf("%d retries, want 2", r.Retries)
			}
		})
	}
}

func TestPage_RTPRetrains(t *testing.T) {
	doc, sink := t30test.NewDocument(1, 3, 400), judged(poorPage, goodPage, poorPage)
	k := sending(t30test.Config{}, sink, doc)
	k.caller.NoECM = true
	o := k.run(t)
	wantOK(t, o)
	wantPages(t, o, sink, doc)
	if o.sent.SentPoor != 2 || o.sent.Modulation.Rate != 12000 || !doc.Results()[2].Poor {
		t.Errorf("poor %d at %v", o.sent.SentPoor, o.sent.Modulation)
	}
}

func TestPage_DamagedIsNeverTakenForGood(t *testing.T) {
	doc, sink := t30test.NewDocument(1, 2, 2000), &t30test.Sink{}
	k := sending(t30test.Config{Choose: carrier("page", 1, 1, t30test.Corrupt)}, sink, doc)
	k.caller.NoECM = true
	o := k.run(t)
	wantOK(t, o)
	wantPages(t, o, sink, doc)
	if !o.heard("RTN") {
		t.Error("no RTN")
	}
}

func TestPage_NotHeardIsNotConfirmed(t *testing.T) {
	for n := 1; n <= 2; n++ {
		doc, sink := t30test.NewDocument(1, 2, 2000), &t30test.Sink{}
		k := sending(t30test.Config{Choose: carrier("page", n, n, t30test.Drop)}, sink, doc)
		k.caller.NoECM = true
		o := k.run(t)
		if o.got.Code != t30.CodePageLost || o.sent.Code == t30.CodeOK || len(doc.ConfirmedPages()) != n-1 || len(sink.Kept()) != n-1 {
			o.dump(t)
			t.Errorf("page %d lost: %v, %v, confirmed %v", n, o.sent.Code, o.got.Code, doc.ConfirmedPages())
		}
	}
}

func TestPage_EmptyIsNeitherConfirmedNorRefused(t *testing.T) {
	doc, sink := t30test.NewDocument(1, 1, 50), judged(t30.Quality{})
	k := sending(t30test.Config{}, sink, doc)
	k.caller.NoECM = true
	o := k.run(t)
	if o.got.Code != t30.CodePageLost || o.heard("RTN") || o.heard("MCF") || sink.Pages()[0].Verdict != t30.Discard {
		o.dump(t)
		t.Errorf("%v, verdict %v", o.got.Code, sink.Pages()[0].Verdict)
	}
}

func TestECM_OnlyMissingFramesAgain(t *testing.T) {
	for _, small := range []bool{false, true} {
		n, sentFCD := 0, 0
		choose := func(it t30test.Item) t30test.Fault {
			if it.Frame == nil || it.Frame.FCF() != t30.FcfFCD {
				return t30test.None
			}
			sentFCD++
			if n++; n == 3 || n == 200 || n == 256 { // one of them the last of a full block
				return t30test.Drop
			}
			return t30test.None
		}
		doc, sink := t30test.NewDocument(1, 2, 3000), &t30test.Sink{} // 96,000 octets a page
		k := sending(t30test.Config{Choose: choose}, sink, doc)
		k.answer.Limit.ECM64 = small
		o := k.run(t)
		wantOK(t, o)
		wantPages(t, o, sink, doc)
		want := 2 * 375
		if small {
			want = 2 * 1500
		}
		if sentFCD != want+3 || !o.heard("PPR") {
			t.Errorf("64 octets %v: %d frames sent, want %d", small, sentFCD, want+3)
		}
	}
}

// spoilAbove drops one FCD frame in each block sent faster than rate.
func spoilAbove(rate int) func(t30test.Item) t30test.Fault {
	first := true
	return func(it t30test.Item) t30test.Fault {
		if it.Kind == "block" {
			first = true
		}
		if it.Frame != nil && it.Frame.FCF() == t30.FcfFCD && it.Mod.Rate > rate && first {
			first = false
			return t30test.Drop
		}
		return t30test.None
	}
}

func TestECM_FourPPRContinueAtLowerRate(t *testing.T) {
	doc, sink := t30test.NewDocument(1, 2, 1000), &t30test.Sink{}
	o := sending(t30test.Config{Choose: spoilAbove(9600)}, sink, doc).run(t)
	wantOK(t, o)
	wantPages(t, o, sink, doc)
	if !o.heard("CTC") || !o.heard("CTR") || o.sent.Modulation.Rate != 9600 {
		t.Errorf("no CTC, or rate %v", o.sent.Modulation)
	}
}

func TestECM_GivenUpWithEOR(t *testing.T) {
	doc, sink := t30test.NewDocument(1, 2, 1000), &t30test.Sink{}
	k := sending(t30test.Config{Choose: spoilAbove(0)}, sink, doc)
	k.caller.Limit.MaxRate = 4800
	o := k.run(t)
	if o.sent.Code != t30.CodeECMGivenUp || !o.heard("EOR-EOP") || !o.heard("ERR") || o.sent.Sent != 0 || o.sent.Unknown {
		o.dump(t)
		t.Errorf("%+v", o.sent)
	}
	if o.got.Code != t30.CodeECMGivenUp || o.got.Received != 0 || len(sink.Kept()) != 0 {
		t.Errorf("receiver: %+v", o.got)
	}
}

func TestECM_SlowSinkAnswersRNR(t *testing.T) {
	for _, ctx := range []string{"", "RNR lost", "RR lost"} {
		doc, sink := t30test.NewDocument(1, 2, 3000), &t30test.Sink{SyncDelay: 5 * time.Second, FinishDelay: 15 * time.Second}
		cfg := t30test.Config{}
		switch ctx {
		case "RNR lost":
			cfg.Choose = nth(t30.FcfRNR, 1, 2, t30test.Drop)
		case "RR lost":
			cfg.Choose = nth(t30.FcfRR, 1, 1, t30test.Drop)
		}
		o := sending(cfg, sink, doc).run(t)
		wantOK(t, o)
		wantPages(t, o, sink, doc)
		if !o.heard("RNR") {
			t.Error("no RNR")
		}
	}
}

func TestECM_BusyLongerThanT5(t *testing.T) {
	doc, sink := t30test.NewDocument(1, 1, 3000), &t30test.Sink{SyncDelay: 10 * time.Minute}
	o := sending(t30test.Config{}, sink, doc).run(t)
	if o.sent.Sent != 0 || o.sent.Code == t30.CodeOK || o.got.Code != t30.CodeSink || len(sink.Kept()) != 0 {
		o.dump(t)
		t.Errorf("%v, %v", o.sent.Code, o.got.Code)
	}
}

func TestPage_SlowSinkWithoutECM(t *testing.T) {
	doc, sink := t30test.NewDocument(1, 2, 1000), &t30test.Sink{FinishDelay: 2500 * time.Millisecond}
	k := sending(t30test.Config{}, sink, doc)
	k.caller.NoECM = true
	o := k.run(t)
	wantOK(t, o)
	wantPages(t, o, sink, doc)
}

func TestReceive_SinkFails(t *testing.T) {
	full := errors.New("disk full")
	for name, sink := range map[string]*t30test.Sink{
		"begin": {BeginErr: full}, "write": {WriteErr: full}, "sync": {SyncErr: full}, "finish": {FinishErr: full},
	} {
		for _, ecm := range []bool{false, true} {
			if name == "sync" && !ecm {
				continue
			}
			t.Run(fmt.Sprintf("%s ecm %v", name, ecm), func(t *testing.T) {
				lines := 1000
				if name == "sync" {
					lines = 3000 // two blocks
				}
				doc := t30test.NewDocument(1, 2, lines)
				k := sending(t30test.Config{}, sink, doc)
				k.caller.NoECM = !ecm
				o := k.run(t)
				if o.got.Code != t30.CodeSink || !errors.Is(o.gotErr, full) || len(doc.ConfirmedPages()) != 0 || o.sent.Code == t30.CodeOK || o.heard("MCF") {
					o.dump(t)
					t.Errorf("%v %v, %v, confirmed %v", o.got.Code, o.gotErr, o.sent.Code, doc.ConfirmedPages())
				}
			})
		}
	}
}

func TestSend_SourceFails(t *testing.T) {
	broken := errors.New("unreadable")
	for n := range 2 {
		doc, sink := t30test.NewDocument(1, 2, 500), &t30test.Sink{}
		doc.Pages[n].Err = broken
		o := sending(t30test.Config{}, sink, doc).run(t)
		if o.sent.Code != t30.CodeSource || !errors.Is(o.sentErr, broken) || len(doc.Ended()) != 1 {
			o.dump(t)
			t.Errorf("page %d: %v %v", n+1, o.sent.Code, o.sentErr)
		}
	}
	doc, sink := t30test.NewDocument(1, 2, 500), &t30test.Sink{}
	doc.ConfirmErr = broken
	if o := sending(t30test.Config{}, sink, doc).run(t); o.sent.Code != t30.CodeSource || len(sink.Kept()) != 1 || !errors.Is(o.sentErr, broken) {
		t.Errorf("confirm: %v %v, %d pages kept", o.sent.Code, o.sentErr, len(sink.Kept()))
	}
}

func TestSend_OutcomeUnknown(t *testing.T) {
	for _, ecm := range []bool{false, true} {
		from := 2 // of two pages' MCF
		doc, sink := t30test.NewDocument(1, 2, 500), &t30test.Sink{}
		k := sending(t30test.Config{Choose: nth(t30.FcfMCF, from, 99, t30test.Drop)}, sink, doc)
		k.caller.NoECM = !ecm
		o := k.run(t)
		if o.sent.Code != t30.CodeNoReplyPage || !o.sent.Unknown || o.sent.Sent != 1 || len(sink.Kept()) != 2 || !doc.Ended()[0].Unknown {
			o.dump(t)
			t.Errorf("%+v", o.sent)
		}
	}
}

func TestCall_HangUpAnywhere(t *testing.T) {
	for _, ecm := range []bool{false, true} {
		for n := range 60 {
			for dir := range t30test.Direction(2) {
				doc, sink := t30test.NewDocument(1, 3, 1200), &t30test.Sink{}
				k := sending(t30test.Config{Choose: func(it t30test.Item) t30test.Fault {
					if it.Dir == dir && it.N == n {
						return t30test.HangUp
					}
					return t30test.None
				}}, sink, doc)
				k.caller.NoECM = !ecm
				o := k.run(t)
				if got, kept := len(doc.ConfirmedPages()), len(sink.Kept()); got > kept || got < kept-1 {
					o.dump(t)
					t.Errorf("dir %v item %d: %d confirmed, %d kept", dir, n, got, kept)
				}
				if e := doc.Ended(); o.sent.Code != t30.CodeOK && len(e) > 0 && e[0].Code == t30.CodeOK && e[0].Sent != 3 {
					t.Errorf("dir %v item %d: %v, document %v", dir, n, o.sent.Code, e)
				}
			}
		}
	}
}

func TestCall_Canceled(t *testing.T) {
	for s := time.Second; s < time.Minute; s += 3 * time.Second {
		doc, sink := t30test.NewDocument(1, 3, 1200), &t30test.Sink{}
		k := sending(t30test.Config{}, sink, doc)
		k.callerCtx = func(ctx context.Context) (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, s) }
		o := k.run(t)
		if o.sent.Code == t30.CodeOK {
			break
		}
		if o.sent.Code != t30.CodeCanceled || !errors.Is(o.sentErr, context.DeadlineExceeded) || o.got.Code == t30.CodeOK {
			o.dump(t)
			t.Errorf("after %v: %v %v, %v", s, o.sent.Code, o.sentErr, o.got.Code)
		}
	}
}

func TestCall_NobodyThere(t *testing.T) {
	doc := t30test.NewDocument(1, 1, 100)
	o := sending(t30test.Config{Choose: func(it t30test.Item) t30test.Fault {
		if it.Dir == t30test.FromAnswerer {
			return t30test.Drop
		}
		return t30test.None
	}}, &t30test.Sink{}, doc).run(t)
	if o.sent.Code != t30.CodeNoFax || o.got.Code != t30.CodeNoDocument || o.took > 50*time.Second {
		o.dump(t)
		t.Errorf("%v, %v after %v", o.sent.Code, o.got.Code, o.took)
	}
}

func TestCall_Refused(t *testing.T) {
	doc := t30test.NewDocument(1, 1, 100)
	k := sending(t30test.Config{}, nil, doc)
	k.answer.Sink = nil
	if o := k.run(t); o.sent.Code != t30.CodeCannotReceive {
		o.dump(t)
		t.Errorf("%v", o.sent.Code)
	}
	for _, c := range []struct{ need, give string }{{"1234", ""}, {"1234", "4321"}, {"1234", "1234"}} {
		doc, sink := t30test.NewDocument(1, 1, 100), &t30test.Sink{}
		k := sending(t30test.Config{}, sink, doc)
		k.answer.NeedPassword = c.need
		k.caller.Me.Password, k.caller.Me.Subaddress = c.give, "42"
		o := k.run(t)
		if c.need == c.give {
			wantOK(t, o)
			if r := sink.Pages()[0].Remote; r.Subaddress != "42" || r.Password != c.give {
				t.Errorf("remote %+v", r)
			}
		} else if o.got.Code != t30.CodePassword || len(sink.Kept()) != 0 || o.sent.Code == t30.CodeOK {
			o.dump(t)
			t.Errorf("password %q: %v", c.give, o.got.Code)
		}
	}
}

func TestPoll(t *testing.T) {
	for _, ecm := range []bool{false, true} {
		for _, send := range []int{0, 2} {
			mine, theirs := t30test.NewDocument(1, send, 500), t30test.NewDocument(2, 2, 500)
			sinkA, sinkB := &t30test.Sink{}, &t30test.Sink{}
			k := sending(t30test.Config{}, sinkB, mine)
			if send == 0 {
				k.caller.Send = nil
			}
			k.caller.NoECM = !ecm
			k.caller.Poll, k.caller.Sink = &t30.Poll{Password: "77"}, sinkA
			k.answer.Send = t30test.Docs(theirs)
			o := k.run(t)
			wantOK(t, o)
			wantPages(t, o, sinkA, theirs)
			if send > 0 {
				wantPages(t, o, sinkB, mine)
			}
			if o.sent.Sent != send || o.sent.Received != 2 || o.got.Sent != 2 || o.got.Received != send {
				t.Errorf("%+v, %+v", o.sent, o.got)
			}
		}
	}
	k := sending(t30test.Config{}, &t30test.Sink{})
	k.caller.Send, k.caller.Poll, k.caller.Sink = nil, &t30.Poll{}, &t30test.Sink{}
	if o := k.run(t); o.sent.Code != t30.CodeNothingToPoll {
		t.Errorf("nothing to poll: %v", o.sent.Code)
	}
}

// limitSource keeps the limits that pages were asked for with.
type limitSource struct {
	*t30test.Document
	limits []t30.PageLimit
}

func (s *limitSource) Page(ctx context.Context, n int, l t30.PageLimit) (t30.PageFormat, io.ReadCloser, error) {
	s.limits = append(s.limits, l)
	return s.Document.Page(ctx, n, l)
}

func (s *limitSource) Next(context.Context, t30.Remote) (t30.PageSource, error) {
	if s.limits != nil {
		return nil, io.EOF
	}
	s.limits = []t30.PageLimit{}
	return s, nil
}

func TestPage_LimitIsWhatBothCan(t *testing.T) {
	src := &limitSource{Document: t30test.NewDocument(1, 1, 100)}
	k := sending(t30test.Config{}, &t30test.Sink{})
	k.caller.Send, k.caller.NoECM = src, true
	k.answer.Limit = t30.Capabilities{Resolutions: t30.Resolutions(t30.Fine), Widths: t30.Widths(t30.WidthA4),
		MinScanLine: 20 * time.Millisecond, MinScanLineFine: 10 * time.Millisecond}
	wantOK(t, k.run(t))
	want := t30.PageLimit{Codings: t30.Codings(t30.MH | t30.MR), Resolutions: t30.Resolutions(t30.Standard | t30.Fine),
		Widths: t30.Widths(t30.WidthA4), Length: t30.LengthUnlimited, Rate: 14400,
		MinScanLine: 20 * time.Millisecond, MinScanLineFine: 10 * time.Millisecond}
	if src.limits[0] != want {
		t.Errorf("limit %+v, want %+v", src.limits[0], want)
	}
}
