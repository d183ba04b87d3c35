package class2

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// The dialogues are of our own writing, after Rockwell's manual of the RC144AC (which mgetty's class2doc passes on) and MultiTech's guides.

const (
	// dial2 and dial20 are a call up to the far end's identification: fine, 9600 bit/s, MR, no error correction, 10 ms a line.
	dial2 = `
> ATDT5550101
8s
< +FCON
1s
< +FCSI:"      +49 30 5550101"
< +FDIS:1,3,0,2,1,0,0,3
< OK
`
	dial20 = `
> ATDT5550101
8s
< +FCO
1s
< +FNF:B5 00 01
< +FCI:"      +49 30 5550101"
< +FIS:1,3,0,2,1,0,0,3
< OK
`
)

func station() t30.Session { return t30.Session{Me: t30.Station{ID: "+1 555 0100"}} }

// sends makes one call that sends docs.
func sends(t *testing.T, m *Modem, docs ...*t30test.Document) (t30.Report, error) {
	t.Helper()
	s := station()
	s.Send = t30test.Docs(docs...)
	return m.Call(t.Context(), "555 0101", s)
}

func TestSend_Class2TwoPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newModem(t, Config{Class: "2"}, dial2+`
> AT+FDIS=1,5,0,2,0,0,0,0
< OK
> AT+FDT
6s
< +FDCS:1,3,0,2,0,0,0,3
< CONNECT
<= 11
>& 03
3s
< OK
> AT+FET=0
4s
< +FPTS:1
< OK
> AT+FDT
< CONNECT
<= 11
>& 03
3s
< OK
> AT+FET=2
4s
< +FPTS:1
< +FHNG:0
< OK
> ATH0
< OK
`)
		doc := t30test.NewDocument(1, 2, 40)
		rep, err := sends(t, m, doc)
		if err != nil || !rep.OK() || rep.Sent != 2 || rep.Remote.ID != "+49 30 5550101" || rep.Unknown {
			t.Fatalf("%v %q, %d pages, far end %q, %v", rep.Code, rep.Text, rep.Sent, rep.Remote.ID, err)
		}
		if rep.Modulation.Rate != 9600 || rep.ECM || rep.Format.Resolution != t30.Fine || rep.Format.Coding != t30.MH {
			t.Errorf("%+v", rep)
		}
		for i, p := range doc.Pages {
			if !bytes.HasPrefix(f.pages[i], p.Data) || len(bytes.Trim(f.pages[i][len(p.Data):], "\x00")) > 0 {
				t.Errorf("page %d came changed", i+1)
			}
		}
		for _, cmd := range []string{"AT+FCLASS=2", "AT+FBOR=0", `AT+FLID="+1 555 0100"`, "AT+FCR=0", "AT+FDCC=1,5,2,2,3,2,0,0"} {
			if !f.was(cmd) {
				t.Errorf("%s was not sent: %q", cmd, f.set)
			}
		}
	})
}

func TestSend_Class20TwoPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newModem(t, Config{Class: "2.0"}, dial20+`
> AT+FIS=1,5,0,2,0,0,0,0
< OK
> AT+FDT
6s
< +FCS:1,3,0,2,0,0,0,3
< CONNECT
>& 2c
4s
< OK
> AT+FPS?
< 3
< OK
> AT+FIS=1,2,0,2,0,0,0,0
< OK
> AT+FDT
6s
< +FCS:1,2,0,2,0,0,0,3
< CONNECT
>& 2e
4s
< +FHS:00
< OK
> AT+FPS?
< ERROR
> ATH0
< OK
`)
		doc := t30test.NewDocument(1, 2, 40)
		start := time.Now()
		rep, err := sends(t, m, doc)
		if took := time.Since(start); took > 31*time.Second { // no XON is waited for
			t.Errorf("took %v", took)
		}
		if err != nil || !rep.OK() || rep.Sent != 2 || rep.SentPoor != 1 || rep.Unknown || string(rep.Remote.NSF) != "\xb5\x00\x01" {
			t.Fatalf("%v %q, %d pages, %+v, %v", rep.Code, rep.Text, rep.Sent, rep.Remote, err)
		}
		for _, cmd := range []string{"AT+FCLASS=2.0", "AT+FBO=0", `AT+FLI="+1 555 0100"`, "AT+FNR=1,1,1,1", "AT+FCC=57,5,2,2,3,1,0,0"} {
			if !f.was(cmd) {
				t.Errorf("%s was not sent: %q", cmd, f.set)
			}
		}
	})
}

