package appliance

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
)

// TestRun_Polled: callers fetch documents of the configuration by address and password; a sender is received as ever.
func TestRun_Polled(t *testing.T) {
	t.Parallel()
	r := newRig(t, 12)
	dir := t.TempDir()
	write := func(name string, pages int) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(longText(pages)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	r.cfg.Offers = []OfferConfig{{File: write("prices.txt", 1)}, {File: write("plans.txt", 2), Selective: "42", Password: "1234"}, {File: filepath.Join(dir, "missing"), Selective: "43"}}
	r.start()
	alarms := func() (list []string) {
		s, err := r.app.Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range s.Alarms {
			list = append(list, a.Code)
		}
		return list
	}
	eventually(t, "documents rendered", func() bool {
		r.app.offers.mu.Lock()
		defer r.app.offers.mu.Unlock()
		return len(r.app.offers.ready) == 2
	})
	eventually(t, "alarm of the missing document", func() bool { return strings.Contains(strings.Join(alarms(), " "), "offer/"+dir) })

	port, err := r.ex.exchange.NewModem("5550109", virtual.ModemOptions{}).Open()
	if err != nil {
		t.Fatal(err)
	}
	poller, err := modem.New(t.Context(), port, modem.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer poller.Close()
	poll := func(p t30.Poll) (t30.Report, int) {
		t.Helper()
		folder, err := call.NewFolder(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		rep, err := poller.Call(t.Context(), demoReceiver, t30.Session{Me: t30.Station{ID: "5550109"}, Poll: &p, Sink: call.NewSink(folder, nil)})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the line is free", func() bool {
			s, err := r.app.Status(context.Background())
			return err == nil && s.Lines[1].Call == nil
		})
		_, a, _ := folder.Finish(time.Now(), "")
		return rep, a.Pages
	}
	for _, c := range []struct {
		ask   t30.Poll
		pages int
		text  string // in our record of a poll that got nothing
	}{
		{t30.Poll{}, 1, ""}, {t30.Poll{Selective: "42", Password: "1234"}, 2, ""},
		{t30.Poll{Selective: "42", Password: "4321"}, 0, "password (PWD)"},
		{t30.Poll{Selective: "43"}, 0, "not offered (SEP)"}, {t30.Poll{Selective: "44"}, 0, "not offered (SEP)"},
	} {
		rep, pages := poll(c.ask)
		if pages != c.pages || rep.OK() != (c.pages > 0) || c.pages == 0 && rep.Code != t30.CodeNothingToPoll {
			t.Errorf("%+v: %d pages, %v %q; want %d", c.ask, pages, rep.Code, rep.Text, c.pages)
		}
		list, err := r.app.q.Calls(1)
		if err != nil || len(list) != 1 || list[0].Outgoing || list[0].Pages != c.pages || !strings.Contains(list[0].Text, c.text) {
			t.Errorf("%+v: record %+v, %v", c.ask, list, err)
		}
	}
	if n := r.with("Fax from"); n != 0 {
		t.Errorf("%d mails about polled documents", n)
	}

	// The document is replaced.
	write("prices.txt", 3)
	if err := r.app.offers.refresh(t.Context(), 0, r.cfg.Offers[0]); err != nil {
		t.Fatal(err)
	}
	if _, pages := poll(t30.Poll{}); pages != 3 {
		t.Errorf("the new document has %d pages", pages)
	}
	r.mailAll(demoReceiver, 1, "letter")
	r.waitAll(demoReceiver, "letter")
}
