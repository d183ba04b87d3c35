package class2

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"math/bits"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// received makes one call that is answered.
func received(t *testing.T, m *Modem, s t30.Session) (t30.Report, error) {
	t.Helper()
	in, err := m.WaitCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return in.Answer(t.Context(), t30.AnswerFax, s)
}

// shielded is page data as a modem delivers it, in hexadecimal for a script.
func shielded(page []byte, reversed bool) string {
	var b []byte
	for _, c := range page {
		if reversed {
			c = bits.Reverse8(c)
		}
		if c == 0x10 {
			b = append(b, c)
		}
		b = append(b, c)
	}
	return hex.EncodeToString(append(b, 0x10, 0x03))
}

// answer2 is an answered call of Class 2 up to the DCS: fine, 9600 bit/s, MH.
const answer2 = `
1s
< RING
> ATA
6s
< +FCON
3s
< +FTSI:"     +49 30 5550199"
< +FDCS:1,3,0,2,0,0,0,0
< OK
`

// A Rockwell modem: DC2 lets it deliver a page, whose bits come reversed.
func TestReceive_Rockwell(t *testing.T) {
	page := t30test.MakePage(3, 30)
	script := answer2 + `
> AT+FDR
2s
< +FCFR
< +FDCS:1,3,0,2,0,0,0,0
< CONNECT
> DC2
<= ` + shielded(page, true) + `
1s
< +FPTS:1,30
< +FET:0
< OK
> AT+FDR
< CONNECT
> DC2
<= ` + shielded(page, true) + `
< +FPTS:1,30
< +FET:2
< OK
> AT+FDR
3s
< +FHNG:0
< OK
> ATH0
< OK
`
	synctest.Test(t, func(t *testing.T) {
		m, f := newModem(t, Config{Class: "2", Quirks: Quirks{Trigger: "dc2"}}, script)
		sink := &t30test.Sink{}
		s := station()
		s.Sink = sink
		rep, err := received(t, m, s)
		if err != nil || !rep.OK() || rep.Received != 2 || rep.Remote.ID != "+49 30 5550199" || rep.Format.Resolution != t30.Fine {
			t.Fatalf("%v %q, %d pages, %v", rep.Code, rep.Text, rep.Received, err)
		}
		for i, kept := range sink.Kept() {
			if !bytes.Equal(kept, page) {
				t.Errorf("page %d came changed", i+1)
			}
		}
		if !f.was("AT+FCR=1") || !f.was("AT+FAA=0") {
			t.Errorf("settings %q", f.set)
		}
	})
}

// A page that our decoder calls bad is refused whatever the modem thinks of it, and durable before +FDR lets the answer go. Line
// counts are not looked at, decimal or hexadecimal; ERROR after the page is Class 2.0's word for a bad one.
func TestReceive_OurDecoderDecides(t *testing.T) {
	page := t30test.MakePage(3, 40)
	spoilt := bytes.Clone(page)
	for i := range 12 {
		spoilt[i*32] ^= 0xff
	}
	script := `
1s
< RING
> ATA
6s
< +FCO
< +FTI:"5550199"
< +FCS:0,5,0,2,0,0,0,0
< OK
> AT+FDR
< CONNECT
> DC2
<= ` + shielded(spoilt, false) + `
< +FPS:1,9999,0,0,0
< +FET:0
< OK
> AT+FPS=2
< OK
> AT+FDR
8s
< +FCS:0,3,0,2,0,0,0,0
< CONNECT
> DC2
<= ` + shielded(page, false) + `
< +FPS:2,FF,3,1,0
< +FET:2
< ERROR
> AT+FPS=1
< OK
> AT+FDR
< +FHS:00
< OK
> ATH0
< OK
`
	synctest.Test(t, func(t *testing.T) {
		m, _ := newModem(t, Config{Class: "2.0"}, script)
		sink := &t30test.Sink{}
		s := station()
		s.Sink = sink
		rep, err := received(t, m, s)
		if err != nil || !rep.OK() || rep.Received != 1 || rep.Modulation.Rate != 9600 {
			t.Fatalf("%v %q, %d pages, %v", rep.Code, rep.Text, rep.Received, err)
		}
		pages := sink.Pages()
		if len(pages) != 2 || pages[0].Verdict != t30.BadKept || pages[1].Verdict != t30.Good || !bytes.Equal(pages[1].Data, page) {
			t.Errorf("%d pages, %+v", len(pages), pages)
		}
	})
}