// fdt2 is the first page of a call of Class 2 after dial2, and its end.
const fdt2 = `
> AT+FDIS=1,5,0,2,0,0,0,0
< OK
> AT+FDT
6s
< +FDCS:1,3,0,2,0,0,0,3
< CONNECT
<= 11
>& 03
3s
< OK
`

const (
	fk   = "> AT+FK\n< +FHNG:2\n< OK\n> ATH0\n< OK\n"
	hook = "> ATH0\n< OK\n"
)

// How a call that sends one page ends, after its data is out and before.
func TestSend_Endings(t *testing.T) {
	for _, c := range []struct {
		name, class, script string
		code                t30.Code
		sent                int
		unknown, fault      bool
	}{
		{"confirmed", "2", dial2 + fdt2 + "> AT+FET=2\n< +FPTS:1\n< +FHNG:0\n< OK\n" + hook, t30.CodeOK, 1, false, false},
		{"confirmed, the hang-up later", "2", dial2 + fdt2 + "> AT+FET=2\n< +FPTS:1\n< OK\n2s\n< +FHNG:0\n< OK\n" + hook, t30.CodeOK, 1, false, false},
		{"confirmed, no hang-up", "2", dial2 + fdt2 + "> AT+FET=2\n< +FPTS:3,0\n< OK\n6s\n" + fk, t30.CodeOK, 1, false, false},
		{"a normal hang-up without a status", "2", dial2 + fdt2 + "> AT+FET=2\n9s\n< +FHNG:0\n< OK\n" + hook, t30.CodeNoReplyPage, 0, true, false},
		{"no answer to EOP", "2", dial2 + fdt2 + "> AT+FET=2\n14s\n< +FHNG:54\n< OK\n" + hook, t30.CodeNoReplyPage, 0, true, false},
		{"DCN after the page", "2", dial2 + fdt2 + "> AT+FET=2\n5s\n< +FHNG:51\n< OK\n" + hook, t30.CodeDCNAfterPage, 0, true, false},
		{"no carrier after the page", "2", dial2 + fdt2 + "> AT+FET=2\n5s\n< NO CARRIER\n" + fk, t30.CodeNoReplyPage, 0, true, false},
		{"stuck after the page", "2", dial2 + fdt2 + "> AT+FET=2\n90s\n> CAN\n< OK\n" + fk, t30.CodeNoReplyPage, 0, true, false},
		{"refused", "2", dial2 + fdt2 + "> AT+FET=2\n< +FPTS:2\n< OK\n" + fk, t30.CodePageRefused, 0, false, false},
		{"operator, page good", "2", dial2 + fdt2 + "> AT+FET=2\n< +FPTS:5\n< +FHNG:0\n< OK\n" + hook, t30.CodeOK, 1, false, false},
		{"operator, page bad", "2", dial2 + fdt2 + "> AT+FET=2\n< +FPTS:4\n< OK\n" + fk, t30.CodeInterrupted, 0, false, false},
		{"line lost in the page", "2", dial2 + fdt2[:len(fdt2)-len("3s\n< OK\n")] + "2s\n< +FHNG:40\n< OK\n" + hook, t30.CodeHungUpC, 0, false, false},
		{"ran out of data", "2", dial2 + fdt2[:len(fdt2)-len("3s\n< OK\n")] + "< +FHNG:43\n< OK\n" + hook, t30.CodeModem, 0, false, true},
		{"hang-up in answer to +FDT", "2", dial2 + "> AT+FDIS=1,5,0,2,0,0,0,0\n< OK\n> AT+FDT\n20s\n< +FHNG:25\n< OK\n" + hook, t30.CodeNoReplyDCS, 0, false, false},
		{"hang-up before XON", "2", dial2 + "> AT+FDIS=1,5,0,2,0,0,0,0\n< OK\n> AT+FDT\n< CONNECT\n< +FHNG:27\n< OK\n" + hook, t30.CodeTraining, 0, false, false},
		{"hang-up without OK", "2", dial2 + "> AT+FDIS=1,5,0,2,0,0,0,0\n< OK\n> AT+FDT\n< +FHNG:22\n3s\n" + hook, t30.CodeDCNInB, 0, false, false},
		{"+FDT refused", "2", dial2 + "> AT+FDIS=1,5,0,2,0,0,0,0\n< ERROR\n> AT+FDT\n< ERROR\n" + fk, t30.CodeModem, 0, false, true},
		{"no loop current in a call", "2", dial2 + "> AT+FDIS=1,5,0,2,0,0,0,0\n< OK\n> AT+FDT\n< +FHNG:3\n< OK\n" + hook, t30.CodeHungUpB, 0, false, false},
		{"far end cannot receive", "2.0", "> ATDT5550101\n< +FCO\n2s\n< +FHS:21\n< OK\n" + hook, t30.CodeCannotReceive, 0, false, false},
		{"no DIS", "2.0", "> ATDT5550101\n< +FCO\n60s\n> CAN\n< OK\n> AT+FKS\n< +FHS:02\n< OK\n" + hook, t30.CodeNoFax, 0, false, false},
		{"dropped in phase B", "2.0", "> ATDT5550101\n< +FCO\n9s\n< NO CARRIER\n> AT+FKS\n< OK\n" + hook, t30.CodeHungUpB, 0, false, false},
		{"confirmed by the result alone", "2.0", dial20 + fdt20 + "< OK\n> AT+FPS?\n< ERROR\n6s\n> AT+FKS\n< OK\n" + hook, t30.CodeOK, 1, false, false},
		{"a status of the page before", "2.0", dial20 + fdt20 + "< ERROR\n> AT+FPS?\n< 1\n< OK\n> AT+FKS\n< OK\n" + hook, t30.CodePageRefused, 0, false, false},
		{"refused, and OK to the hang-up", "2.0", dial20 + fdt20 + "< +FHS:00\n< OK\n> AT+FPS?\n< 2\n< OK\n" + hook, t30.CodePageRefused, 0, false, false},
		{"no answer to EOP, 2.0", "2.0", dial20 + fdt20 + "14s\n< +FHS:54\n< OK\n" + hook, t30.CodeNoReplyPage, 0, true, false},
		{"line lost in the page, 2.0", "2.0", dial20 + fdt20 + "< +FHS:40\n< OK\n" + hook, t30.CodeHungUpC, 0, false, false},
		{"a port pulled before EOP", "2", dial2 + fdt2[:len(fdt2)-len("3s\n< OK\n")] + "x\n", t30.CodeModem, 0, false, true},
		{"a port pulled after EOP", "2", dial2 + fdt2 + "> AT+FET=2\n3s\nx\n", t30.CodeModem, 0, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, _ := newModem(t, Config{Class: c.class}, c.script)
				doc := t30test.NewDocument(1, 1, 40)
				rep, err := sends(t, m, doc)
				if rep.Code != c.code || rep.Sent != c.sent || rep.Unknown != c.unknown || (err != nil) != c.fault {
					t.Errorf("%v %q, %d sent, unknown %v, %v", rep.Code, rep.Text, rep.Sent, rep.Unknown, err)
				}
				e := doc.Ended()
				if len(e) > 1 || len(e) == 1 && (e[0].Sent != c.sent || e[0].Unknown != c.unknown) || len(doc.ConfirmedPages()) != c.sent {
					t.Errorf("the document ended %+v", e)
				}
				if m.phone.Taken() {
					t.Error("the line stays taken")
				}
			})
		})
	}
}

