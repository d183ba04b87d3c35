package class2

import (
	"bytes"
	"testing"
	"testing/synctest"

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
		rep, err := sends(t, m, doc)
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