// Trusting the modem's check instead, which may lie, confirms the spoilt page.
func TestReceive_TrustQuality(t *testing.T) {
	spoilt := t30test.MakePage(3, 40)
	for i := range 12 {
		spoilt[i*32] ^= 0xff
	}
	synctest.Test(t, func(t *testing.T) {
		m, _ := newModem(t, Config{Class: "2", Quirks: Quirks{TrustQuality: true, ReceivedBits: "direct"}}, answer2+`
> AT+FDR
< CONNECT
> DC1
<= `+shielded(spoilt, false)+`
< +FPTS:1,40
< +FET:2
< OK
> AT+FDR
< +FHNG:0
< OK
> ATH0
< OK
`)
		s := station()
		s.Sink = &t30test.Sink{}
		if rep, err := received(t, m, s); err != nil || rep.Received != 1 {
			t.Errorf("%v %q, %d pages, %v", rep.Code, rep.Text, rep.Received, err)
		}
	})
}

// What the modem is not to be told, or cannot do, ends the call with a word for it.
func TestReceive_Endings(t *testing.T) {
	page := shielded(t30test.MakePage(3, 40), true)
	fdr := "> AT+FDR\n< CONNECT\n> DC1\n"
	bye := "> AT+FK\n< +FHNG:2\n< OK\n> ATH0\n< OK\n"
	hook := "> ATH0\n< OK\n"
	for _, c := range []struct {
		name, script string
		code         t30.Code
		pages        int
		verdict      t30.Verdict
		fault        bool
	}{
		{"DCN after MPS", fdr + "<= " + page + "\n< +FPTS:1,40\n< +FET:0\n< OK\n> AT+FDR\n7s\n< +FHNG:0\n< OK\n" + hook, t30.CodeDCNAfterPage, 1, t30.Good, false},
		{"DCN after PRI-MPS", fdr + "<= " + page + "\n< +FPTS:1,40\n< +FET:4\n< OK\n> AT+FDR\n7s\n< +FHNG:0\n< OK\n" + hook, t30.CodeDCNAfterPage, 1, t30.Good, false},
		{"nothing after EOM", fdr + "<= " + page + "\n< +FPTS:1,40\n< +FET:1\n< OK\n> AT+FDR\n60s\n< +FHNG:74\n< OK\n" + hook, t30.CodeOK, 1, t30.Good, false},
		{"line lost in the page", fdr + "<= 55 aa 55 aa 10 03\n< +FHNG:90\n< OK\n" + hook, t30.CodePageLost, 0, t30.Partial, false},
		{"no command", fdr + "<= " + page + "\n7s\n< +FHNG:100\n< OK\n" + hook, t30.CodeNoPostMessage, 0, t30.Partial, false},
		{"no hang-up code", fdr + "<= " + page + "\n7s\n< NO CARRIER\n" + bye, t30.CodeHungUpC, 0, t30.Partial, false},
		{"no page came", "> AT+FDR\n7s\n< +FHNG:73\n< OK\n" + hook, t30.CodePageLost, 0, t30.Discard, false},
		{"buffer ran over", fdr + "<= 55 aa 10 03\n< +FHNG:93\n< OK\n" + hook, t30.CodeModem, 0, t30.Partial, true},
		{"stuck in the page", fdr + "<= 55 aa\n30s\n> CAN\n<= 10 03\n< +FHNG:2\n< OK\n" + hook, t30.CodePageLost, 0, t30.Partial, false},
		{"stuck after the page", fdr + "<= " + page + "\n60s\n> CAN\n< OK\n" + bye, t30.CodeNoPostMessage, 0, t30.Partial, false},
		{"an empty page", fdr + "<= 10 03\n< +FPTS:1,0\n< +FET:2\n< OK\n" + bye, t30.CodePageLost, 0, t30.Discard, false},
		{"OK between documents", fdr + "<= " + page + "\n< +FPTS:1,40\n< +FET:1\n< OK\n> AT+FDR\n5s\n< OK\n" + "> AT+FDR\n< +FDCS:0,3,0,2,0,0,0,0\n< CONNECT\n> DC1\n<= " + page +
			"\n< +FPTS:1,40\n< +FET:2\n< OK\n> AT+FDR\n< +FHNG:0\n< OK\n" + hook, t30.CodeOK, 2, t30.Good, false},
		{"EOP, then DCN is lost", fdr + "<= " + page + "\n< +FPTS:1,40\n< +FET:2\n< OK\n> AT+FDR\n7s\n< +FHNG:102\n< OK\n" + hook, t30.CodeOK, 1, t30.Good, false},
		{"a port pulled", fdr + "<= 55 aa\n1s\nx\n", t30.CodeModem, 0, t30.Partial, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, _ := newModem(t, Config{Class: "2"}, answer2+c.script)
				sink := &t30test.Sink{}
				s := station()
				s.Sink = sink
				rep, err := received(t, m, s)
				if rep.Code != c.code || rep.Received != c.pages || (err != nil) != c.fault || rep.Unknown {
					t.Errorf("%v %q, %d pages, %v", rep.Code, rep.Text, rep.Received, err)
				}
				pages := sink.Pages()
				if len(pages) == 0 || !pages[0].Done || pages[0].Verdict != c.verdict {
					t.Errorf("pages %+v", pages)
				}
			})
		})
	}
}