// fdt20 is the only page of a call of Class 2.0 after dial20.
const fdt20 = `
> AT+FIS=1,5,0,2,0,0,0,0
< OK
> AT+FDT
6s
< +FCS:1,3,0,2,0,0,0,3
< CONNECT
>& 2e
6s
`

// After EOM the far end's DIS is told again, before the next DCS: it is the one that counts.
func TestSend_DISAgainAfterEOM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newModem(t, Config{Class: "2"}, dial2+fdt2+`
> AT+FET=1
< +FPTS:1
< OK
> AT+FDIS=1,5,0,2,0,0,0,0
< OK
> AT+FDT
< +FCSI:"4711"
< +FDIS:0,1,0,0,0,0,0,7
< +FDCS:0,1,0,0,0,0,0,7
< CONNECT
<= 11
>& 03
< OK
> AT+FET=2
< +FPTS:1
< +FHNG:0
< OK
> ATH0
< OK
`)
		a, b := t30test.NewDocument(1, 1, 20), t30test.NewDocument(2, 1, 20)
		rep, err := sends(t, m, a, b)
		if err != nil || !rep.OK() || rep.Sent != 2 || rep.Remote.ID != "4711" || rep.Format.Resolution != t30.Standard || rep.Modulation.Rate != 4800 {
			t.Errorf("%v %q, %d sent, %+v, %v", rep.Code, rep.Text, rep.Sent, rep, err)
		}
	})
}

