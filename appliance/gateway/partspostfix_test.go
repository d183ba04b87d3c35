package gateway

import (
	"testing"
	"time"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/smtpstack/smtptest"
)

// Postfix with a small message_size_limit: what is larger comes through it in parts, every pel of it.
func TestParts_ThroughPostfix(t *testing.T) {
	t.Parallel()
	srv := newSmallServer(t, 10<<20, false) // behind Postfix
	addr := smtptest.FreeAddr(t)
	p := smtptest.StartPostfix(t, []string{smtptest.Smtpd(addr)}, "message_size_limit = 204800", "relayhost = [127.0.0.1]:"+smtptest.Port(srv.addr))
	b := newBench(t, func(o *Options) { through(t, addr)(o); o.Picture = true })
	var pages []*imaging.Bitmap
	for i := range 5 {
		pages = append(pages, noise(uint64(i), 300))
	}
	fax := b.receivePages(pages...)
	b.deliverTo(fax, "desk@example.org")
	b.workAll()
	if f, err := b.q.Fax(fax.ID); err != nil || f.Delivered.IsZero() {
		t.Fatalf("%+v, %v\n%s", f, err, p.Log())
	}
	arrived := func() []sent {
		srv.mu.Lock()
		defer srv.mu.Unlock()
		return append([]sent(nil), srv.mails...)
	}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if got, _ := pagesOf(t, arrived()); len(got) == len(pages) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d mails\n%s", len(arrived()), p.Log())
		}
	}
	got, ids := pagesOf(t, arrived())
	if len(ids) < 3 {
		t.Errorf("%d mails", len(ids))
	}
	for i := range got {
		if !got[i].Equal(pages[i]) {
			t.Errorf("page %d differs", i+1)
		}
	}
}