// With error correction a page may come in parts (PPS-NULL), which are one page.
func TestReceive_PartialPage(t *testing.T) {
	page := t30test.MakePage(3, 40)
	synctest.Test(t, func(t *testing.T) {
		m, _ := newModem(t, Config{Class: "2"}, strings.Replace(answer2, "1,3,0,2,0,0,0,0", "1,3,0,2,0,2,0,0", 1)+
			"> AT+FDR\n< CONNECT\n> DC1\n<= "+shielded(page[:600], true)+"\n< +FPTS:1,20\n< +FET:3\n< OK\n"+
			"> AT+FDR\n< CONNECT\n> DC1\n<= "+shielded(page[600:], true)+"\n< +FPTS:1,40\n< +FET:2\n< OK\n> AT+FDR\n< +FHNG:0\n< OK\n> ATH0\n< OK\n")
		sink := &t30test.Sink{}
		s := station()
		s.Sink = sink
		rep, err := received(t, m, s)
		if kept := sink.Kept(); err != nil || !rep.OK() || rep.Received != 1 || len(kept) != 1 || !bytes.Equal(kept[0], page) {
			t.Errorf("%v %q, %d pages received, %d kept, %v", rep.Code, rep.Text, rep.Received, len(kept), err)
		}
	})
}

// Who has to give a password and gives none or another one is refused before a page.
func TestReceive_Password(t *testing.T) {
	for _, pwd := range []string{"", "< +FPW:\"0815\"\n"} {
		synctest.Test(t, func(t *testing.T) {
			m, _ := newModem(t, Config{Class: "2.1"}, "1s\n< RING\n> ATA\n6s\n< +FCO\n"+pwd+"< +FCS:0,3,0,2,0,0,0,0\n< OK\n> AT+FKS\n< +FHS:02\n< OK\n> ATH0\n< OK\n")
			sink := &t30test.Sink{}
			s := station()
			s.Sink, s.NeedPassword = sink, "4711"
			if rep, err := received(t, m, s); err != nil || rep.Code != t30.CodePassword || len(sink.Pages()) > 0 {
				t.Errorf("%q: %v %q, %d pages, %v", pwd, rep.Code, rep.Text, len(sink.Pages()), err)
			}
		})
	}
}