// A modem that sends no XON is sent the page all the same, later; with the quirk at once.
func TestSend_NoXON(t *testing.T) {
	for _, quirk := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m, _ := newModem(t, Config{Class: "2", Quirks: Quirks{NoXON: quirk}}, dial2+`
> AT+FDIS=1,5,0,2,0,0,0,0
< OK
> AT+FDT
< +FDCS:1,3,0,2,0,0,0,3
< CONNECT
>& 03
< OK
> AT+FET=2
< +FPTS:1
< +FHNG:0
< OK
> ATH0
< OK
`)
			start := time.Now()
			rep, err := sends(t, m, t30test.NewDocument(1, 1, 40))
			if took := time.Since(start); err != nil || !rep.OK() || (took < xonWait) != quirk {
				t.Errorf("quirk %v: %v %q, %v after %v", quirk, rep.Code, rep.Text, err, took)
			}
		})
	}
}

// The modem asks by CAN to be sent no more.
func TestSend_CAN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newModem(t, Config{Class: "2"}, dial2+`
> AT+FDIS=1,5,0,2,0,0,0,0
< OK
> AT+FDT
< +FDCS:1,3,0,2,0,0,0,0
< CONNECT
<= 11 18
>& 03
< +FHNG:40
< OK
> ATH0
< OK
`)
		rep, err := sends(t, m, t30test.NewDocument(1, 1, 3000))
		if err != nil || rep.Code != t30.CodeHungUpC || len(f.pages[0]) > 8192 {
			t.Errorf("%v %q, %d octets, %v", rep.Code, rep.Text, len(f.pages[0]), err)
		}
	})
}

// A hang-up inside the page ends it at once: what went on would be taken for commands.
func TestSend_HangUpInsideThePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newModem(t, Config{Class: "2"}, dial2+`
> AT+FDIS=1,5,0,2,0,0,0,0
< OK
> AT+FDT
< +FDCS:1,3,0,2,0,0,0,0
< CONNECT
<= 11
< +FHNG:40
< OK
>~ ATH0
< OK
`)
		doc := t30test.NewDocument(1, 1, 1)
		doc.Pages[0].Data = bytes.Repeat([]byte{0x55}, 1<<16)
		rep, err := sends(t, m, doc)
		if err != nil || rep.Code != t30.CodeHungUpC || rep.Unknown || len(f.pages[0]) > 4*pieceSize {
			t.Errorf("%v %q, unknown %v, %d octets, %v", rep.Code, rep.Text, rep.Unknown, len(f.pages[0]), err)
		}
	})
}

// A page goes out with its return to control, and without it to a modem that has its own and cannot stand ours.
func TestSend_ReturnToControl(t *testing.T) {
	page, rtc := bitString(eol+line+eol+line), bitString(eol+eol+eol+eol+eol+eol)
	for _, quirk := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m, f := newModem(t, Config{Class: "2", Quirks: Quirks{NoRTC: quirk}}, dial2+fdt2+"> AT+FET=2\n< +FPTS:1\n< +FHNG:0\n< OK\n"+hook)
			doc := t30test.NewDocument(1, 1, 1)
			doc.Pages[0].Data = slices.Concat(page, rtc)
			if rep, err := sends(t, m, doc); err != nil || !rep.OK() {
				t.Errorf("%v %q, %v", rep.Code, rep.Text, err)
			}
			if has := bytes.Contains(f.pages[0], rtc); has == quirk || !bytes.HasPrefix(f.pages[0], page) {
				t.Errorf("quirk %v: % x", quirk, f.pages[0])
			}
		})
	}
}

