package exchange

import (
	"bufio"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

var somewhere = netip.MustParseAddr("198.51.100.9")

// talk says lines and returns all replies.
func talk(t *testing.T, p *Peer, svc Service, lines string) string {
	t.Helper()
	nc := p.Dial(svc, somewhere)
	defer nc.Close()
	go fmt.Fprint(nc, lines)
	var b strings.Builder
	for sc := bufio.NewScanner(nc); sc.Scan(); {
		b.WriteString(sc.Text() + "\n")
	}
	return b.String()
}

// TestSession_Grammar: commands out of order and malformed ones are refused, pipelined ones answered in order.
func TestSession_Grammar(t *testing.T) {
	p := newPeer(t)
	got := talk(t, p, EOP, "MAIL FROM:<a@b.example>\r\nEHLO box.example.net\r\nRCPT TO:<x@y>\r\nDATA\r\nMAIL a@b\r\nMAIL FROM:<a@b.example> SIZE=99999999\r\n"+
		"MAIL FROM:<a@b.example>\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<"+box+">\r\nRCPT TO:<bad>\r\nAUTH PLAIN AA==\r\nWHAT\r\nDATA\r\nFrom: a@b.example\r\n\r\n..dot\r\n.\r\nQUIT\r\n")
	want := []string{"220", "503", "250-", "503", "503", "501", "552 5.3.4", "250 2.1.0", "503", "250 2.1.5", "501 5.1.3", "504", "500", "354", "250 2.6.0", "221"}
	lines := strings.Split(got, "\n")
	i := 0
	for _, l := range lines {
		if i < len(want) && strings.HasPrefix(l, want[i]) {
			i++
		} else if !strings.HasPrefix(l, "250-") && !strings.HasPrefix(l, "250 SMTPUTF8") && l != "" {
			t.Errorf("line %q, want %q", l, want[min(i, len(want)-1)])
		}
	}
	if i != len(want) || len(p.Messages()) != 1 || string(p.Messages()[0].Data) != "From: a@b.example\r\n\r\n.dot\r\n" {
		t.Errorf("%d of %d replies, messages %+v\n%s", i, len(want), p.Messages(), got)
	}
}

func FuzzSession(f *testing.F) {
	f.Add("EHLO a.b\r\nMAIL FROM:<a@b>\r\nRCPT TO:<fax@contoso.com>\r\nDATA\r\nx\r\n.\r\n", true)
	f.Add("EHLO a.b\r\nAUTH XOAUTH2 dXNlcj0B\r\n\r\n", false)
	p, err := New(world())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, lines string, eop bool) {
		svc := Submission
		if eop {
			svc = EOP
		}
		got := talk(t, p, svc, lines+"\r\n.\r\n*\r\n*\r\nQUIT\r\n") // ends data and sign-ins too
		if !strings.HasPrefix(got, "220 ") {
			t.Errorf("%q", got)
		}
	})
}

func TestMatchesName(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{{"fax.contoso.com", "FAX.contoso.com", true}, {"*.contoso.com", "fax.contoso.com", true}, {"*.contoso.com", "contoso.com", false}, {"fax.contoso.com", "x.fax.contoso.com", false}} {
		if matchesName(tt.pattern, tt.name) != tt.want {
			t.Errorf("%s, %s", tt.pattern, tt.name)
		}
	}
}