// A page that was refused, in whose place the next one came without a new DCS, is missing: the call did not go well.
func TestReceive_RefusedAndPassedOver(t *testing.T) {
	page := t30test.MakePage(3, 40)
	spoilt := bytes.Clone(page)
	for i := range 12 {
		spoilt[i*32] ^= 0xff
	}
	synctest.Test(t, func(t *testing.T) {
		m, _ := newModem(t, Config{Class: "2"}, answer2+"> AT+FDR\n< CONNECT\n> DC1\n<= "+shielded(spoilt, true)+"\n< +FPTS:1,40\n< +FET:0\n< OK\n> AT+FPTS=2\n< OK\n"+
			"> AT+FDR\n< CONNECT\n> DC1\n<= "+shielded(page, true)+"\n< +FPTS:1,40\n< +FET:2\n< OK\n> AT+FDR\n< +FHNG:0\n< OK\n> ATH0\n< OK\n")
		s := station()
		s.Sink = &t30test.Sink{}
		if rep, err := received(t, m, s); err != nil || rep.Code != t30.CodePageRefused || rep.Received != 1 {
			t.Errorf("%v %q, %d pages, %v", rep.Code, rep.Text, rep.Received, err)
		}
	})
}

// With error correction a block may be sent again for minutes before the modem delivers more.
func TestReceive_PatientWithECM(t *testing.T) {
	page := t30test.MakePage(3, 40)
	half := len(page) / 2
	first := shielded(page[:half], true)
	synctest.Test(t, func(t *testing.T) {
		m, _ := newModem(t, Config{Class: "2"}, `
1s
< RING
> ATA
6s
< +FCON
< +FDCS:1,1,0,2,0,2,0,0
< OK
> AT+FDR
< CONNECT
> DC1
<= `+first[:len(first)-4]+`
200s
<= `+shielded(page[half:], true)+`
< +FPTS:1,40
< +FET:2
< OK
> AT+FDR
< +FHNG:0
< OK
> ATH0
< OK
`)
		sink := &t30test.Sink{}
		s := station()
		s.Sink = sink
		rep, err := received(t, m, s)
		if err != nil || !rep.OK() || !rep.ECM || len(sink.Kept()) != 1 || !bytes.Equal(sink.Kept()[0], page) {
			t.Errorf("%v %q, %d pages, %v", rep.Code, rep.Text, rep.Received, err)
		}
	})
}

// A modem that does not let itself be told a page's status: a bad page that it would confirm ends the call.
func TestReceive_StatusRefused(t *testing.T) {
	spoilt := t30test.MakePage(3, 40)
	for i := range 12 {
		spoilt[i*32] ^= 0xff
	}
	synctest.Test(t, func(t *testing.T) {
		m, _ := newModem(t, Config{Class: "2"}, answer2+`
> AT+FDR
< CONNECT
> DC1
<= `+shielded(spoilt, true)+`
< +FPTS:1,40
< +FET:2
< OK
> AT+FPTS=2
< ERROR
> AT+FK
< +FHNG:2
< OK
> ATH0
< OK
`)
		sink := &t30test.Sink{}
		s := station()
		s.Sink = sink
		rep, err := received(t, m, s)
		if err != nil || rep.Code != t30.CodePageRefused || rep.Received != 0 || sink.Pages()[0].Verdict != t30.BadKept {
			t.Errorf("%v %q, %d pages, %v", rep.Code, rep.Text, rep.Received, err)
		}
	})
}

func TestReceive_Canceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newModem(t, Config{Class: "2"}, answer2+"> AT+FDR\n< CONNECT\n> DC1\n<= 55 aa 55\n10s\n> CAN\n<= 10 03\n2s\n< +FHNG:2\n< OK\n> ATH0\n< OK\n")
		in, err := m.WaitCall(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 19*time.Second)
		defer cancel()
		s := station()
		s.Sink = &t30test.Sink{}
		rep, err := in.Answer(ctx, t30.AnswerFax, s)
		if rep.Code != t30.CodeCanceled || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v %q, %v", rep.Code, rep.Text, err)
		}
		if m.phone.Taken() {
			t.Error("the line stays taken")
		}
	})
}