// Canceled while the far end is training, and inside a page: there the modem is cut off, so that the page does not end as if it
// were whole.
func TestSend_Canceled(t *testing.T) {
	for _, c := range []struct {
		name, script string
		after        time.Duration
		dtr          int32
	}{
		{"training", "> AT+FDT\n11s\n> CAN\n< OK\n" + fk, 20 * time.Second, 0},
		{"in the page", "> AT+FDT\n< CONNECT\n<= 11\n15s\n", 20 * time.Second, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, f := newModem(t, Config{Class: "2"}, dial2+"> AT+FDIS=1,5,0,2,0,0,0,0\n< OK\n"+c.script)
				ctx, cancel := context.WithTimeoutCause(t.Context(), c.after, errors.New("enough"))
				defer cancel()
				s := station()
				doc := t30test.NewDocument(1, 1, 5000)
				s.Send = t30test.Docs(doc)
				start := time.Now()
				rep, err := m.Call(ctx, "5550101", s)
				if rep.Code != t30.CodeCanceled || err == nil || rep.Unknown || rep.Sent > 0 || m.phone.Taken() {
					t.Errorf("%v %q, %v, unknown %v", rep.Code, rep.Text, err, rep.Unknown)
				}
				if took := time.Since(start); took > c.after+25*time.Second || f.dtr.Load() < c.dtr {
					t.Errorf("took %v, DTR dropped %d times", took, f.dtr.Load())
				}
			})
		})
	}
}

// What the modem refuses before the call makes the call less, or ends it.
func TestPlan_Refused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // error correction, as it turns out, is refused
		m, f := newModem(t, Config{Class: "2"}, dial2+fdt2+"> AT+FET=2\n< +FPTS:1\n< +FHNG:0\n< OK\n"+hook, "AT+FDCC=1,5,2,2,3,2,0,0/ERROR", `AT+FLID="+1 555 0100"/ERROR`)
		rep, err := sends(t, m, t30test.NewDocument(1, 1, 40))
		if err != nil || !rep.OK() || !f.was("AT+FDCC=1,5,2,2,1,0,0,0") {
			t.Errorf("%v %q, %v", rep.Code, rep.Text, err)
		}
	})
	poll := station()
	poll.Poll, poll.Sink = &t30.Poll{}, &t30test.Sink{}
	for cmd, want := range map[string]t30.Code{"AT+FSPL=1": t30.CodeNothingToPoll, "AT+FCR=1": t30.CodeModem} {
		synctest.Test(t, func(t *testing.T) {
			m, _ := newModem(t, Config{Class: "2"}, "", cmd+"/ERROR")
			rep, err := m.Call(t.Context(), "1", poll)
			if rep.Code != want || (err != nil) != (want == t30.CodeModem) || m.phone.Taken() {
				t.Errorf("%s refused: %v %q, %v", cmd, rep.Code, rep.Text, err)
			}
		})
	}
}