// Being polled: the caller's DTC brings its wishes, and our document goes out.
func TestAnswer_BeingPolled(t *testing.T) {
	script := func(dtc string) string {
		return `
1s
< RING
> ATA
6s
< +FCO
< +FPI:"5550199"
< +FPA:"77"
< +FPW:"4711"
< +FTC:` + dtc + `
< OK
`
	}
	synctest.Test(t, func(t *testing.T) {
		m, f := newModem(t, Config{Class: "2.1"}, script("1,5,0,2,1,1,0,0")+`
> AT+FIS=1,5,0,2,0,1,0,0
< OK
> AT+FDT
< +FCS:1,5,0,2,0,1,0,0
< CONNECT
>& 2e
< +FHS:00
< OK
> AT+FPS?
< +FPS: 1
< OK
> ATH0
< OK
`)
		doc := t30test.NewDocument(1, 1, 20)
		doc.Pages[0].Format.Coding = t30.MH
		s := station()
		s.Send, s.NeedPassword = t30test.Docs(doc), "4711"
		rep, err := received(t, m, s)
		if err != nil || !rep.OK() || rep.Sent != 1 || rep.Remote.Selective != "77" || !f.was("AT+FLP=1") || !f.was("AT+FAP=1,1,1") {
			t.Errorf("%v %q, %d sent, %+v, %v, %q", rep.Code, rep.Text, rep.Sent, rep.Remote, err, f.set)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		m, _ := newModem(t, Config{Class: "2.1"}, script("1,5,0,2,1,1,0,0")+"> AT+FKS\n< +FHS:02\n< OK\n> ATH0\n< OK\n")
		s := station()
		s.Send, s.NeedPassword = t30test.Docs(t30test.NewDocument(1, 1, 20)), "0815"
		if rep, err := received(t, m, s); err != nil || rep.Code != t30.CodePassword {
			t.Errorf("%v %q, %v", rep.Code, rep.Text, err)
		}
	})
}

// Parameters in hexadecimal, from a modem of Class 2, are read with the quirk and not without; a bare DLE is kept with its quirk, and
// without it is lost together with what follows it.
func TestReceive_HexAndBareDLE(t *testing.T) {
	page := t30test.MakePage(3, 40)
	for i := range page {
		if page[i] == 0x10 { // none by chance
			page[i] = 0x55
		}
	}
	for i := 7; i < len(page); i += 32 {
		page[i], page[i+1] = 0x10, 0x55
	}
	raw := hex.EncodeToString(append(bytes.Clone(page), 0x10, 0x03))
	for _, on := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m, _ := newModem(t, Config{Class: "2", Quirks: Quirks{Hex: on, BareDLE: on, ReceivedBits: "direct"}}, `
1s
< RING
> ATA
6s
< +FCON
< +FDCS:1,B,0,2,0,0,0,0
< OK
> AT+FDR
< CONNECT
> DC1
<= `+raw+`
< +FPTS:1,40
< +FET:2
< OK
> AT+FDR
< +FHNG:0
< OK
> ATH0
< OK
`)
			sink := &t30test.Sink{Judge: func(int, []byte) t30.Quality { return t30.Quality{Lines: 40} }}
			s := station()
			s.Sink = sink
			rep, err := received(t, m, s)
			same := len(sink.Kept()) == 1 && bytes.Equal(sink.Kept()[0], page)
			if err != nil || (rep.Modulation.Rate == 28800) != on || (rep.Format.Resolution == t30.Fine) != on || same != on {
				t.Errorf("quirks %v: %v %q, %v, %v, the page is the same %v, %v", on, rep.Code, rep.Text, rep.Modulation, rep.Format, same, err)
			}
		})
	}
}