func TestDial_Results(t *testing.T) {
	for _, c := range []struct {
		class, script string
		want          t30.Code
	}{
		{"2", "9s\n< BUSY\n", t30.CodeBusy}, {"2", "< NO DIALTONE\n", t30.CodeNoDialTone}, {"2", "60s\n< NO ANSWER\n> ATH0\n< OK\n", t30.CodeNoAnswer},
		{"2.0", "50s\n< +FHS:04\n< OK\n> CAN\n< OK\n> ATH0\n< OK\n", t30.CodeNoAnswer}, {"2.0", "50s\n< +FHS:05\n< OK\n", t30.CodeNoFax},
		{"2", "9s\n< +FVOICE\n< OK\n> CAN\n< OK\n> ATH0\n< OK\n", t30.CodeVoice}, {"2.0", "9s\n< +FVO\n< OK\n> CAN\n< OK\n> ATH0\n< OK\n", t30.CodeVoice},
		{"2", "9s\n< CONNECT 9600\n> CAN\n< OK\n> ATH0\n< OK\n", t30.CodeNoFax}, {"2", "9s\n< +FDM\n> CAN\n< OK\n> ATH0\n< OK\n", t30.CodeNoFax},
		{"2", "50s\n< +FHNG:11\n< OK\n", t30.CodeNoCarrier}, {"2", "< +FHNG:3\n< OK\n", t30.CodeNoLine}, {"2", "< +FHNG:2\n< OK\n", t30.CodeCallAborted},
	} {
		t.Run(c.script, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, _ := newModem(t, Config{Class: c.class}, "> ATDT1\n"+c.script)
				rep, err := m.Call(t.Context(), "1", station())
				if err != nil || rep.Code != c.want || rep.Connected || m.phone.Taken() {
					t.Errorf("%v %q, want %v, %v", rep.Code, rep.Text, c.want, err)
				}
			})
		})
	}
}

// After RTN the page goes out again, a rate lower; a second page follows with MPS though the modem negotiated another coding than was
// asked for, since no other is asked for again.
func TestSend_AgainLowerAndNarrowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newModem(t, Config{Class: "2"}, dial2+`
> AT+FDIS=1,5,0,2,1,0,0,0
< OK
> AT+FDT
< +FDCS:1,3,0,2,0,0,0,0
< CONNECT
<= 11
>& 03
< OK
> AT+FET=0
< +FPTS:2
< OK
> AT+FDIS=1,2,0,2,0,0,0,0
< OK
> AT+FDT
< +FDCS:1,2,0,2,0,0,0,0
< CONNECT
<= 11
>& 03
< OK
> AT+FET=0
< +FPTS:1
< OK
> AT+FDT
< CONNECT
<= 11
>& 03
< OK
> AT+FET=2
< +FPTS:1
< +FHNG:0
< OK
> ATH0
< OK
`)
		doc := t30test.NewDocument(1, 2, 400)
		for i := range doc.Pages {
			doc.Pages[i].Format.Coding = t30.MR
		}
		rep, err := sends(t, m, doc)
		if err != nil || !rep.OK() || rep.Sent != 2 || rep.Format.Coding != t30.MH || rep.Modulation.Rate != 7200 || len(f.pages) != 3 || doc.Results()[0].Retries != 1 {
			t.Errorf("%v %q, %d sent, %+v, %v", rep.Code, rep.Text, rep.Sent, rep, err)
		}
	})
}

// A hang-up without its OK is waited for no longer than an OK takes.
func TestSend_HangUpWithoutResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newModem(t, Config{Class: "2"}, dial2+"> AT+FDIS=1,5,0,2,0,0,0,0\n< OK\n> AT+FDT\n< +FHNG:22\n3s\n"+hook)
		start := time.Now()
		rep, err := sends(t, m, t30test.NewDocument(1, 1, 40))
		if took := time.Since(start); err != nil || rep.Code != t30.CodeDCNInB || took > 30*time.Second {
			t.Errorf("%v %q after %v, %v", rep.Code, rep.Text, took, err)
		}
	})
}

// What the modem refused to offer is not asked for in the call either.
func TestPlan_RefusedIsNotAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newModem(t, Config{Class: "2"}, `
> ATDT5550101
< +FCON
< +FDIS:1,5,0,2,3,2,0,0
< OK
> AT+FDIS=1,5,0,2,0,0,0,0
< OK
> AT+FDT
< +FDCS:1,5,0,2,0,0,0,0
< CONNECT
<= 11
>& 03
< OK
> AT+FET=2
< +FPTS:1
< +FHNG:0
< OK
> ATH0
< OK
`, "AT+FDCC=1,5,2,2,3,2,0,0/ERROR")
		if rep, err := sends(t, m, t30test.NewDocument(1, 1, 40)); err != nil || !rep.OK() || rep.ECM {
			t.Errorf("%v %q, ecm %v, %v", rep.Code, rep.Text, rep.ECM, err)
		}
	})
}