// Error correction that does not work is not offered.
func TestPlan_NoECM(t *testing.T) {
	for _, on := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m, _ := newModem(t, Config{Class: "2", Quirks: Quirks{NoECM: on}}, "")
			if c := m.Capabilities(); c.ECM == on || c.Codings.Has(t30.MMR) == on {
				t.Errorf("quirk %v: %+v", on, c)
			}
		})
	}
}

// An adaptive answer tells fax, data and voice apart, asked for inside the class only.
func TestAnswer_Adaptive(t *testing.T) {
	for line, want := range map[string]error{"DATA\n< CONNECT 9600": t30.ErrData, "CONNECT 14400": t30.ErrData, "+FVOICE": t30.ErrVoice, "VOICE": t30.ErrVoice} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, f := newModem(t, Config{Class: "2"}, "1s\n< RING\n> ATA\n7s\n< "+line+"\n")
				in, err := m.WaitCall(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				_, err = in.Answer(t.Context(), t30.AnswerAdaptive, station())
				if !errors.Is(err, want) {
					t.Errorf("%v, want %v", err, want)
				}
				<-f.done
				if !f.was("AT+FAA=1") || m.phone.Taken() {
					t.Errorf("settings %q, taken %v", f.set, m.phone.Taken())
				}
			})
		})
	}
}

func TestNew_Refused(t *testing.T) {
	for cmd, answer := range map[string]string{"AT+FCLASS=2": "ERROR", "AT+FDCC=?": "OK"} {
		synctest.Test(t, func(t *testing.T) {
			m, f := newModem(t, Config{Class: "2"}, "")
			<-f.done
			f.answers[cmd] = answer
			if _, err := New(t.Context(), m.ch, Config{Class: "2"}); !errors.Is(err, ErrNotClass2) {
				t.Errorf("%s answered %s: %v", cmd, answer, err)
			}
		})
	}
	if _, err := New(t.Context(), nil, Config{Class: "3"}); !errors.Is(err, ErrNotClass2) {
		t.Error(err)
	}
}

// FuzzReceive: whatever a modem delivers and says after +FDR, the call ends, its page is finished and the line is free again.
func FuzzReceive(f *testing.F) {
	f.Add([]byte("\r\nCONNECT\r\n\x55\xaa\x10\x10\x10\x03\r\n+FPTS:1,40\r\n\r\n+FET:2\r\n\r\nOK\r\n\r\n+FHNG:0\r\n\r\nOK\r\n"), true)
	f.Add([]byte("\r\n+FDCS:1,3,9,9,9,9,9,9\r\nCONNECT\r\n\x10\x1a\x10\x51\x10\x07\x10\x03+FET:3\rOK\rCONNECT\r\x10\x03"), false)
	f.Add([]byte("+FHNG:\r+FTC:1,2\rOK\r"), true)
	f.Fuzz(func(t *testing.T, b []byte, rockwell bool) {
		if len(b) > 4096 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			q := Quirks{}
			if rockwell {
				q.Trigger = "dc2"
			}
			m, fk := newModem(t, Config{Class: "2", Quirks: q}, answer2+"> AT+FDR\n<= "+hex.EncodeToString(b)+"\n")
			sink := &t30test.Sink{}
			s := station()
			s.Sink = sink
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			go func() { // the modem that says all this takes no notice of data
				<-fk.done
			}()
			in, err := m.WaitCall(ctx)
			if err != nil {
				t.Fatal(err)
			}
			rep, err := in.Answer(ctx, t30.AnswerFax, s)
			if ctx.Err() != nil || rep.Code == t30.CodeNone || m.phone.Taken() {
				t.Fatalf("%v %q, %v", rep.Code, rep.Text, err)
			}
			for _, p := range sink.Pages() {
				if !p.Done {
					t.Fatal("a page was never finished")
				}
			}
			if errors.Is(err, at.ErrPortLost) {
				t.Fatal(err)
			}
		})
	})
}
